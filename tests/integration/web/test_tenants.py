"""The life of tenants and connections by API."""

import asyncio
import io
import zipfile
from typing import Any
from uuid import UUID

import httpx
import pytest
from litestar import Litestar
from tests.integration.web.conftest import Door, Heard, Staff
from tests.support.postbox import webhook_body

from aiops_host.data import audit, history_imports, probes, tenants
from aiops_host.data.audit import PLATFORM, AuditFilters
from aiops_host.data.session import Database
from aiops_host.trust.vault import Vault
from aiops_host.web.departures import Departures

OF_A = "?tenant=tenant-a"


async def test_a_tenant_is_made_and_configured(http: httpx.AsyncClient, staff: Staff) -> None:
    """The platform's administrator makes it; its settings change one by one; a wrong value is named."""
    made = await http.post("/api/v1/tenants", headers=staff.platform, json={"slug": "acme", "name": "Acme"})
    assert (made.status_code, made.json()["state"]) == (201, "active")
    again = await http.post("/api/v1/tenants", headers=staff.platform, json={"slug": "acme"})
    assert (again.status_code, again.json()["code"]) == (422, "tenant-refused")
    path = "/api/v1/tenant?tenant=acme"
    changed = await http.patch(path, headers=staff.platform, json={"contact": "sam@acme.example"})
    assert changed.json()["settings"] == {"contact": "sam@acme.example", "overlap_hours": 24.0}
    changed = await http.patch(path, headers=staff.platform, json={"name": "Acme Dental", "overlap_hours": 2})
    shown = (await http.get(path, headers=staff.platform)).json()
    assert shown == changed.json()
    assert (shown["name"], shown["settings"]["contact"]) == ("Acme Dental", "sam@acme.example")
    wrong = await http.patch(path, headers=staff.platform, json={"overlap_hours": 200})
    assert wrong.status_code == 400
    for body in ({"slug": "A"}, {"slug": ""}):
        assert (await http.post("/api/v1/tenants", headers=staff.platform, json=body)).status_code == 422


@pytest.mark.parametrize(
    ("method", "path", "body", "wanted"),
    [
        ("POST", "/tenants", {"slug": "acme"}, (403, 403, 403, 201)),
        ("PATCH", "/tenant", {"contact": "x"}, (403, 403, 200, 200)),
        ("POST", "/tenant/suspend", None, (403, 403, 403, 200)),
        ("POST", "/tenant/resume", None, (403, 403, 403, 200)),
        ("GET", "/tenant/export", None, (403, 403, 200, 200)),
        ("DELETE", "/tenant&confirm=tenant-a", None, (403, 403, 403, 202)),
    ],
    ids=["create", "change", "suspend", "resume", "export", "delete"],
)
async def test_roles_bound_the_life_of_a_tenant(
    http: httpx.AsyncClient, staff: Staff, *, method: str, path: str, body: Any, wanted: tuple[int, ...]
) -> None:
    """Its own administrator configures and exports it; its beginning, pause and end are the platform's."""
    place, _, more = path.partition("&")
    address = f"/api/v1{place}{OF_A}{f'&{more}' if more else ''}"
    statuses = [
        (await http.request(method, address, headers=headers, json=body)).status_code
        for headers in (staff.reader_a, staff.technician_a, staff.admin_a, staff.platform)
    ]
    assert tuple(statuses) == wanted
    assert (await http.request(method, address, headers=staff.admin_b, json=body)).status_code in (403, 404)


@pytest.mark.promise("suspension")
async def test_webhooks_of_a_suspended_tenant_are_stored_and_wait(
    http: httpx.AsyncClient, staff: Staff, door: Door
) -> None:
    """They are answered as ever; the list and the tenant say plainly that nothing is worked on."""
    suspended = await http.post(f"/api/v1/tenant/suspend{OF_A}", headers=staff.platform)
    assert "webhooks are stored and wait" in suspended.json()["note"]
    assert (await door.post(webhook_body())).status_code == 202
    (listed,) = (await http.get("/api/v1/deliveries", headers=staff.reader_a)).json()["items"]
    assert (listed["state"], listed["suspended"]) == ("queued", True)
    refused = await http.post(f"/api/v1/connections/{door.connection.connection_id}/test", headers=staff.admin_a)
    assert (refused.status_code, refused.json()["code"]) == (409, "test-refused")
    resumed = await http.post(f"/api/v1/tenant/resume{OF_A}", headers=staff.platform)
    assert (resumed.json()["state"], resumed.json()["note"]) == ("active", None)
    (listed,) = (await http.get("/api/v1/deliveries", headers=staff.reader_a)).json()["items"]
    assert listed["suspended"] is False


async def test_an_export_is_one_archive(http: httpx.AsyncClient, staff: Staff, door: Door, opened: Database) -> None:
    """It is named after tenant and time, holds its rows, and who took it is in the trail."""
    await door.post(webhook_body("T-4711"))
    answer = await http.get("/api/v1/tenant/export", headers=staff.admin_a)
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"].startswith('attachment; filename="tenant-a-20')
    with zipfile.ZipFile(io.BytesIO(answer.content)) as bundle:
        assert b"T-4711" in bundle.read("tenant-a/delivery.jsonl")
    entries = (await audit.list_(opened, door.tenant.tenant_id, AuditFilters(act="tenant.export"), limit=5)).items
    assert [e.actor for e in entries] == ["person-0@example.com"]


