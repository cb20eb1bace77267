"""Administrators and the people they look after."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import httpx
import pytest
from tests.integration.web.conftest import Staff
from tests.support.databases import TwoTenants

from aiops_host.data import audit, members, people
from aiops_host.data.audit import PLATFORM, AuditFilters
from aiops_host.data.session import Database
from aiops_host.trust.sessions import token_hash

MEMBERS = "/api/v1/members"
PEOPLE = "/api/v1/people"


async def ids(http: httpx.AsyncClient, headers: dict[str, str], query: str = "") -> dict[str, str]:
    """Return the members of the tenant by address."""
    found = (await http.get(MEMBERS + query, headers=headers)).json()["items"]
    return {m["email"]: m["user_id"] for m in found}


async def status(http: httpx.AsyncClient, headers: dict[str, str]) -> int:
    """Return what somebody's session is answered."""
    return (await http.get("/api/v1/me", headers=headers)).status_code


async def again(opened: Database, who: str, headers: dict[str, str]) -> None:
    """Give somebody a session with the token they had."""
    token = headers["Authorization"].removeprefix("Bearer ")
    async with opened.role("app") as con:
        await people.open_session(con, token_hash(token), UUID(who), timedelta(hours=1))


async def acts(opened: Database, chain: UUID, act: str) -> list[tuple[str, str, dict[str, str]]]:
    """Return actor, subject and details of the acts of a kind in an audit trail."""
    page = await audit.list_(opened, chain, AuditFilters(act=act), limit=50)
    return [(entry.actor, entry.subject, entry.details) for entry in page.items]


async def test_members_are_listed_page_by_page(http: httpx.AsyncClient, staff: Staff) -> None:
    """A tenant's administrator sees its members with their roles, by address, and nobody else's."""
    whole = (await http.get(MEMBERS, headers=staff.admin_a)).json()
    assert [(m["email"], m["role"], m["active"]) for m in whole["items"]] == [
        ("person-0@example.com", "tenant-admin", True),
        ("person-1@example.com", "technician", True),
        ("person-2@example.com", "read-only", True),
    ]
    first = (await http.get(f"{MEMBERS}?limit=2", headers=staff.admin_a)).json()
    rest = (await http.get(f"{MEMBERS}?limit=2&cursor={first['next']}", headers=staff.admin_a)).json()
    assert first["items"] + rest["items"] == whole["items"]
    assert rest["next"] is None
    for cursor in ("x", "eA==", "%00", "é"):
        assert (await http.get(f"{MEMBERS}?cursor={cursor}", headers=staff.admin_a)).status_code in (200, 400)
    for others in (staff.technician_a, staff.reader_a):
        assert (await http.get(MEMBERS, headers=others)).status_code == 403


@pytest.mark.promise("roles-now")
@pytest.mark.attack(28)
async def test_a_changed_role_counts_at_once_and_ends_the_sessions(
    http: httpx.AsyncClient, staff: Staff, opened: Database, two_tenants: TwoTenants
) -> None:
    """Whoever's role changes is logged out, and has the new role when they come back; nobody else is."""
    known = await ids(http, staff.admin_a)
    who = known["person-1@example.com"]
    answer = await http.put(f"{MEMBERS}/{who}", headers=staff.admin_a, json={"role": "read-only"})
    assert answer.status_code == 204
    assert (await status(http, staff.technician_a), await status(http, staff.reader_a)) == (401, 200)
    await again(opened, who, staff.technician_a)
    me = (await http.get("/api/v1/me", headers=staff.technician_a)).json()
    assert [t["role"] for t in me["tenants"]] == ["read-only"]
    found = await acts(opened, two_tenants.a.tenant_id, "member.change")
    assert found == [("person-0@example.com", "person-1@example.com", {"role": "read-only"})]
    same = await http.put(f"{MEMBERS}/{who}", headers=staff.admin_a, json={"role": "read-only"})
    assert (same.status_code, await status(http, staff.technician_a)) == (204, 200)


