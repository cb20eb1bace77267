"""Setting up a tenant by commands, against a real database."""

from __future__ import annotations

import json
import re
from pathlib import Path

import asyncpg
import pytest
from argon2 import PasswordHasher
from tests.integration.cli.conftest import Aiops
from tests.support.databases import DatabaseUrls, run_apart

from aiops_host.cli.main import main

JIRA = {"base_url": "https://jira.example", "email": "a@b.example", "api_token": "canary-token-4711"}


@pytest.fixture
def jira_config(tmp_path: Path) -> Path:
    """A configuration file with a secret in it."""
    file = tmp_path / "jira.json"
    file.write_text(json.dumps(JIRA))
    return file


def stored_bytes(database: DatabaseUrls) -> bytes:
    """Return the content of every table, as a stolen dump would show it."""

    async def dump() -> bytes:
        con = await asyncpg.connect(database.superuser)
        try:
            tables = await con.fetch(
                "select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace"
            )
            rows = [await con.fetch(f'select t::text from "{t["relname"]}" t') for t in tables]  # noqa: S608 - catalog names
            return repr(rows).encode()
        finally:
            await con.close()

    return run_apart(dump())


@pytest.mark.attack(21)
@pytest.mark.promise("secrets-sealed")
def test_a_tenant_is_set_up(aiops: Aiops, jira_config: Path, database: DatabaseUrls) -> None:
    """Tenant, connection and person are made; secret and password are shown once and stored nowhere in clear."""
    aiops("tenants", "create", "acme", "--name", "Acme Dental")
    made = aiops(
        "connections",
        "create",
        "--tenant",
        "acme",
        "--name",
        "desk",
        "--tool",
        "jira",
        "--config",
        jira_config,
        "--json",
    )
    person = aiops("users", "create", "Pat@acme.example", "--tenant", "acme", "--role", "technician", "--json")

    (connection,) = aiops("connections", "list", "--tenant", "acme", "--json")
    assert connection["id"] == made["connection_id"]
    assert connection["credentials"] == ["api_token"]
    assert made["webhook_url"].startswith("http://127.0.0.1:8000/webhooks/jira/")
    assert len(person["password"]) >= 12
    dump = stored_bytes(database)
    for plain in (JIRA["api_token"], made["webhook_secret"], person["password"]):
        assert plain.encode() not in dump


def test_import_counts_and_repeats(aiops: Aiops, tmp_path: Path) -> None:
    """A repeated import changes only what changed."""
    file = tmp_path / "t.csv"
    file.write_text("ticket_id,title,resolution\n1,VPN drops,MTU\n2,Printer jams,Cleaned\n")
    aiops("tenants", "create", "acme")

    assert aiops("tickets", "import", file, "--tenant", "acme", "--json") == {"added": 2, "changed": 0, "unchanged": 0}
    file.write_text("ticket_id,title,resolution\n1,VPN drops,New client\n2,Printer jams,Cleaned\n")
    assert aiops("tickets", "import", file, "--tenant", "acme", "--json") == {"added": 0, "changed": 1, "unchanged": 1}


@pytest.mark.attack(21)
def test_a_key_of_a_model_is_sealed_wherever_it_stands(aiops: Aiops, tmp_path: Path, database: DatabaseUrls) -> None:
    """Keys inside a list of models are sealed, and one left out of a new list is not kept for another model."""
    aiops("tenants", "create", "acme")
    file = tmp_path / "models.json"
    file.write_text(
        json.dumps({"models": [{"model": "openai/a", "api_key": "canary-key-0815"}, {"model": "openai/b"}]})
    )
    aiops("backends", "set", "litellm", "--tenant", "acme", "--config", file)
    assert b"canary-key-0815" not in stored_bytes(database)
    assert aiops("backends", "show", "litellm", "--tenant", "acme", "--json")["credentials"] == ["models.0.api_key"]

    file.write_text(json.dumps({"models": [{"model": "anthropic/x"}]}))
    aiops("backends", "set", "litellm", "--tenant", "acme", "--config", file)

    assert aiops("backends", "show", "litellm", "--tenant", "acme", "--json")["credentials"] == []


