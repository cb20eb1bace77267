"""Keys, budgets and usage over the API: who may do what, and what is never shown."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from uuid import UUID

import httpx
import pytest
from tests.integration.web.conftest import Heard, Staff
from tests.support.databases import TenantRow, TwoTenants

from aiops_host.data import probes, providers, usage
from aiops_host.data.budgets import Budget, put
from aiops_host.data.session import Database
from aiops_host.data.usage import Line, Spent

KEY = "sk-canary-2718281828"
ENTRY = {"provider": "openai", "key": KEY, "models": ["gpt-4o-mini"]}


async def spend(opened: Database, tenant: TenantRow, *lines: Line) -> None:
    """Put lines into a tenant's ledger."""
    async with opened.tenant(tenant.tenant_id) as con:
        await usage.settle(con, tenant.tenant_id, Spent(lines))


async def test_a_key_is_entered_and_tried(
    http: httpx.AsyncClient, staff: Staff, opened: Database, heard: Heard, two_tenants: TwoTenants
) -> None:
    """Entering a key answers with its test, which a worker is woken for; the key is in no answer."""
    answer = await http.put("/api/v1/providers/key", headers=staff.admin_a, json=ENTRY)
    assert answer.status_code == 202, answer.text
    probe = answer.json()
    assert (probe["kind"], probe["state"], probe["result"]) == ("llm-key", "queued", None)
    assert await heard() == [(probes.WAKE, UUID(probe["id"]))]
    shown = await http.get(f"/api/v1/probes/{probe['id']}", headers=staff.reader_a)
    assert shown.json() == probe
    listed = await http.get("/api/v1/providers", headers=staff.admin_a)
    first = listed.json()[0]
    assert (first["name"], first["state"], first["models"]) == ("openai", "trying", ["gpt-4o-mini"])
    assert first["test"] == probe
    assert [p["name"] for p in listed.json()] == ["openai", "azure", "anthropic"]
    assert KEY not in answer.text + listed.text + shown.text
    assert (await http.get(f"/api/v1/probes/{probe['id']}", headers=staff.admin_b)).status_code == 404


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({**ENTRY, "provider": "moon"}, "there are: openai, azure, anthropic"),
        ({**ENTRY, "endpoint": "https://evil.example"}, "one address, which the operator set"),
        ({**ENTRY, "provider": "azure"}, "give the address of your resource"),
        ({**ENTRY, "provider": "azure", "endpoint": "https://evil.example"}, "operator's catalogue"),
        ({**ENTRY, "models": ["https://evil.example"]}, "no model's name"),
        ({**ENTRY, "key": "sk\nX-Evil: 1"}, "in one line"),
        ({**ENTRY, "api_base": "https://evil.example"}, ""),
        ({**ENTRY, "callbacks": ["langfuse"]}, ""),
    ],
)
@pytest.mark.attack(18)
async def test_a_tenant_sets_a_key_and_nothing_else(
    http: httpx.AsyncClient, staff: Staff, opened: Database, entry: dict[str, object], said: str
) -> None:
    """Addresses, callbacks and other parameters are refused with what to change, and no key is in the refusal."""
    answer = await http.put("/api/v1/providers/key", headers=staff.admin_a, json=entry)
    assert answer.status_code in (400, 404, 422)
    assert said in answer.text
    assert "sk-canary" not in answer.text
    (first, *_) = (await http.get("/api/v1/providers", headers=staff.admin_a)).json()
    assert first["state"] == "none"


async def test_who_may_look_after_keys_and_budgets(http: httpx.AsyncClient, staff: Staff) -> None:
    """Everybody of the tenant reads; only its administrators change; the installation's budgets are the platform's."""
    limit = {"period": "day", "tokens": 1000}

    async def statuses(who: dict[str, str], tenant: str = "") -> list[int]:
        return [
            (await http.get(f"/api/v1/providers{tenant}", headers=who)).status_code,
            (await http.get(f"/api/v1/budgets{tenant}", headers=who)).status_code,
            (await http.get(f"/api/v1/usage{tenant}", headers=who)).status_code,
            (await http.put(f"/api/v1/providers/key{tenant}", headers=who, json=ENTRY)).status_code,
            (await http.put(f"/api/v1/providers/order{tenant}", headers=who, json={"order": ["azure"]})).status_code,
            (await http.put(f"/api/v1/budgets{tenant}", headers=who, json=limit)).status_code,
            (await http.get("/api/v1/installation/budgets", headers=who)).status_code,
        ]

    assert await statuses(staff.reader_a) == [200, 200, 200, 403, 403, 403, 403]
    assert await statuses(staff.technician_a) == [200, 200, 200, 403, 403, 403, 403]
    assert await statuses(staff.admin_a) == [200, 200, 200, 202, 200, 200, 403]
    assert await statuses(staff.platform, "?tenant=tenant-a") == [200, 200, 200, 202, 200, 200, 200]


