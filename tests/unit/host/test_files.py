"""Import files read to tickets, articles and assets, and refused with what to change."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from aiops_host.cli.files import FileRefused, read_articles, read_assets, read_tickets


def written(tmp_path: Path, name: str, text: str) -> Path:
    """Write a file and return its path."""
    file = tmp_path / name
    file.write_text(text)
    return file


def test_tickets_from_csv(tmp_path: Path) -> None:
    """A row becomes a resolved ticket; the vendor's word of priority stays, times without zone are UTC."""
    file = written(
        tmp_path,
        "t.csv",
        "ticket_id,title,description,resolution,priority,created_at,requester\n"
        '7,VPN drops,"line 1\nline 2",Changed MTU,High,2026-01-02T03:04:05,Ann\n',
    )

    (ticket,) = read_tickets(file)

    assert (ticket.id, ticket.state, ticket.resolution) == ("7", "resolved", "Changed MTU")
    assert (ticket.priority, ticket.priority_word) == ("high", "High")
    assert ticket.description == "line 1\nline 2"
    assert ticket.created_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert ticket.requester is not None
    assert ticket.requester.name == "Ann"


def test_a_byte_order_mark_is_no_column(tmp_path: Path) -> None:
    """A file as Excel writes it is read like any other."""
    file = tmp_path / "t.csv"
    file.write_bytes("\ufeffticket_id,title\n1,Mail\n".encode())

    assert read_tickets(file)[0].id == "1"


def test_assets_from_json(tmp_path: Path) -> None:
    """Lists may be given as lists or as text with semicolons."""
    rows = [{"name": "A", "ips": ["10.0.0.1"], "hostnames": "a; a.corp.example"}]

    (asset,) = read_assets(written(tmp_path, "a.json", json.dumps(rows)))

    assert (asset.ips, asset.hostnames) == (("10.0.0.1",), ("a", "a.corp.example"))


def test_articles_from_a_folder(tmp_path: Path) -> None:
    """Markdown files of a folder become articles, with or without facts at their head."""
    (tmp_path / "net").mkdir()
    written(
        tmp_path,
        "net/vpn.md",
        "---\ntitle: VPN\nurl: https://kb.example/vpn\ntags: a, b\nupdated: 2026-05-01\n---\nDo it.",
    )
    written(tmp_path, "plain.md", "# A heading\n\nText --- more.")

    vpn, plain = read_articles(tmp_path)

    assert (vpn.slug, vpn.title, vpn.url, vpn.tags) == ("net/vpn", "VPN", "https://kb.example/vpn", ("a", "b"))
    assert vpn.body == "Do it."
    assert (plain.slug, plain.title) == ("plain", "A heading")
    assert "Text --- more." in plain.body


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("t.csv", "ticket_id,title\n1,\n", r"row 2: 'title' is empty\."),
        (
            "t.csv",
            "id,title\n1,x\n",
            r"t\.csv: the column 'ticket_id' is missing; needed are ticket_id, title, there are: id, title\.",
        ),
        ("t.csv", "", "the column 'ticket_id' is missing; .* there are: none"),
        ("t.csv", "ticket_id,title,created_at\n1,x,yesterday\n", "'yesterday', which is no ISO 8601 time"),
        ("t.csv", 'ticket_id,title\n1,"x\n', "not readable as CSV"),
        (
            "t.csv",
            "ticket_id,title,resolution\n1,x,y\n2,Printer,Paper, toner and drum empty\n",
            r"row 3 has 4 columns, the header 3: put text with commas into quotes\.",
        ),
        ("t.json", "{}", "expected a JSON list of objects"),
        ("t.json", '[{"ticket_id": 1}]', r"row 1: 'title' is missing\."),
        ("t.json", '[{"ticket_id": 1,\n "title": ', "line 2, column 11: Expecting value"),
        ("t.xlsx", "", r"expected a .csv or .json file"),
    ],
)
def test_a_bad_file_says_what_to_change(tmp_path: Path, name: str, text: str, says: str) -> None:
    """The refusal names file, row and column."""
    with pytest.raises(FileRefused, match=says):
        read_tickets(written(tmp_path, name, text))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", "ticket_id, title ,colour,size\n1,x,red,\n2,y,,\n"),
        ("t.json", '[{"ticket_id": 1, "title": "x", "colour": "red"}, {"ticket_id": 2, "title": "y", "size": 3}]'),
    ],
)
def test_columns_left_out_are_told(tmp_path: Path, name: str, text: str) -> None:
    """What is not known is named once for the whole file, with what is known; the rest is imported."""
    told: list[str] = []
    file = written(tmp_path, name, text)
    assert [ticket.title for ticket in read_tickets(file, told.append)] == ["x", "y"]
    (remark,) = told
    assert remark.startswith(f"{file}: not imported: colour, size. Known columns: ticket_id, title, description,")