def test_backends_are_listed_and_shown(aiops: Aiops, tmp_path: Path) -> None:
    """In the order they are asked, with their configuration and the names, never the values, of their credentials."""
    aiops("tenants", "create", "acme")
    assert "acme uses none of its own" in aiops("backends", "list", "--tenant", "acme")
    file = tmp_path / "models.json"
    file.write_text(json.dumps({"models": [{"model": "openai/a", "api_key": "canary-key-0815"}]}))
    aiops("backends", "set", "offline", "--tenant", "acme", "--position", "2", "--disable")
    aiops("backends", "set", "litellm", "--tenant", "acme", "--config", file, "--position", "1")

    listed = aiops("backends", "list", "--tenant", "acme", "--json")

    assert [(b["name"], b["position"], b["enabled"], b["credentials"]) for b in listed] == [
        ("litellm", 1, True, ["models.0.api_key"]),
        ("offline", 2, False, []),
    ]
    assert listed[0] == aiops("backends", "show", "litellm", "--tenant", "acme", "--json")
    texts = aiops("backends", "list", "--tenant", "acme") + aiops("backends", "show", "litellm", "--tenant", "acme")
    assert "openai/a" in texts
    assert "kept but not used" in texts
    assert "canary" not in texts + str(listed)
    assert "it has: litellm, offline." in aiops("backends", "show", "openai", "--tenant", "acme", code=1)


def test_two_backends_share_no_position(aiops: Aiops, tmp_path: Path) -> None:
    """A taken place in the order is refused, naming who has it and a free one; one's own may be set again."""
    aiops("tenants", "create", "acme")
    file = tmp_path / "models.json"
    file.write_text(json.dumps({"models": [{"model": "openai/a"}]}))
    litellm = ("backends", "set", "litellm", "--tenant", "acme", "--config", file)
    offline = ("backends", "set", "offline", "--tenant", "acme")
    aiops(*litellm)
    aiops(*litellm)
    assert "position 0 is taken by litellm; lower is asked first, and 1 is free." in aiops(*offline, code=2)
    aiops(*offline, "--position", "1")
    listed = aiops("backends", "list", "--tenant", "acme", "--json")
    assert [(b["name"], b["position"]) for b in listed] == [("litellm", 0), ("offline", 1)]


def test_a_connection_answers_to_its_name(aiops: Aiops, jira_config: Path) -> None:
    """Commands take a connection's id or name; for another the refusal names those there are."""
    aiops("tenants", "create", "acme")
    create = ("connections", "create", "--tenant", "acme", "--tool", "jira", "--config", jira_config, "--name")
    made = aiops(*create, "desk", "--json")
    for called in ("desk", made["connection_id"]):
        for command, state in (("pause", "paused"), ("resume", "active")):
            aiops("connections", command, called, "--tenant", "acme")
            assert aiops("connections", "list", "--tenant", "acme", "--json")[0]["state"] == state
    for command in (
        ("connections", "pause", "front"),
        ("connections", "test", "front"),
        ("tickets", "import", "--connection", "front"),
    ):
        error = aiops(*command, "--tenant", "acme", code=1)
        assert "has no connection 'front'; it has: desk. Their ids: aiops connections list --tenant acme" in error


def test_what_is_shown_once_stands_last(aiops: Aiops, jira_config: Path) -> None:
    """The webhook's address and secret end what is printed, whatever there is to explain; a password says it too."""
    aiops("tenants", "create", "acme")
    command = ("connections", "create", "--tenant", "acme", "--name", "desk", "--tool", "jira")
    printed = aiops(*command, "--config", jira_config).splitlines()
    assert re.fullmatch(r"webhook  http://127.0.0.1:8000/webhooks/jira/[0-9a-f]{32}", printed[-2])
    assert re.fullmatch(r"secret   \S{40,}  \(shown this once\)", printed[-1])
    assert "(shown this once)" in aiops("users", "create", "pat@acme.example", "--tenant", "acme")