async def test_a_deleted_tenant_is_closed_at_once_and_gone_soon(
    http: httpx.AsyncClient, staff: Staff, doors: tuple[Door, Door], opened: Database, vault: Vault
) -> None:
    """Its webhooks are refused, its people shut out, its keys destroyed before the answer; its rows follow."""
    ours, theirs = doors
    await ours.post(webhook_body())
    path = f"/api/v1/tenant{OF_A}"
    unsure = await http.delete(f"{path}&confirm=tenant-b", headers=staff.platform)
    assert (unsure.status_code, unsure.json()["code"]) == (409, "not-confirmed")
    assert (await http.delete(path, headers=staff.platform)).status_code == 400
    begun = await http.delete(f"{path}&confirm=tenant-a", headers=staff.platform)
    assert (begun.status_code, begun.json()["tenant"]["state"]) == (202, "deleting")
    async with opened.tenant(ours.tenant.tenant_id) as con:
        assert await con.fetchval("select count(*) from secret") == 0
        assert await con.fetchval("select count(*) from data_key") == 0
    assert (await http.get("/api/v1/deliveries", headers=staff.reader_a)).status_code in (401, 404)
    assert (await http.post(f"/api/v1/tenant/resume{OF_A}", headers=staff.platform)).status_code == 409
    assert (await http.get(f"/api/v1/tenant/export{OF_A}", headers=staff.platform)).status_code == 404
    async with Departures(opened, vault).working():
        while [t.slug for t in await tenants.directory(opened)] != ["tenant-b"]:  # noqa: ASYNC110 - rows go by themselves
            await asyncio.sleep(0.05)
    assert (await theirs.post(webhook_body())).status_code == 202
    assert (await ours.post(webhook_body("T-2"))).status_code == 401
    acts = [e.act for e in (await audit.list_(opened, PLATFORM, AuditFilters(act="tenant."), limit=5)).items]
    assert acts == ["tenant.deleted", "tenant.delete"]


async def test_ticketing_tools_say_what_a_connection_needs(http: httpx.AsyncClient, staff: Staff) -> None:
    """Each has the JSON schema of its configuration, which fields are sealed, and how to set it up."""
    found = (await http.get("/api/v1/ticketing-tools", headers=staff.reader_a)).json()
    assert [tool["name"] for tool in found] == ["pigeonhole", "postbox"]
    assert found[1]["secrets"] == ["api_token"]
    assert found[1]["schema"]["properties"]["base_url"]["default"] == "https://postbox.example"
    assert found[1]["setup_help"] == "Put the address into the postbox."


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"colour": "red"}, "colour"),
        ({"base_url": 7}, "base_url"),
        ({"api_token": ""}, "api_token"),
        ({"needs_token": "perhaps"}, "needs_token"),
    ],
)
async def test_a_wrong_field_is_named(
    http: httpx.AsyncClient, staff: Staff, config: dict[str, Any], field: str
) -> None:
    """A connection that does not fit its ticketing tool's schema is refused with the field's name."""
    new = {"name": "desk", "ticketing_tool": "postbox", "config": config}
    answer = await http.post("/api/v1/connections", headers=staff.admin_a, json=new)
    assert (answer.status_code, answer.json()["code"]) == (422, "config-invalid")
    assert [e["field"] for e in answer.json()["errors"]] == [field]


async def test_a_test_is_a_worker_s_job(
    http: httpx.AsyncClient, staff: Staff, door: Door, heard: Heard, opened: Database
) -> None:
    """The API asks for it, wakes a worker and says where the answer will be; who asked is in the trail."""
    answer = await http.post(f"/api/v1/connections/{door.connection.connection_id}/test", headers=staff.admin_a)
    asked = answer.json()
    assert (answer.status_code, asked["kind"], asked["state"]) == (202, "connection", "queued")
    assert asked["target"] == str(door.connection.connection_id)
    assert (await http.get(f"/api/v1/probes/{asked['id']}", headers=staff.reader_a)).json() == asked
    assert (probes.WAKE, UUID(asked["id"])) in await heard()
    (entry,) = (await audit.list_(opened, door.tenant.tenant_id, AuditFilters(act="connection.test"), limit=5)).items
    assert entry.actor == "person-0@example.com"


async def test_a_part_of_an_import_is_no_test(
    http: httpx.AsyncClient, staff: Staff, door: Door, opened: Database
) -> None:
    """What a command's import asks of a worker answers like an unknown id."""
    async with opened.tenant(door.tenant.tenant_id) as con:
        part = await probes.ask(con, door.tenant.tenant_id, history_imports.PROBE, "{}")
    answer = await http.get(f"/api/v1/probes/{part}", headers=staff.admin_a)
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


async def test_a_deleted_connection_stays_in_the_history(
    http: httpx.AsyncClient, app: Litestar, staff: Staff, door: Door
) -> None:
    """It is gone from the list and its address refuses; its deliveries are listed with its name."""
    await door.post(webhook_body("T-1"))
    path = f"/api/v1/connections/{door.connection.connection_id}"
    for unsure in ("", "?confirm=back+door"):
        assert (await http.delete(path + unsure, headers=staff.admin_a)).status_code == 409
    assert (await http.delete(f"{path}?confirm=front+door", headers=staff.admin_a)).status_code == 204
    assert (await http.get("/api/v1/connections", headers=staff.admin_a)).json() == []
    (listed,) = (await http.get("/api/v1/deliveries", headers=staff.admin_a)).json()["items"]
    assert (listed["connection"], listed["state"]) == ("front door (deleted)", "dead")
    for gone in ("/endpoint", "/refusals"):
        assert (await http.get(path + gone, headers=staff.admin_a)).status_code == 404
    assert (await http.delete(f"{path}?confirm=front+door", headers=staff.admin_a)).status_code == 404
    assert (await door.post(webhook_body("T-2"))).status_code == 401
