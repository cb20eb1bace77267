"""What the running demo's state file opens."""

import json
import os
import signal

import asyncpg
import httpx
import pytest
from tests.support.demo import Demo
from tests.support.waiting import wait_for


async def test_the_database_url_is_the_application_role_s(demo: Demo) -> None:
    """The database address is that of the role whose every read needs a tenant."""
    con = await asyncpg.connect(demo.state["database_url"])
    try:
        assert await con.fetchval("select current_user") == "aiops_app"
        with pytest.raises(asyncpg.PostgresError, match=r"app\.current_tenant_id|uuid"):
            await con.fetch("select * from delivery")
        for tenant in demo.state["tenants"]:
            async with con.transaction():
                await con.execute("select set_config('app.current_tenant_id', $1, true)", tenant["id"])
                assert {row["tenant_id"] for row in await con.fetch("select tenant_id::text from delivery")} == {
                    tenant["id"]
                }
    finally:
        await con.close()


def test_the_addresses_and_processes_are_live(demo: Demo) -> None:
    """Host and dashboard answer at their addresses, and the process ids are those of the parts."""
    commands = {process.pid: process.command for process in demo.family()}
    parts = {name: commands[pid] for name, pid in demo.state["pids"].items()}
    assert {name: command.split()[-1] for name, command in parts.items()} == {
        "host": "serve",
        "worker": "worker",
        "admin": "admin",
    }
    assert httpx.get(f"{demo.state['base_url']}/health/live", trust_env=False).status_code == 200
    assert httpx.get(demo.state["admin_url"], trust_env=False, follow_redirects=True).status_code == 200
    assert os.getpid() not in commands


def test_every_login_works(demo: Demo) -> None:
    """Each person of the state file logs in with the password given there and sees no other tenant."""
    with httpx.Client(base_url=demo.state["base_url"], trust_env=False) as http:
        for user in demo.state["users"]:
            given = {"email": user["email"], "password": user["password"]}
            token = http.post("/api/v1/login", json=given).json()["token"]
            me = http.get("/api/v1/me", headers={"authorization": f"Bearer {token}"}).json()
            http.cookies.clear()
            seen = {tenant["slug"] for tenant in me["tenants"]}
            assert seen == ({"harbor", "lindner"} if user["tenant"] is None else {user["tenant"]})


def test_the_process_ids_stay_true(demo: Demo) -> None:
    """A worker that is killed is replaced, the file names the next one, and nothing else in it changes."""
    before = json.loads(demo.state_file.read_text())
    os.kill(before["pids"]["worker"], signal.SIGKILL)

    def renewed() -> dict[str, dict[str, int]] | None:
        now: dict[str, dict[str, int]] = json.loads(demo.state_file.read_text())
        return now if now["pids"]["worker"] != before["pids"]["worker"] else None

    after = wait_for(renewed, "another worker in the state file", logs=demo.logs)
    demo.state["pids"] = after["pids"]
    assert after["pids"]["worker"] in {process.pid for process in demo.family()}
    assert {**after, "pids": None} == {**before, "pids": None}
    assert {**after["pids"], "worker": 0} == {**before["pids"], "worker": 0}
    desk = demo.desks["harbor"]
    ticket_id, _ = desk.deliver(desk.ticket("Another worker took over"))
    assert len(desk.await_notes(ticket_id)) == 1
