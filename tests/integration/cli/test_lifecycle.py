"""Tenants and webhook addresses looked after by command."""

from __future__ import annotations

import asyncio
import errno
import io
import json
import re
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest
from tests.integration.cli.conftest import Aiops
from tests.support.databases import DatabaseUrls, run_apart
from tests.support.interrupted import held

from aiops_host.cli.archives import FileBroken, whole
from aiops_host.data import refusals
from aiops_host.data.refusals import Refusal
from aiops_host.data.session import Database

JIRA = {"base_url": "https://jira.example", "email": "a@b.example", "api_token": "canary-token-4711"}
OURS = ("--tenant", "acme")


@pytest.fixture
def made(aiops: Aiops, tmp_path: Path) -> dict[str, Any]:
    """A tenant with a connection; what its creation printed."""
    file = tmp_path / "jira.json"
    file.write_text(json.dumps(JIRA))
    aiops("tenants", "create", "acme", "--name", "Acme Dental")
    printed: dict[str, Any] = aiops(
        "connections", "create", *OURS, "--name", "desk", "--tool", "jira", "--config", file, "--json"
    )
    return printed


def test_a_tenant_is_changed_suspended_and_resumed(aiops: Aiops, made: dict[str, Any]) -> None:
    """Each command says how the tenant is now, and what a suspension means."""
    assert made
    said = aiops("tenants", "set", "acme", "--contact", "sam@acme.example", "--overlap-hours", "2")
    assert "tenant acme (Acme Dental): active" in said
    assert "contact: sam@acme.example" in said
    assert "webhooks are stored and wait" in aiops("tenants", "suspend", "acme")
    assert "Webhooks of a suspended tenant are stored and wait" in aiops("tenants", "list")
    assert "wait" not in aiops("tenants", "resume", "acme")
    shown = aiops("tenants", "show", "acme", "--json")
    assert shown["settings"] == {"contact": "sam@acme.example", "overlap_hours": 2.0}
    assert "Say what to change" in aiops("tenants", "set", "acme", code=2)
    assert "overlap-hours" in aiops("tenants", "set", "acme", "--overlap-hours", "200", code=2)


def test_an_export_is_a_file_of_the_owner_s(aiops: Aiops, made: dict[str, Any], tmp_path: Path) -> None:
    """It holds the tenant's rows and no secret, is readable by its owner only, and overwrites nothing."""
    archive = tmp_path / "acme.zip"
    assert "holds all rows of acme" in aiops("tenants", "export", "acme", "--to", archive)
    assert archive.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(archive) as bundle:
        text = b"\n".join(bundle.read(name) for name in bundle.namelist()).decode()
    assert made["connection_id"] in text
    for secret in (JIRA["api_token"], made["webhook_secret"]):
        assert secret not in text
    assert "File exists" in aiops("tenants", "export", "acme", "--to", archive, code=2)


@pytest.mark.promise("export-whole")
def test_an_export_that_breaks_off_leaves_no_file(
    aiops: Aiops, made: dict[str, Any], database: DatabaseUrls, tmp_path: Path
) -> None:
    """PostgreSQL ends the session in the middle: an error says what to do, and no file could be taken for an archive."""
    assert made
    folder = tmp_path / "archives"
    folder.mkdir()
    archive = folder / "acme.zip"

    async def broken(*arguments: object) -> str:
        async with held(database.superuser, "run", kill=True):
            said: str = await asyncio.to_thread(aiops, "tenants", "export", "acme", *arguments, code=1)
        return said

    said = run_apart(broken("--to", archive))
    assert "broke off in the table run" in said
    assert "begin it anew" in said
    assert list(folder.iterdir()) == []
    assert "holds all rows of acme" in aiops("tenants", "export", "acme", "--to", archive)
    assert list(folder.iterdir()) == [archive]


def test_an_archive_has_its_name_when_it_is_whole(tmp_path: Path) -> None:
    """While it is written it has another; one that appears meanwhile is not overwritten, a full disk is explained."""
    archive = tmp_path / "acme.zip"
    with whole(archive) as file:
        file.write(b"first")
        assert not archive.exists()
    assert archive.read_bytes() == b"first"
    archive.unlink()
    with pytest.raises(click.BadParameter, match="File exists"), whole(archive):
        archive.write_bytes(b"somebody else's")
    assert archive.read_bytes() == b"somebody else's"
    archive.unlink()
    with pytest.raises(FileBroken, match=r"nothing is left of it: No space left on device\."), whole(archive):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_a_tenant_is_deleted_by_who_types_its_slug(aiops: Aiops, made: dict[str, Any]) -> None:
    """Anything else is refused; afterwards there is none, and its name can be used again."""
    assert made
    assert "Type the slug 'acme'" in aiops("tenants", "delete", "acme", "--confirm", "acne", code=1)
    assert "keys destroyed" in aiops("tenants", "delete", "acme", "--confirm", "acme")
    assert aiops("tenants", "list", "--json") == []
    assert "There is no tenant 'acme'" in aiops("tenants", "show", "acme", code=1)
    aiops("tenants", "create", "acme")
    assert aiops("connections", "list", *OURS, "--json") == []


