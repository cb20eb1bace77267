"""The demo's seed data: readable, consistent, and holding the special cases the demo shows."""

import csv
import ipaddress
import json
import re
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import pytest

SEED = files("aiops_demo") / "seed"
TENANTS = ("harbor", "lindner")
TICKET_COLUMNS = [
    *("ticket_id", "title", "description", "resolution", "category", "priority"),
    *("requester", "technician", "created_at", "resolved_at", "url"),
]
ASSET_COLUMNS = ["name", "kind", "hostnames", "ips", "owner", "site", "notes"]
LIVE_KEYS = {"ticket_id", "title", "description", "description_format", "priority", "requester", "category", "why"}
PRIORITIES = {"Critical", "High", "Medium", "Low"}
FORMATS = {"harbor": {"text", "html"}, "lindner": {"text", "wiki", "adf-paragraphs"}}
TICKET_ID = {"harbor": r"2\d{4}", "lindner": r"OPS-1\d{3}"}
LIVE_ID = {"harbor": r"3000[1-6]", "lindner": r"OPS-200[1-6]"}
GERMAN = {
    *("der", "die", "das", "und", "nicht", "ist", "auf", "mit", "ein", "eine"),
    *("für", "wird", "bei", "dem", "den", "im", "keine", "nach", "seit", "geht"),
}
IPV4 = r"\b\d{1,3}(?:\.\d{1,3}){3}\b"
IPV6 = r"\b2001:db8:[0-9a-f:]+"
DOCUMENTATION = [
    ipaddress.ip_network(net)
    for net in (
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),
        *("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "fd00::/8"),
    )
]


def read_rows(tenant: str, name: str) -> list[dict[str, str]]:
    """Read one table of a tenant, its header included in every row's keys."""
    with (SEED / tenant / name).open(encoding="utf-8") as source:
        return list(csv.DictReader(source, strict=True))


def read_json(tenant: str, name: str) -> Any:
    """Read one JSON file of a tenant."""
    return json.loads((SEED / tenant / name).read_text(encoding="utf-8"))


def read_articles(tenant: str) -> dict[str, tuple[dict[str, str], str]]:
    """Read a tenant's articles: file name to front matter and body."""
    articles = {}
    for path in (SEED / tenant / "knowledge").iterdir():
        _, head, body = path.read_text(encoding="utf-8").split("---\n", 2)
        front = dict(line.split(": ", 1) for line in head.splitlines())
        articles[path.name] = front, body
    return articles


def live(ticket_id: str) -> dict[str, Any]:
    """Return one live ticket of either tenant."""
    found = [t for tenant in TENANTS for t in read_json(tenant, "live.json") if t["ticket_id"] == ticket_id]
    assert len(found) == 1
    ticket: dict[str, Any] = found[0]
    return ticket


def is_german(text: str) -> bool:
    """Tell German by its small words: at least every tenth word."""
    words = re.findall(r"\w+", text.lower())
    return sum(word in GERMAN for word in words) * 10 >= len(words)


def parse_time(text: str) -> datetime:
    """Read an ISO 8601 time that names UTC."""
    assert text.endswith("Z")
    return datetime.fromisoformat(text)


@pytest.mark.parametrize("tenant", TENANTS)
def test_tickets_are_complete(tenant: str) -> None:
    """Each tenant has at least 100 tickets with every column but the address filled."""
    rows = read_rows(tenant, "tickets.csv")
    assert len(rows) >= 100
    assert all(list(row) == TICKET_COLUMNS for row in rows)
    assert [row for row in rows if row["url"] or not all(v for k, v in row.items() if k != "url")] == []
    assert {row["priority"] for row in rows} == PRIORITIES
    assert [row["ticket_id"] for row in rows if not re.fullmatch(TICKET_ID[tenant], row["ticket_id"])] == []


@pytest.mark.parametrize("tenant", TENANTS)
def test_tickets_differ(tenant: str) -> None:
    """No id, title, description or resolution occurs twice, nor with only its numbers changed."""
    rows = read_rows(tenant, "tickets.csv")
    for column in ("ticket_id", "title", "description", "resolution"):
        keep_digits = column == "ticket_id"
        values = [row[column] if keep_digits else re.sub(r"\d+", "0", row[column].lower()) for row in rows]
        assert len(set(values)) == len(values)