async def test_a_removed_member_has_no_way_in(
    http: httpx.AsyncClient, staff: Staff, opened: Database, two_tenants: TwoTenants
) -> None:
    """Their sessions end, their tokens for the tenant are gone, and they find nothing when they log in again."""
    token = (await http.post("/api/v1/me/tokens", headers=staff.technician_a, json={"name": "script"})).json()
    by_token = {"Authorization": f"Bearer {token['token']}"}
    assert (await http.get("/api/v1/deliveries", headers=by_token)).status_code == 200
    who = (await ids(http, staff.admin_a))["person-1@example.com"]
    assert (await http.delete(f"{MEMBERS}/{who}", headers=staff.admin_a)).status_code == 204
    assert await status(http, staff.technician_a) == 401
    assert (await http.get("/api/v1/deliveries", headers=by_token)).status_code == 401
    await again(opened, who, staff.technician_a)
    assert (await http.get("/api/v1/deliveries?tenant=tenant-a", headers=staff.technician_a)).status_code == 404
    assert [a[:2] for a in await acts(opened, two_tenants.a.tenant_id, "member.remove")] == [
        ("person-0@example.com", "person-1@example.com")
    ]
    assert (await http.delete(f"{MEMBERS}/{who}", headers=staff.admin_a)).status_code == 404


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_the_last_administrator_of_a_tenant_stays(
    http: httpx.AsyncClient, staff: Staff, opened: Database, method: str
) -> None:
    """The only administrator is neither demoted nor removed; one who may not log in does not count as another."""
    known = await ids(http, staff.admin_a)
    first, second = known["person-0@example.com"], known["person-1@example.com"]
    body = {"role": "technician"} if method == "PUT" else None

    async def try_it() -> httpx.Response:
        return await http.request(method, f"{MEMBERS}/{first}?tenant=tenant-a", headers=staff.platform, json=body)

    refused = await try_it()
    assert (refused.status_code, refused.json()["code"]) == (409, "last-administrator")
    assert "make somebody else one first" in refused.json()["detail"]
    assert await status(http, staff.admin_a) == 200
    await http.put(f"{MEMBERS}/{second}", headers=staff.admin_a, json={"role": "tenant-admin"})
    await http.put(f"{PEOPLE}/{second}", headers=staff.platform, json={"active": False})
    assert (await try_it()).status_code == 409
    await http.put(f"{PEOPLE}/{second}", headers=staff.platform, json={"active": True})
    assert (await try_it()).status_code == 204


@pytest.mark.promise("roles-now")
async def test_two_administrators_cannot_demote_each_other_at_once(
    http: httpx.AsyncClient, staff: Staff, opened: Database, two_tenants: TwoTenants
) -> None:
    """Of two changes at the same moment that together would leave nobody, the second is refused."""
    known = await ids(http, staff.admin_a)
    pair = [known["person-0@example.com"], known["person-1@example.com"]]
    tenant_id = two_tenants.a.tenant_id
    async with opened.tenant(tenant_id) as con:
        await members.change(con, UUID(pair[1]), "tenant-admin")

    async def demote(who: str) -> str:
        async with opened.tenant(tenant_id) as con:
            changed = await members.change(con, UUID(who), "technician")
            await asyncio.sleep(0.05)  # so that both are under way before either commits
            return changed

    assert sorted(await asyncio.gather(*map(demote, pair))) == ["changed", "last"]


async def test_the_last_platform_administrator_stays(http: httpx.AsyncClient, staff: Staff, opened: Database) -> None:
    """They are neither demoted nor kept out while nobody else runs the installation; two at once cannot be either."""
    listed = (await http.get(PEOPLE, headers=staff.platform)).json()["items"]
    root, other = listed[4]["user_id"], listed[0]["user_id"]
    for change in ({"platform_admin": False}, {"active": False}):
        refused = await http.put(f"{PEOPLE}/{root}", headers=staff.platform, json=change)
        assert (refused.status_code, refused.json()["code"]) == (409, "last-administrator")
    assert await status(http, staff.platform) == 200
    promoted = await http.put(f"{PEOPLE}/{other}", headers=staff.platform, json={"platform_admin": True})
    assert promoted.json()["platform_admin"] is True

    async def demote(who: str) -> str:
        async with opened.tenant(PLATFORM) as con:
            changed = await members.change_person(con, UUID(who), platform_admin=False)
            await asyncio.sleep(0.05)  # so that both are under way before either commits
            return changed

    assert sorted(await asyncio.gather(demote(root), demote(other))) == ["changed", "last"]