def test_whoever_is_there_is_not_made_again(aiops: Aiops, database: DatabaseUrls) -> None:
    """A person who exists keeps password and role, is named, and can be added to another tenant or given a password."""
    for slug in ("acme", "bolt"):
        aiops("tenants", "create", slug)
    pat = ("users", "create", "Pat@acme.example", "--tenant")
    aiops(*pat, "acme", "--role", "tenant-admin")
    before = people(database)
    for again in (("acme", "--role", "read-only"), ("bolt", "--platform-admin")):
        error = aiops(*pat, *again, code=1)
        assert "Pat@acme.example" in error
        assert "`aiops users password Pat@acme.example` gives a new password" in error
        assert people(database) == before
    said = aiops(*pat, "bolt", "--role", "read-only")
    assert said == "Pat@acme.example now belongs to bolt too, as read-only, and keeps the password they have\n"
    ((kept, roles),) = people(database)
    assert (kept, sorted(roles)) == (before[0][0], ["read-only", "tenant-admin"])
    fresh = aiops("users", "password", "pat@acme.example", "--json")["password"]
    ((changed, roles),) = people(database)
    assert PasswordHasher().verify(changed, fresh)
    assert sorted(roles) == ["read-only", "tenant-admin"]


def people(database: DatabaseUrls) -> list[tuple[str, list[str]]]:
    """Return password hash and roles of everybody."""

    async def work() -> list[tuple[str, list[str]]]:
        con = await asyncpg.connect(database.superuser)
        try:
            rows = await con.fetch(
                "select password_hash, array(select role from membership m where m.user_id = u.user_id) as roles "
                "from app_user u"
            )
            return [(row["password_hash"], list(row["roles"])) for row in rows]
        finally:
            await con.close()

    return run_apart(work())


