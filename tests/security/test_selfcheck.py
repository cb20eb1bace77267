"""A part that could show one tenant's rows to another does not start."""

import asyncio
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from tests.support.databases import DatabaseUrls, execute_as_superuser
from tests.support.processes import running

from aiops_host.cli.installation import free_port
from aiops_host.data import walls
from aiops_host.data.session import Database, RoleRefused
from aiops_host.trust.vault import create_key_file

WEAK = {
    "off": "alter table run disable row level security",
    "not forced": "alter table run no force row level security",
    "no policy": "drop policy tenant_rows on run",
}


def _environment(database: DatabaseUrls, folder: Path) -> dict[str, str]:
    if not (folder / "key").exists():
        create_key_file(folder / "key")
    return {
        "AIOPS_DATABASE_URL": database.app,
        "AIOPS_INTAKE_DATABASE_URL": database.intake,
        "AIOPS_SWEEPER_DATABASE_URL": database.sweeper,
        "AIOPS_KEY_FILE": str(folder / "key"),
        "AIOPS_PORT": "0",
    }


def _refused(part: str, environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "aiops_host.cli.main", part],
        env={"PYTHONPATH": ":".join(sys.path), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    return done.stderr


@pytest.mark.attack(4)
@pytest.mark.parametrize("weakness", WEAK)
async def test_a_table_without_its_wall_is_named(opened: Database, database: DatabaseUrls, weakness: str) -> None:
    """A table whose wall somebody took down by hand is found at the next start."""
    await walls.check(opened)
    await execute_as_superuser(database.superuser, WEAK[weakness])
    with pytest.raises(RoleRefused, match="keep tenants apart in: run"):
        await walls.check(opened)


@pytest.mark.attack(4)
async def test_only_tables_of_tenants_need_a_wall(opened: Database, database: DatabaseUrls) -> None:
    """Tables without a tenant and of other schemas, views and indexes are passed over; a partitioned table is not."""
    await execute_as_superuser(
        database.superuser,
        "create table loose (id int primary key)",
        "create table left_behind (tenant_id uuid, id int)",
        "alter table left_behind drop column tenant_id",
        "create view seen as select tenant_id from run",
        "create materialized view kept as select tenant_id from run with no data",
        "create schema elsewhere",
        "create table elsewhere.away (tenant_id uuid)",
    )
    await walls.check(opened)
    await execute_as_superuser(
        database.superuser,
        "create table split (tenant_id uuid, n int) partition by list (n)",
        "create table bare (tenant_id uuid)",
    )
    with pytest.raises(RoleRefused, match=r"keep tenants apart in: bare, split\. .*force row level security"):
        await walls.check(opened)


@pytest.mark.attack(4)
@pytest.mark.parametrize("part", ["serve", "worker"])
async def test_no_part_starts_behind_a_hole(database: DatabaseUrls, tmp_path: Path, part: str) -> None:
    """Host and worker end with 2 and a sentence before they listen or take up work."""
    await execute_as_superuser(database.superuser, WEAK["not forced"])
    said = await asyncio.to_thread(_refused, part, _environment(database, tmp_path))
    assert "does not keep tenants apart in: run" in said


@pytest.mark.attack(3)
@pytest.mark.parametrize("role", ["superuser", "bypassrls", "member"])
async def test_no_part_starts_with_too_much_right(database: DatabaseUrls, tmp_path: Path, role: str) -> None:
    """Connected as a superuser, past the walls, or as a member of the owner, the host ends with 2 and opens no port."""
    environment = _environment(database, tmp_path)
    undo = {"bypassrls": "alter role aiops_app nobypassrls", "member": "revoke aiops_owner from aiops_app"}
    if role == "superuser":
        environment["AIOPS_DATABASE_URL"] = database.superuser
    else:
        grant = {"bypassrls": "alter role aiops_app bypassrls", "member": "grant aiops_owner to aiops_app"}[role]
        await execute_as_superuser(database.superuser, grant)
    try:
        said = await asyncio.to_thread(_refused, "serve", environment)
    finally:
        if role in undo:
            await execute_as_superuser(database.superuser, undo[role])
    assert "directly or as a member" in said


def test_a_good_start_is_a_figure(database: DatabaseUrls, tmp_path: Path) -> None:
    """A part that starts shows rls_self_check 1, so that an alert can tell it from one that shows nothing."""
    environment = {**_environment(database, tmp_path), "AIOPS_METRICS_PORT": str(free_port())}
    with running("serve", environment, tmp_path / "host.log") as host:
        shown = httpx.get(str(host.said["metrics_url"]), trust_env=False).text
    assert "rls_self_check 1.0" in shown
    assert "# TYPE redaction_hits_total counter" in shown