def test_empty_columns_beyond_the_header_are_nothing(tmp_path: Path) -> None:
    """Commas a spreadsheet leaves at the end of a row lose nothing."""
    (ticket,) = read_tickets(written(tmp_path, "t.csv", "ticket_id,title\n1,x,,\n"))
    assert (ticket.id, ticket.title) == ("1", "x")


def test_repeated_ids_are_told(tmp_path: Path) -> None:
    """A row with the id of one before it is named; of many, the first five."""
    told: list[str] = []
    file = written(tmp_path, "t.csv", "ticket_id,title\nT-5,x\nT-6,y\n T-5,z\n")
    assert [ticket.title for ticket in read_tickets(file, told.append)] == ["x", "y", "z"]
    assert told == [f"{file}: row 4 repeats T-5; of each the last counts."]
    rows = json.dumps([{"name": "A"}] * 8)
    read_assets(written(tmp_path, "a.json", rows), told.append)
    assert told[1].endswith("row 5 repeats A, row 6 repeats A and 2 more do; of each the last counts.")


def test_an_article_without_text_is_left_out_and_told(tmp_path: Path) -> None:
    """Empty files, and those with facts only, stop nobody; a folder of nothing else is refused."""
    written(tmp_path, "empty.md", "")
    written(tmp_path, "facts.md", "---\ntitle: VPN\n---\n\n")
    with pytest.raises(FileRefused, match=r"holds no \.md file that has text"):
        read_articles(tmp_path)
    written(tmp_path, "vpn.md", "Do it.")
    told: list[str] = []
    assert [article.slug for article in read_articles(tmp_path, told.append)] == ["vpn"]
    assert sorted(told) == [f"{tmp_path / name} has no text and is left out." for name in ("empty.md", "facts.md")]


def test_a_missing_file_and_an_empty_folder(tmp_path: Path) -> None:
    """What is not there is named."""
    with pytest.raises(FileRefused, match="No such file"):
        read_tickets(tmp_path / "none.csv")
    with pytest.raises(FileRefused, match=r"holds no \.md file"):
        read_articles(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("t.csv", b"ticket_id;title\n1;Mail\n", "separated by ';'? Commas are needed"),
        ("t.csv", b"ticket_id\ttitle\n1\tMail\n", "separated by '\\t'? Commas are needed"),
        ("t.csv", "ticket_id,title\n1,Müller\n".encode("cp1252"), "not UTF-8 text; save it as CSV UTF-8"),
        ("t.json", b"\xff", "not UTF-8 text; save it as UTF-8"),
    ],
)
def test_a_file_as_a_spreadsheet_saves_it_is_explained(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    """Other separators and encodings are refused with how to save the file."""
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(FileRefused) as refused:
        read_tickets(file)
    assert says in str(refused.value)


def test_an_article_from_one_file(tmp_path: Path) -> None:
    """A single Markdown file is an article with its name as slug, as it would be from its folder."""
    file = written(tmp_path, "vpn.md", "---\ntags: net\n---\n# VPN drops\nDo it.")
    (article,) = read_articles(file)
    assert article == read_articles(tmp_path)[0]
    assert (article.slug, article.title, article.tags) == ("vpn", "VPN drops", ("net",))
    with pytest.raises(FileRefused, match=r"empty\.md has no text"):
        read_articles(written(tmp_path, "empty.md", ""))