@pytest.mark.promise("roles-now")
async def test_promotion_and_demotion_end_sessions(http: httpx.AsyncClient, staff: Staff, opened: Database) -> None:
    """Whoever becomes platform administrator, or stops being one, logs in anew."""
    who = (await ids(http, staff.admin_a))["person-1@example.com"]
    for wanted in (True, False):
        changed = await http.put(f"{PEOPLE}/{who}", headers=staff.platform, json={"platform_admin": wanted})
        assert (changed.status_code, await status(http, staff.technician_a)) == (200, 401)
        await again(opened, who, staff.technician_a)
        assert (await http.get(PEOPLE, headers=staff.technician_a)).status_code == (200 if wanted else 403)
    found = await acts(opened, PLATFORM, "person.change")
    assert [details["platform_admin"] for _, _, details in found] == ["false", "true"]


async def test_a_person_who_is_kept_out_comes_in_by_no_door(
    http: httpx.AsyncClient, staff: Staff, opened: Database
) -> None:
    """Neither session nor token nor a new session opens anything, until they are let in again."""
    made = await http.post("/api/v1/me/tokens", headers=staff.technician_a, json={"name": "script"})
    by_token = {"Authorization": f"Bearer {made.json()['token']}"}
    who = (await ids(http, staff.admin_a))["person-1@example.com"]
    await http.put(f"{PEOPLE}/{who}", headers=staff.platform, json={"active": False})
    assert (await status(http, staff.technician_a), await status(http, by_token)) == (401, 401)
    async with opened.role("app") as con:
        assert await people.open_session(con, b"new", UUID(who), timedelta(hours=1)) is None
    assert [m["active"] for m in (await http.get(MEMBERS, headers=staff.admin_a)).json()["items"]][1] is False
    await http.put(f"{PEOPLE}/{who}", headers=staff.platform, json={"active": True})
    assert await status(http, by_token) == 200


async def test_people_are_for_platform_administrators(http: httpx.AsyncClient, staff: Staff) -> None:
    """Everybody is listed with tenants and state; a tenant's administrator learns nothing of other tenants' people."""
    page = (await http.get(f"{PEOPLE}?limit=3", headers=staff.platform)).json()
    rest = (await http.get(f"{PEOPLE}?limit=3&cursor={page['next']}", headers=staff.platform)).json()
    shown = page["items"] + rest["items"]
    assert [(p["email"][7], p["tenants"], p["platform_admin"]) for p in shown] == [
        ("0", ["tenant-a"], False),
        ("1", ["tenant-a"], False),
        ("2", ["tenant-a"], False),
        ("3", ["tenant-b"], False),
        ("4", [], True),
    ]
    assert shown[4]["last_seen_at"] is not None
    for others in (staff.admin_a, staff.reader_a):
        assert (await http.get(PEOPLE, headers=others)).status_code == 403
    unknown = await http.put(f"{PEOPLE}/{uuid4()}", headers=staff.platform, json={"active": False})
    assert unknown.status_code == 404


async def test_an_administrator_logs_somebody_out(http: httpx.AsyncClient, staff: Staff) -> None:
    """Every session of the person ends, and nobody else's."""
    who = (await ids(http, staff.admin_a))["person-1@example.com"]
    answer = await http.post(f"{PEOPLE}/{who}/logout", headers=staff.platform)
    assert (answer.status_code, answer.json()) == (200, {"ended": 1})
    assert (await status(http, staff.technician_a), await status(http, staff.admin_a)) == (401, 200)