async def test_two_budgets_stand_beside_each_other(
    http: httpx.AsyncClient, staff: Staff, opened: Database, two_tenants: TwoTenants
) -> None:
    """The tenant's administrator can neither change nor remove the budget the operator set."""
    await http.put("/api/v1/budgets?tenant=tenant-a", headers=staff.platform, json={"period": "month", "usd": 1.0})
    raised = await http.put("/api/v1/budgets", headers=staff.admin_a, json={"period": "month", "usd": 1000.0})
    assert {(b["set_by"], b["usd"]) for b in raised.json()} == {("operator", 1.0), ("tenant", 1000.0)}
    assert (await http.delete("/api/v1/budgets?period=month", headers=staff.admin_a)).status_code == 204
    assert (await http.delete("/api/v1/budgets?period=month", headers=staff.admin_a)).status_code == 404
    left = (await http.get("/api/v1/budgets", headers=staff.admin_a)).json()
    assert [(b["set_by"], b["usd"]) for b in left] == [("operator", 1.0)]
    for nothing in ({"period": "month"}, {"period": "year", "usd": 1}, {"period": "day", "tokens": -1}):
        assert (await http.put("/api/v1/budgets", headers=staff.admin_a, json=nothing)).status_code in (400, 422)


async def test_a_warning_is_shown_to_tenant_and_platform(
    http: httpx.AsyncClient, staff: Staff, opened: Database, two_tenants: TwoTenants
) -> None:
    """From 80 % on both read in plain words how far the budget is used, the platform for all tenants."""
    for tenant, used in zip(two_tenants, (850, 1000), strict=True):
        async with opened.tenant(tenant.tenant_id) as con:
            await put(con, tenant.tenant_id, "operator", "month", Budget(tokens=1000))
        await spend(opened, tenant, Line("enhance", "openai", "m", calls=1, prompt_tokens=used))
    (own,) = (await http.get("/api/v1/budgets", headers=staff.admin_a)).json()
    assert (own["level"], own["share"]) == ("warning", 0.85)
    assert "is used to 85%" in own["sentence"]
    every = (await http.get("/api/v1/installation/budgets", headers=staff.platform)).json()
    assert [(one["tenant"], one["budget"]["level"]) for one in every] == [
        ("tenant-b", "reached"),
        ("tenant-a", "warning"),
    ]
    assert "notes are made without AI text" in every[0]["budget"]["sentence"]


async def test_usage_is_charged_back(
    http: httpx.AsyncClient, staff: Staff, opened: Database, two_tenants: TwoTenants
) -> None:
    """The ledger as JSON and as CSV holds the tenant's own rows, and no text a spreadsheet would calculate."""
    line = Line("enhance", "openai", "=cmd|x", calls=2, prompt_tokens=10, completion_tokens=5, cost_usd=0.25)
    await spend(opened, two_tenants.a, line)
    await spend(opened, two_tenants.b, Line("enhance", "openai", "theirs", calls=1))
    (row,) = (await http.get("/api/v1/usage", headers=staff.reader_a)).json()
    assert (row["calls"], row["prompt_tokens"], row["cost_usd"]) == (2, 10, 0.25)
    answer = await http.get("/api/v1/usage.csv", headers=staff.reader_a)
    assert answer.headers["content-type"].startswith("text/csv")
    assert "usage-tenant-a.csv" in answer.headers["content-disposition"]
    (found,) = csv.DictReader(io.StringIO(answer.text))
    assert (found["tenant"], found["day"]) == ("tenant-a", str(datetime.now(UTC).date()))
    assert (found["model"], found["calls"], float(found["cost_usd"])) == ("'=cmd|x", "2", 0.25)
    past = await http.get("/api/v1/usage?since=2020-01-01&until=2020-01-31", headers=staff.reader_a)
    assert past.json() == []
    assert (await http.get("/api/v1/usage?since=soon", headers=staff.reader_a)).status_code == 400


async def test_a_key_is_destroyed(
    http: httpx.AsyncClient, staff: Staff, opened: Database, two_tenants: TwoTenants
) -> None:
    """Taking a key away destroys its seal; one that is not there is not found."""
    await http.put("/api/v1/providers/key", headers=staff.admin_a, json=ENTRY)
    assert (await http.delete("/api/v1/providers/key?provider=openai", headers=staff.admin_b)).status_code == 404
    assert (await http.delete("/api/v1/providers/key?provider=openai", headers=staff.admin_a)).status_code == 204
    assert (await http.delete("/api/v1/providers/key?provider=openai", headers=staff.admin_a)).status_code == 404
    async with opened.tenant(two_tenants.a.tenant_id) as con:
        assert await con.fetchval("select count(*) from secret") == 0
        assert await providers.keys(con) == []
        acts = [row["act"] for row in await con.fetch("select act from audit_entry order by number")]
    assert acts == ["key.enter", "key.remove"]
