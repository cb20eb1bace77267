"""Who asks too often is told when to come again, and nobody else notices."""

import httpx
import pytest
from tests.integration.web.conftest import Door, Staff
from tests.support.postbox import webhook_body

from aiops_host.settings import Settings

FAR, OTHER = {"X-Forwarded-For": "203.0.113.7"}, {"X-Forwarded-For": "203.0.113.8"}


@pytest.fixture
def settings() -> Settings:
    """Six requests a minute from one address, nine about one tenant."""
    return Settings(base_url="https://aiops.example", requests_per_address=6, requests_per_tenant=9)


def _is_told_to_wait(answer: httpx.Response) -> bool:
    if answer.status_code != 429:
        return False
    assert answer.headers["content-type"] == "application/problem+json"
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert answer.json()["code"] == "too-many-requests"
    return True


@pytest.mark.promise("rate-limits")
async def test_an_address_that_asks_too_often_waits(http: httpx.AsyncClient, staff: Staff) -> None:
    """Strangers and people of one address share its bucket; other addresses, and our own dashboard's, do not."""
    strange = [await http.get("/api/v1/me", headers=FAR) for _ in range(6)]
    assert {answer.status_code for answer in strange} == {401}
    assert _is_told_to_wait(await http.get("/api/v1/me", headers=FAR | staff.admin_a))
    assert _is_told_to_wait(await http.post("/api/v1/login", headers=FAR, json={"email": "a@b", "password": "x"}))
    assert (await http.get("/api/v1/me", headers=OTHER | staff.admin_a)).status_code == 200
    for _ in range(12):
        assert (await http.get("/api/v1/me", headers=staff.admin_a)).status_code == 200


async def test_neighbours_of_one_line_share_a_bucket(http: httpx.AsyncClient, staff: Staff) -> None:
    """A sender with 2^64 addresses has one bucket, and a made-up first hop gives nobody another."""
    for number in range(6):
        forwarded = {"X-Forwarded-For": f"198.51.100.{number}, 2001:db8:1:2::{number:x}"}
        assert (await http.get("/api/v1/me", headers=forwarded | staff.admin_a)).status_code == 200
    assert _is_told_to_wait(await http.get("/api/v1/me", headers={"X-Forwarded-For": "2001:db8:1:2:ffff::1"}))
    assert (await http.get("/api/v1/me", headers={"X-Forwarded-For": "2001:db8:1:3::1"})).status_code == 401


@pytest.mark.promise("rate-limits")
async def test_a_tenant_that_asks_too_often_waits(http: httpx.AsyncClient, staff: Staff, door: Door) -> None:
    """All people of a tenant share its bucket, the other tenant's and the platform's own routes do not suffer."""
    for person in (staff.admin_a, staff.technician_a, staff.reader_a):
        for _ in range(3):
            assert (await http.get("/api/v1/runs", headers=person)).status_code == 200
    assert _is_told_to_wait(await http.get("/api/v1/runs", headers=staff.admin_a))
    assert _is_told_to_wait(await http.get("/api/v1/runs?tenant=tenant-a", headers=staff.platform))
    assert (await http.get("/api/v1/runs", headers=staff.admin_b)).status_code == 200
    assert (await http.get("/api/v1/tenants", headers=staff.platform)).status_code == 200
    assert (await http.get("/api/v1/me", headers=staff.admin_a)).status_code == 200
    assert (await door.post(webhook_body("T-1"))).status_code == 202


async def test_webhooks_are_not_counted(http: httpx.AsyncClient, door: Door) -> None:
    """A burst of webhooks of one address is taken whole, because a refusal would be final at some senders."""
    for number in range(12):
        assert (await door.post(webhook_body(f"T-{number}"), x_forwarded_for="203.0.113.7")).status_code == 202


async def test_who_may_not_enter_a_tenant_takes_nothing_from_it(http: httpx.AsyncClient, staff: Staff) -> None:
    """Another tenant's people, asking for this one, do not empty its bucket."""
    for _ in range(20):
        assert (await http.get("/api/v1/runs?tenant=tenant-a", headers=staff.admin_b)).status_code == 404
    assert (await http.get("/api/v1/runs", headers=staff.admin_a)).status_code == 200