@pytest.mark.parametrize("tenant", TENANTS)
def test_ticket_times_are_in_order(tenant: str) -> None:
    """A ticket is resolved after it is created, both within the year the demo tells."""
    for row in read_rows(tenant, "tickets.csv"):
        created, resolved = parse_time(row["created_at"]), parse_time(row["resolved_at"])
        assert datetime(2026, 2, 1, tzinfo=UTC) <= created < resolved <= datetime(2026, 11, 15, tzinfo=UTC)


def test_history_covers_many_kinds_of_trouble() -> None:
    """Each tenant names at least 14 kinds of trouble, each with several tickets."""
    for tenant in TENANTS:
        categories = [row["category"] for row in read_rows(tenant, "tickets.csv")]
        assert len(set(categories)) >= 14
        assert min(categories.count(category) for category in set(categories)) >= 3


def test_some_history_is_german() -> None:
    """At least ten of the machine builder's tickets are in German, title, description and resolution."""
    rows = read_rows("lindner", "tickets.csv")
    assert sum(is_german(row["description"]) and is_german(row["resolution"]) for row in rows) >= 10


@pytest.mark.parametrize("tenant", TENANTS)
def test_articles_are_readable(tenant: str) -> None:
    """Each tenant has at least 14 articles with front matter, headings and 120 to 350 words."""
    articles = read_articles(tenant)
    assert len(articles) >= 14
    for name, (front, body) in articles.items():
        assert set(front) == {"title", "url", "updated", "tags"}, name
        assert front["url"].startswith(f"https://kb.{tenant}.example/"), name
        assert datetime.fromisoformat(front["updated"]) <= datetime(2026, 11, 15), name
        assert 120 <= len(body.split()) <= 350, name
        assert "\n## " in body, name
        assert "\n1. " in body, name
        fences = [line for line in body.splitlines() if line.startswith("```")]
        assert fences, name
        assert len(fences) % 2 == 0, name
    assert len({front["title"] for front, _ in articles.values()}) == len(articles)


@pytest.mark.parametrize("tenant", TENANTS)
def test_assets_are_complete(tenant: str) -> None:
    """Each tenant has at least 32 assets with unique names, hostnames and private or documentation addresses."""
    rows = read_rows(tenant, "assets.csv")
    assert len(rows) >= 32
    assert all(list(row) == ASSET_COLUMNS and all(row.values()) for row in rows)
    for column in ("name", "hostnames", "ips"):
        values = [value for row in rows for value in row[column].split(";")]
        assert len(set(values)) == len(values)
    addresses = [ipaddress.ip_address(value) for row in rows for value in row["ips"].split(";")]
    assert [a for a in addresses if not any(a.version == n.version and a in n for n in DOCUMENTATION)] == []
    assert {4, 6} == {address.version for address in addresses}


@pytest.mark.parametrize("tenant", TENANTS)
def test_live_tickets_are_complete(tenant: str) -> None:
    """Each tenant has six live tickets in the shapes its ticketing tool can carry, none clashing with history."""
    tickets = read_json(tenant, "live.json")
    assert [t["ticket_id"] for t in tickets if not re.fullmatch(LIVE_ID[tenant], t["ticket_id"])] == []
    assert len({t["ticket_id"] for t in tickets}) == 6
    assert not {t["ticket_id"] for t in tickets} & {row["ticket_id"] for row in read_rows(tenant, "tickets.csv")}
    for ticket in tickets:
        assert set(ticket) == LIVE_KEYS
        assert ticket["category"] is None
        assert ticket["priority"] in PRIORITIES
        assert ticket["description_format"] in FORMATS[tenant]
        assert ticket["requester"]["email"].endswith(".example")
        assert all([ticket["requester"]["name"], ticket["title"], ticket["description"], ticket["why"]])
    assert {t["description_format"] for t in tickets} == FORMATS[tenant]


@pytest.mark.parametrize("tenant", TENANTS)
def test_live_tickets_name_real_assets(tenant: str) -> None:
    """Every address in a live ticket belongs to an asset of the same tenant."""
    known = {ip for row in read_rows(tenant, "assets.csv") for ip in row["ips"].split(";")}
    for ticket in read_json(tenant, "live.json"):
        named = set(re.findall(f"{IPV4}|{IPV6}", ticket["description"]))
        assert named <= known, ticket["ticket_id"]