def test_what_an_import_leaves_out_is_told(aiops: Aiops, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Unknown columns and empty articles are named on the error stream; the count stays alone on the output."""
    aiops("tenants", "create", "acme")
    (tmp_path / "kb").mkdir()
    (tmp_path / "kb" / "empty.md").write_text("")
    (tmp_path / "kb" / "vpn.md").write_text("Do it.")
    (tmp_path / "t.csv").write_text("ticket_id,title,colour\n1,x,red\n")
    (tmp_path / "a.csv").write_text("name,colour\nx,red\n")
    for noun, name, says in (
        ("tickets", "t.csv", "not imported: colour. Known columns: ticket_id, title,"),
        ("assets", "a.csv", "not imported: colour. Known columns: name, kind,"),
        ("knowledge", "kb", "empty.md has no text and is left out."),
    ):
        assert main([noun, "import", str(tmp_path / name), "--tenant", "acme", "--json"]) == 0
        printed = capsys.readouterr()
        assert json.loads(printed.out)["added"] == 1
        assert says in printed.err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"base_url": "https://j.example",\n "email": ', "line 2, column 11: Expecting value"),
        ("{'base_url': 1}", "line 1, column 2: Expecting property name"),
        ("", "line 1, column 1"),
        ("[1]", "this is JSON, but no object of fields and values"),
        ('{"colour": "red"}', "colour: there is no such field; there are: base_url, edition, email,"),
        ('{"base_url": "https://j.example", "email": 7}', "email: must be a text, not a whole number."),
        ('{"base_url": "j.example"}', "base_url: must begin with http:// or https://"),
    ],
)
def test_a_configuration_that_does_not_fit_says_where(aiops: Aiops, tmp_path: Path, text: str, says: str) -> None:
    """The refusal names file, line and column, or the field and those there are, in a user's words."""
    aiops("tenants", "create", "acme")
    file = tmp_path / "j.json"
    file.write_text(text)

    command = ("connections", "create", "--tenant", "acme", "--name", "x", "--tool", "jira", "--config", file)
    error = aiops(*command, code=2)

    assert says in error
    assert "JiraConfig" not in error
    assert "there is no" in says or "must b" in says or str(file) in error


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("tenants", "create", "Not A Slug"), 2, "must be 2 to 63"),
        (("tenants", "create", "acme"), 1, "There is a tenant 'acme' already"),
        (("connections", "list", "--tenant", "nobody"), 1, "There is no tenant 'nobody'"),
        (
            ("connections", "create", "--tenant", "acme", "--name", "x", "--tool", "remedy"),
            1,
            "No installed plugin provides 'remedy'",
        ),
        (("backends", "set", "oracle", "--tenant", "acme"), 1, "No installed plugin provides 'oracle'"),
        (("providers", "drop", "nobody", "--tenant", "acme"), 1, "There is no key for nobody"),
        (("providers", "order", "openai", "nobody", "--tenant", "acme"), 1, "There is no provider 'nobody'"),
        (("providers", "remove", "nobody"), 1, "There is no provider 'nobody'"),
        (("keys", "rewrap", "--from", "nobody"), 1, "No installed plugin provides 'nobody'"),
        (
            (
                "connections",
                "create",
                "--tenant",
                "acme",
                "--name",
                "x",
                "--tool",
                "jira",
                "--set",
                "base_url=https://j.example",
            ),
            2,
            "Jira Cloud needs email and api_token",
        ),
        (
            ("connections", "create", "--tenant", "acme", "--name", "x", "--tool", "jira", "--set", "colour=red"),
            2,
            "colour",
        ),
        (
            (
                *("connections", "create", "--tenant", "acme", "--name", "x", "--tool", "jira", "--agent", "oracle"),
                *("--set", "base_url=https://j.example", "--set", "email=a@b.example", "--set", "api_token=t"),
            ),
            1,
            "No installed plugin provides 'oracle'; there is: enhance",
        ),
        (("users", "create", "a@b.example"), 2, "--tenant SLUG or --platform-admin"),
        (("users", "create", "nobody", "--tenant", "acme"), 2, "'nobody' is not an email address"),
        (("tickets", "import", "--tenant", "acme", "--since", "soon"), 2, "neither a span"),
        (("tickets", "import", "none.csv", "--tenant", "acme"), 2, "none.csv: No such file"),
        (("knowledge", "import", "none.md", "--tenant", "acme"), 2, "none.md: No such file"),
        (("assets", "import", "none.csv", "--tenant", "acme"), 2, "none.csv: No such file"),
        (("deliveries", "list", "--tenant", "acme", "--cursor", "junk"), 2, "cursor"),
        (("users", "password", "nobody@acme.example"), 1, "There is no person nobody@acme.example"),
        (("nonsense",), 2, "No such command"),
    ],
)
def test_misuse_is_explained(aiops: Aiops, arguments: tuple[str, ...], code: int, says: str) -> None:
    """A wrong call ends with 1 or 2, without a traceback, and says what to change."""
    aiops("tenants", "create", "acme")

    error = aiops(*arguments, code=code)

    assert says in error
    assert "Traceback" not in error


def test_without_settings_it_says_which(aiops: Aiops, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command without a database names the variable to set, and the way around it."""
    monkeypatch.delenv("AIOPS_DATABASE_URL")

    error = aiops("tenants", "list", code=2)

    assert "Set AIOPS_DATABASE_URL" in error
    assert "aiops up" in error


def test_a_key_file_others_can_read_is_refused(aiops: Aiops, jira_config: Path, tmp_path: Path) -> None:
    """A key that other users can read seals nothing."""
    aiops("tenants", "create", "acme")
    (tmp_path / "key").chmod(0o644)

    error = aiops(
        "connections", "create", "--tenant", "acme", "--name", "x", "--tool", "jira", "--config", jira_config, code=2
    )

    assert "chmod 600" in error


def test_a_key_is_never_overwritten(aiops: Aiops, tmp_path: Path) -> None:
    """Making a key where one is changes nothing."""
    before = (tmp_path / "key").read_text()

    assert "never overwritten" in aiops("keys", "init", tmp_path / "key", code=2)

    assert (tmp_path / "key").read_text() == before
