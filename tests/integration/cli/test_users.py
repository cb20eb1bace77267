"""People and tokens by commands."""

from __future__ import annotations

import subprocess
import sys
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from tests.integration.cli.conftest import Aiops
from tests.support.smtp import mail_server

from aiops_host.cli.main import main


@pytest.fixture(autouse=True)
def harbor(aiops: Aiops) -> None:
    """A tenant, its administrator and the platform's."""
    aiops("tenants", "create", "harbor")
    aiops("users", "create", "anna@harbor.example", "--tenant", "harbor", "--role", "tenant-admin")
    aiops("users", "create", "root@example.com", "--platform-admin")


def people(aiops: Aiops, *options: str) -> dict[str, dict[str, object]]:
    """Return people by address."""
    return {p["email"]: p for p in aiops("users", "list", *options, "--json")}


def test_people_are_listed(aiops: Aiops) -> None:
    """Everybody with their tenants, or a tenant's members with their roles."""
    found = people(aiops)
    assert found["anna@harbor.example"]["tenants"] == ["harbor"]
    assert found["root@example.com"]["platform_admin"] is True
    assert people(aiops, "--tenant", "harbor")["anna@harbor.example"]["role"] == "tenant-admin"
    assert "root@example.com" in aiops("users", "list")
    assert "tenant-admin" in aiops("users", "list", "--tenant", "harbor")


def test_roles_are_given_and_taken(aiops: Aiops) -> None:
    """A member's role is changed and the member removed; the last administrator stays, with a word on what to do."""
    aiops("users", "create", "ben@harbor.example", "--tenant", "harbor")
    aiops("users", "role", "ben@harbor.example", "read-only", "--tenant", "harbor")
    assert people(aiops, "--tenant", "harbor")["ben@harbor.example"]["role"] == "read-only"
    assert "make somebody else one first" in aiops(
        "users", "remove", "anna@harbor.example", "--tenant", "harbor", code=1
    )
    aiops("users", "remove", "ben@harbor.example", "--tenant", "harbor")
    assert list(people(aiops, "--tenant", "harbor")) == ["anna@harbor.example"]
    for command in (("remove", "ben@harbor.example"), ("role", "root@example.com", "read-only")):
        said = aiops("users", *command, "--tenant", "harbor", code=1)
        assert f"{command[1]} is no member of harbor; `aiops users list --tenant harbor` lists them" in said
    assert "aiops users list" in aiops("users", "promote", "nobody@harbor.example", code=1)


def test_platform_administrators_come_and_go(aiops: Aiops) -> None:
    """One is promoted, another demoted; the last stays, and is not kept out either."""
    for command in ("demote", "deactivate"):
        assert "only platform administrator" in aiops("users", command, "root@example.com", code=1)
    aiops("users", "promote", "anna@harbor.example")
    aiops("users", "demote", "root@example.com")
    found = people(aiops)
    assert [found[e]["platform_admin"] for e in ("anna@harbor.example", "root@example.com")] == [True, False]
    aiops("users", "deactivate", "root@example.com")
    assert people(aiops)["root@example.com"]["active"] is False
    assert "deactivated" in aiops("users", "list")
    aiops("users", "activate", "root@example.com")
    assert people(aiops)["root@example.com"]["active"] is True
    assert "0 sessions of root@example.com ended" in aiops("users", "logout", "root@example.com")


def test_links_are_printed_or_mailed(aiops: Aiops, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a mail server a link is printed; with one it is mailed, unless it is to be printed or the mail failed."""
    invited = aiops("users", "invite", "ben@harbor.example", "--tenant", "harbor", "--json")
    assert urlsplit(invited["url"]).path == "/invitation"
    assert len(parse_qs(urlsplit(invited["url"]).query)["token"][0]) == 43
    assert "Hand this link to anna@harbor.example" in aiops("users", "reset", "anna@harbor.example")
    with mail_server() as box:
        monkeypatch.setenv("AIOPS_SMTP_URL", f"smtp+plain://localhost:{box.port}")
        monkeypatch.setenv("AIOPS_MAIL_FROM", "ops@example.com")
        assert "has a mail" in aiops("users", "invite", "ben@harbor.example", "--tenant", "harbor")
        assert box.mails[0]["To"] == "ben@harbor.example"
        assert "http" in aiops("users", "reset", "anna@harbor.example", "--print")
        box.refuses = "554 not today"
        failed = aiops("users", "reset", "anna@harbor.example", "--json")
        assert "554 not today" in failed["problem"]
        assert failed["url"]
        assert len(box.mails) == 1


def test_a_second_invitation_says_that_the_first_ended(aiops: Aiops, capsys: pytest.CaptureFixture[str]) -> None:
    """On the error stream; the first says nothing, and neither does one to somebody else."""
    told = []
    for email in ("ben@harbor.example", "Ben@harbor.example", "eve@harbor.example"):
        assert main(["users", "invite", email, "--tenant", "harbor", "--json"]) == 0
        told.append(capsys.readouterr().err.strip())
    assert told == ["", "Ben@harbor.example was invited to harbor before; the link of then leads nowhere any more.", ""]


def test_a_failed_mail_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a process of its own, where nothing but the command writes to the error stream."""
    monkeypatch.setenv("AIOPS_SMTP_URL", "smtp+plain://127.0.0.1:1")
    monkeypatch.setenv("AIOPS_MAIL_FROM", "ops@example.com")
    command = [sys.executable, "-m", "aiops_host.cli.main", "users", "invite", "ben@harbor.example", "--tenant"]
    done = subprocess.run([*command, "harbor"], capture_output=True, text=True, check=True)
    assert done.stderr.count("The mail server 127.0.0.1:1 cannot be used") == 1
    assert "Hand this link to ben@harbor.example" in done.stdout


def test_tokens_are_made_listed_and_revoked(aiops: Aiops) -> None:
    """A token is printed once, listed without itself, and gone when it is revoked; not worth more than its owner."""
    made = aiops(
        "tokens", "create", "nightly", "--for", "anna@harbor.example", "--tenant", "harbor",
        "--role", "technician", "--permission", "runs.read", "--days", 7, "--json",
    )  # fmt: skip
    assert made["token"].startswith("aiops_pat_")
    (listed,) = aiops("tokens", "list", "--json")
    assert (listed["owner"], listed["permissions"]) == ("anna@harbor.example", ["runs.read"])
    printed = aiops("tokens", "list", "--tenant", "harbor")
    assert "nightly" in printed
    assert made["token"] not in printed
    assert f"{made['id']}  {made['token'][:14]}…  nightly" in printed
    assert f"{listed['created_at'][:16].replace('T', ' ')}  {listed['expires_at'][:10]}" in printed
    aiops("tokens", "revoke", made["id"])
    assert aiops("tokens", "list", "--json") == []
    assert "no such token" in aiops("tokens", "revoke", uuid4(), code=1)
    help_ = " ".join(aiops("tokens", "create", "--help").split())
    assert "technician: deliveries.replay tenant-admin: connections.manage" in help_
    assert "members.manage" not in help_, "no token may have it"
    refused = aiops("tokens", "create", "x", "--for", "anna@harbor.example", "--role", "platform-admin", code=1)
    assert "only a platform administrator's" in refused
    wrong = ("--for", "root@example.com", "--tenant", "harbor", "--permission", "runs.red")
    unknown = aiops("tokens", "create", "x", *wrong, code=1)
    assert "There is no permission 'runs.red'. `aiops tokens create --help` lists them." in unknown
    assert "aiops_pat_" in aiops("tokens", "create", "all", "--for", "root@example.com", "--role", "platform-admin")