def test_live_tickets_show_the_asset_cases() -> None:
    """One live ticket names an asset by its IPv4 address only, one by hostname and IPv6 address."""
    harbor = {row["name"]: row for row in read_rows("harbor", "assets.csv")}
    lindner = {row["name"]: row for row in read_rows("lindner", "assets.csv")}
    by_address = live("30002")["description"]
    assert "10.21.30.21" in by_address
    assert "10.21.30.21" in harbor["BTH-XRAY01"]["ips"].split(";")
    assert "bth-xray01" not in by_address.lower()
    by_name = live("OPS-2003")["description"]
    assert "ess-hdb01" in by_name
    assert "ess-hdb01" in lindner["ESS-HDB01"]["hostnames"].split(";")
    assert "2001:db8:50:10::22" in by_name
    assert "2001:db8:50:10::22" in lindner["ESS-HDB01"]["ips"].split(";")


def test_one_live_ticket_is_german() -> None:
    """Of the live tickets exactly one is in German."""
    tickets = [t for tenant in TENANTS for t in read_json(tenant, "live.json")]
    assert [t["ticket_id"] for t in tickets if is_german(t["description"])] == ["OPS-2001"]


def test_one_live_ticket_carries_a_log() -> None:
    """One live ticket carries a long log whose cause stands in one line of it."""
    lines = live("OPS-2002")["description"].splitlines()
    assert len(lines) >= 40
    assert sum(line.startswith("\tat ") for line in lines) >= 20
    assert sum("CertificateExpiredException: NotAfter" in line for line in lines) == 1


def test_one_live_ticket_attempts_prompt_injection() -> None:
    """One forwarded mail asks for other tenants' tickets, a send to an address, a public note and claims of success."""
    ticket = live("30003")
    text = ticket["description"].lower()
    assert ticket["title"].startswith("FW:")
    for demand in (
        "every other customer",
        "https://collect.audit-sync.example/",
        "note public",
        "ticket has been closed",
    ):
        assert demand in text
    links = read_json("harbor", "profile.json")["allowed_link_hosts"]
    assert "collect.audit-sync.example" not in links


def test_one_live_ticket_has_no_history() -> None:
    """The unrelated live ticket shares no telling word with any past ticket of its tenant."""
    telling = {"aquarium", "fish", "tank", "tetras", "neon", "floating"}
    ticket = live("30004")
    assert telling <= set(re.findall(r"\w+", f"{ticket['title']} {ticket['description']}".lower()))
    for row in read_rows("harbor", "tickets.csv"):
        assert not telling & set(re.findall(r"\w+", " ".join(row.values()).lower())), row["ticket_id"]


@pytest.mark.parametrize("tenant", TENANTS)
def test_profiles_name_the_tenant(tenant: str) -> None:
    """A profile names the tenant, its ticketing tool, people at documentation domains and its knowledge base's host."""
    profile = read_json(tenant, "profile.json")
    assert set(profile) == {"slug", "name", "ticketing_tool", "technicians", "users", "allowed_link_hosts"}
    assert profile["slug"] == tenant
    assert profile["ticketing_tool"] == {"harbor": "servicedesk", "lindner": "jira"}[tenant]
    assert {user["role"] for user in profile["users"]} == {"tenant-admin", "technician"}
    people = [*profile["technicians"], *profile["users"]]
    assert all(person["email"].endswith(".example") for person in people)
    assert f"kb.{tenant}.example" in profile["allowed_link_hosts"]
    technicians = {row["technician"] for row in read_rows(tenant, "tickets.csv")}
    assert technicians == {technician["name"] for technician in profile["technicians"]}


def test_seed_data_name_nothing_real() -> None:
    """The data name no folder of a developer's machine, and mail addresses only at documentation domains."""
    for tenant in TENANTS:
        folder = SEED / tenant
        named = [folder / name for name in ("tickets.csv", "assets.csv", "live.json", "profile.json")]
        text = "\n".join(p.read_text(encoding="utf-8") for p in [*named, *(folder / "knowledge").iterdir()])
        assert re.findall(r"/(?:root|tmp|work)/", text) == []
        assert [m for m in re.findall(r"[\w.]+@([\w.-]+\w)", text) if not m.endswith(".example") and "." in m] == []