def test_a_secret_is_rotated_and_its_overlap_ended(aiops: Aiops, made: dict[str, Any]) -> None:
    """The new secret is printed once, with what the sender must know; the old one is listed until it ends."""
    alone = aiops("webhooks", "show", "desk", *OURS).splitlines()[4]
    assert alone.endswith("not kept for the only one"), "the dash of a secret in daily use would say that it is not"
    rotated = aiops("webhooks", "rotate", "desk", *OURS, "--overlap-hours", "1", "--json")
    assert rotated["webhook_secret"] != made["webhook_secret"]
    assert rotated["webhook_url"] == made["webhook_url"]
    shown = aiops("webhooks", "show", rotated["endpoint_id"], *OURS, "--json")
    assert [(s["version"], s["current"]) for s in shown["secrets"]] == [(2, True), (1, False)]
    ends = [line.rpartition("  ")[2] for line in aiops("webhooks", "show", "desk", *OURS).splitlines()[4:]]
    assert ends == ["not yet", "not since 2 was made"]
    text = aiops("webhooks", "rotate", "desk", *OURS)
    assert "(shown this once)" in text
    assert "Version 3 is valid from now on; version 2 until 20" in text
    assert "ended" not in text
    third = aiops("webhooks", "rotate", "desk", *OURS)
    assert re.search(
        r"Version 4 .*; version 3 until 20.*, version 2 until 20.* UTC; version 1 ended now, because", third
    )
    ended = aiops("webhooks", "end-overlap", "desk", *OURS)
    assert [line.split()[:2] for line in ended.splitlines()[4:]] == [["4", "newest"]]
    assert "no other is" in aiops("webhooks", "rotate", "desk", *OURS, "--overlap-hours", "0")


def test_networks_are_set_and_shown(aiops: Aiops, made: dict[str, Any]) -> None:
    """Only the networks named may post until all may again; what is no network is named."""
    assert made
    assert "allowed  192.0.2.0/24, 2001:db8::/32" in aiops(
        "webhooks", "networks", "desk", *OURS, "--allow", "192.0.2.0/24", "--allow", "2001:db8::/32"
    )
    assert "networks.0" in aiops("webhooks", "networks", "desk", *OURS, "--allow", "example.com", code=2)
    assert "allowed  all networks" in aiops("webhooks", "networks", "desk", *OURS, "--all")
    for wrong in ((), ("--all", "--allow", "192.0.2.0/24")):
        assert "--allow CIDR" in aiops("webhooks", "networks", "desk", *OURS, *wrong, code=2)


def test_refusals_are_explained(aiops: Aiops, made: dict[str, Any], database: DatabaseUrls) -> None:
    """Which check failed, how often, from where, and what to change; nothing refused is said as well."""
    assert "refused nothing so far" in aiops("webhooks", "explain", "desk", *OURS)

    async def refuse() -> None:
        pools = await Database.open({"intake": database.intake}, {"intake": 1})
        try:
            one = Refusal(
                at=datetime(2026, 11, 23, 9, tzinfo=UTC),
                check="signature",
                detail="The header x-hub-signature matches no live secret of this endpoint.",
                address="203.0.113.5",
                names=("content-type", "x-hub-signature"),
                times=3,
            )
            await refusals.record(pools, made["endpoint_id"], [one])
        finally:
            await pools.close()

    run_apart(refuse())
    said = aiops("webhooks", "explain", "desk", *OURS)
    for part in (
        "signature, 3 times  from 203.0.113.5",
        "matches no live secret",
        "headers: content-type, x-hub-signature",
    ):
        assert part in said
    assert "Enter the newest secret" in " ".join(said.split())
    found = aiops("webhooks", "explain", made["connection_id"], *OURS, "--json")
    assert [one["check"] for one in found["refusals"]] == ["signature"]
    assert "has no connection 'nothing'" in aiops("webhooks", "explain", "nothing", *OURS, code=1)


def test_a_connection_is_deleted_by_who_types_its_name(aiops: Aiops, made: dict[str, Any]) -> None:
    """It leaves the list, and its name can be used again."""
    assert "Type the name 'desk'" in aiops("connections", "delete", "desk", *OURS, "--confirm", "disk", code=1)
    assert made["connection_id"] in aiops("connections", "delete", "desk", *OURS, "--confirm", "desk")
    assert aiops("connections", "list", *OURS, "--json") == []


class _Interrupted(io.StringIO):
    def readline(self, size: int | None = -1, /) -> str:
        raise KeyboardInterrupt


@pytest.mark.parametrize("command", [("tenants", "delete", "acme"), ("connections", "delete", "desk", *OURS)])
def test_a_deletion_nobody_confirms_is_none(
    aiops: Aiops, made: dict[str, Any], monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    """Where standard input ends, nothing is deleted, which is said; after Ctrl-C the code is 130 as everywhere."""
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert aiops(*command, code=1) == f"aiops {command[0]}: Nothing was deleted.\n"
    monkeypatch.setattr("sys.stdin", _Interrupted())
    assert aiops(*command, code=130) == ""
    assert [c["id"] for c in aiops("connections", "list", *OURS, "--json")] == [made["connection_id"]]
