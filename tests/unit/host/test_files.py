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
        ("t.csv", "ticket_id,title\n1,\n", "row 2: the column 'title' is missing or empty"),
        ("t.csv", "id,title\n1,x\n", "row 2: the column 'ticket_id'"),
        ("t.csv", "ticket_id,title,created_at\n1,x,yesterday\n", "'yesterday', which is no ISO 8601 time"),
        ("t.csv", 'ticket_id,title\n1,"x\n', "not readable as CSV"),
        ("t.json", "{}", "expected a JSON list of objects"),
        ("t.json", '[{"ticket_id": 1}]', "row 1: the column 'title'"),
        ("t.xlsx", "", r"expected a .csv or .json file"),
    ],
)
def test_a_bad_file_says_what_to_change(tmp_path: Path, name: str, text: str, says: str) -> None:
    """The refusal names file, row and column."""
    with pytest.raises(FileRefused, match=says):
        read_tickets(written(tmp_path, name, text))


def test_a_missing_file_and_an_empty_folder(tmp_path: Path) -> None:
    """What is not there is named."""
    with pytest.raises(FileRefused, match="No such file"):
        read_tickets(tmp_path / "none.csv")
    with pytest.raises(FileRefused, match=r"holds no \.md file"):
        read_articles(tmp_path)
