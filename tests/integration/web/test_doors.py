"""Webhook addresses: secrets that overlap, networks that may post, refusals that are explained."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from litestar import Litestar
from tests.integration.web.conftest import Door, Staff
from tests.support.postbox import SIGNATURE, sign, webhook_body

from aiops_core import PluginManager, WebhookRejected, WebhookRequest
from aiops_host.data import erasure, refusals
from aiops_host.data.refusals import KEPT, Refusal
from aiops_host.data.session import Database
from aiops_host.settings import Settings
from aiops_host.trust.audit import Actor
from aiops_host.trust.doors import Doorkeeper
from aiops_host.trust.vault import Vault
from aiops_host.watch.metrics import Metrics
from aiops_host.web.receiving import Receiver
from aiops_host.web.remarks import Remarks

CANARY = "canary-of-a-refused-webhook"


@pytest.fixture
def settings() -> Settings:
    """A host behind one proxy it believes."""
    return Settings(base_url="https://aiops.example", trusted_proxies="10.0.0.1")


@pytest.fixture
async def receiver(opened: Database, plugins: PluginManager, vault: Vault) -> AsyncIterator[Receiver]:
    """What judges webhooks, without a server around it; it writes its notes at once."""
    made = Receiver(opened, plugins.registry, vault, Metrics())
    made.remarks.seconds = 0
    yield made
    await made.remarks.close()


def address_of(door: Door, rest: str) -> str:
    """Return the API's address of something about the door's connection."""
    return f"/api/v1/connections/{door.connection.connection_id}/{rest}"


def webhook(secret: str, at: datetime | None = None, ticket: str = "T-1", **headers: str) -> WebhookRequest:
    """Return a signed webhook as received."""
    body = webhook_body(ticket)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return WebhookRequest(headers={**sign(secret, body), **named}, body=body, received_at=at or datetime.now(UTC))


async def rotated(http: httpx.AsyncClient, staff: Staff, door: Door, **options: Any) -> dict[str, Any]:
    """Rotate the door's secret."""
    answer = await http.post(address_of(door, "endpoint/secrets"), headers=staff.admin_a, json=options)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def accepts(receiver: Receiver, door: Door, secret: str, at: datetime | None = None) -> bool:
    """Return whether a webhook signed with the secret is accepted."""
    try:
        await receiver.receive("postbox", door.connection.endpoint_id, webhook(secret, at, ticket=secret[:8]))
    except WebhookRejected:
        return False
    return True


async def endpoint(http: httpx.AsyncClient, staff: Staff, door: Door) -> dict[str, Any]:
    """Return the door's endpoint."""
    found: dict[str, Any] = (await http.get(address_of(door, "endpoint"), headers=staff.reader_a)).json()
    return found


@pytest.mark.promise("secret-overlap")
async def test_a_rotated_secret_and_the_one_before_are_both_accepted(
    http: httpx.AsyncClient, staff: Staff, door: Door
) -> None:
    """During the overlap both secrets prove the sender, through the API and at once; a stranger's proves nothing."""
    made = await rotated(http, staff, door)
    assert made["webhook_secret"] != door.connection.webhook_secret
    assert made["headers"] == {"X-Postbox-Key": f"key {made['webhook_secret']}"}
    assert made["webhook_url"] == f"https://aiops.example{door.path}"
    for number, secret in enumerate((door.connection.webhook_secret, made["webhook_secret"], "nobody's")):
        body = webhook_body(f"T-{number}")
        answer = await http.post(door.path, content=body, headers=sign(secret, body))
        assert answer.status_code == (401 if secret == "nobody's" else 202)
    shown = await endpoint(http, staff, door)
    assert [(s["version"], s["current"]) for s in shown["secrets"]] == [(2, True), (1, False)]
    until = datetime.fromisoformat(shown["secrets"][1]["expires_at"]) - datetime.now(UTC)
    assert timedelta(hours=23) < until < timedelta(hours=25)
    assert made["webhook_secret"] not in str(shown)


@pytest.mark.promise("secret-overlap")
async def test_a_secret_is_refused_from_the_moment_it_expires(
    http: httpx.AsyncClient, staff: Staff, door: Door, receiver: Receiver
) -> None:
    """An endpoint that was looked up before knows when the old secret ends; the new one goes on."""
    made = await rotated(http, staff, door, overlap_hours=2)
    old, now = door.connection.webhook_secret, datetime.now(UTC)
    assert await accepts(receiver, door, old, now + timedelta(hours=1, minutes=59))
    assert not await accepts(receiver, door, old, now + timedelta(hours=2, minutes=1))
    assert await accepts(receiver, door, made["webhook_secret"], now + timedelta(hours=2, minutes=1))


async def test_an_expired_secret_is_not_even_loaded(door: Door, receiver: Receiver, opened: Database) -> None:
    """One that has expired by PostgreSQL's clock proves nothing, whatever our own says."""
    async with opened.tenant(door.tenant.tenant_id) as con:
        await con.execute("update secret set expires_at = now() - interval '1 second' where owner_kind = 'endpoint'")
    past = datetime.now(UTC) - timedelta(hours=1)
    assert not await accepts(receiver, door, door.connection.webhook_secret, past)


@pytest.mark.promise("secret-overlap")
async def test_two_secrets_before_the_newest_stay_valid_and_no_more(
    http: httpx.AsyncClient, staff: Staff, door: Door, receiver: Receiver
) -> None:
    """The third rotation ends the first secret; ending the overlap ends all but the newest."""
    secrets = [door.connection.webhook_secret]
    made = [await rotated(http, staff, door) for _ in range(3)]
    secrets += [one["webhook_secret"] for one in made]
    assert [[s["version"] for s in one["previous"]] for one in made] == [[1], [2, 1], [3, 2]]
    assert [one["ended"] for one in made] == [[], [], [1]]
    assert [await accepts(receiver, door, secret) for secret in secrets] == [False, True, True, True]
    ended = await http.delete(address_of(door, "endpoint/secrets"), headers=staff.admin_a)
    assert [s["version"] for s in ended.json()["secrets"]] == [4]
    receiver.forget(door.connection.endpoint_id)
    assert [await accepts(receiver, door, secret) for secret in secrets] == [False, False, False, True]


async def test_an_overlap_is_bounded_and_a_setting_of_the_tenant(
    http: httpx.AsyncClient, staff: Staff, door: Door
) -> None:
    """At most seven days; without a wish the tenant's own; one that ends sooner is not prolonged."""
    for hours in (169, -1):
        answer = await http.post(
            address_of(door, "endpoint/secrets"), headers=staff.admin_a, json={"overlap_hours": hours}
        )
        assert answer.status_code == 400
    await http.patch("/api/v1/tenant", headers=staff.admin_a, json={"overlap_hours": 1})
    first = await rotated(http, staff, door)
    second = await rotated(http, staff, door, overlap_hours=168)
    assert datetime.fromisoformat(first["previous_until"]) < datetime.now(UTC) + timedelta(hours=1, minutes=1)
    assert datetime.fromisoformat(second["previous_until"]) > datetime.now(UTC) + timedelta(hours=167)
    ends = [s["expires_at"] for s in (await endpoint(http, staff, door))["secrets"]]
    assert ends == [None, second["previous_until"], first["previous_until"]]
    assert (await rotated(http, staff, door, overlap_hours=0))["previous_until"] is None


async def test_when_an_old_secret_was_last_used_is_shown(
    http: httpx.AsyncClient, staff: Staff, door: Door, receiver: Receiver, opened: Database
) -> None:
    """While there are several, each shows when it last proved a webhook; with one only nothing is written."""
    assert await accepts(receiver, door, door.connection.webhook_secret)
    await receiver.remarks.close()
    assert [s["last_used_at"] for s in (await endpoint(http, staff, door))["secrets"]] == [None]
    await rotated(http, staff, door)
    receiver.forget(door.connection.endpoint_id)
    at = datetime.now(UTC) + timedelta(minutes=5)
    assert await accepts(receiver, door, door.connection.webhook_secret, at)
    await receiver.remarks.close()
    assert [s["last_used_at"] for s in (await endpoint(http, staff, door))["secrets"]] == [None, _shown(at)]


def _shown(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


async def post_from(app: Litestar, door: Door, client: str, **headers: str) -> int:
    """Post a signed webhook from an address; return the answer's status."""
    transport = httpx.ASGITransport(app=app, client=(client, 4711), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="https://aiops.example") as client_:
        body = webhook_body(f"T-{client}-{len(headers)}")
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = await client_.post(
            door.path, content=body, headers={**sign(door.connection.webhook_secret, body), **named}
        )
        return answer.status_code


@pytest.mark.promise("networks")
async def test_only_the_networks_listed_may_post(
    app: Litestar, http: httpx.AsyncClient, staff: Staff, door: Door, doors: tuple[Door, Door]
) -> None:
    """A proven webhook from elsewhere is refused like a forged one; other endpoints take it; none listed: all may."""
    wanted = {"networks": ["192.0.2.0/24", "2001:db8::/32", "198.51.100.7"]}
    set_ = await http.put(address_of(door, "endpoint/networks"), headers=staff.admin_a, json=wanted)
    assert set_.json()["networks"] == ["192.0.2.0/24", "2001:db8::/32", "198.51.100.7/32"]
    for client, status in {"192.0.2.9": 202, "198.51.100.7": 202, "2001:db8::1": 202, "198.51.100.8": 401}.items():
        assert await post_from(app, door, client) == status, client
    assert await post_from(app, doors[1], "198.51.100.8") == 202
    await http.put(address_of(door, "endpoint/networks"), headers=staff.admin_a, json={"networks": []})
    assert await post_from(app, door, "198.51.100.8") == 202


@pytest.mark.promise("networks")
async def test_a_sender_cannot_claim_a_network(
    app: Litestar, http: httpx.AsyncClient, staff: Staff, door: Door
) -> None:
    """X-Forwarded-For counts from the proxy the settings believe, and from nobody else."""
    await http.put(address_of(door, "endpoint/networks"), headers=staff.admin_a, json={"networks": ["192.0.2.0/24"]})
    assert await post_from(app, door, "10.0.0.1", x_forwarded_for="192.0.2.9") == 202
    assert await post_from(app, door, "10.0.0.1", x_forwarded_for="192.0.2.9, 203.0.113.5") == 401
    assert await post_from(app, door, "203.0.113.5", x_forwarded_for="192.0.2.9") == 401


@pytest.mark.parametrize("network", ["192.0.2.1/24", "example.com", "300.1.1.1", "10.0.0.0/33", ""])
async def test_what_is_no_network_is_refused_by_its_place(
    http: httpx.AsyncClient, staff: Staff, door: Door, network: str
) -> None:
    """The answer names which of the networks is wrong, and nothing is changed."""
    answer = await http.put(
        address_of(door, "endpoint/networks"), headers=staff.admin_a, json={"networks": ["192.0.2.0/24", network]}
    )
    assert answer.status_code == 422
    assert [e["field"] for e in answer.json()["errors"]] == ["networks.1"]
    assert (await endpoint(http, staff, door))["networks"] == []


async def explained(http: httpx.AsyncClient, staff: Staff, door: Door) -> dict[str, Any]:
    """Return what the API says of the door's refusals."""
    answer = await http.get(address_of(door, "refusals"), headers=staff.reader_a)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.promise("refusals-explained")
async def test_each_refusal_is_explained(
    http: httpx.AsyncClient, staff: Staff, door: Door, receiver: Receiver, opened: Database
) -> None:
    """Which check failed, from where, and what to change, newest first; the sender still hears one word for all."""
    good = door.connection.webhook_secret
    unsigned = WebhookRequest(headers={"x-other": "1"}, body=b"{}", received_at=datetime.now(UTC))
    garbled = WebhookRequest(headers={SIGNATURE: "md5=1"}, body=b"{}", received_at=datetime.now(UTC))
    cases = [
        ("postbox", unsigned, "header-missing", "Have the sender add it"),
        ("postbox", garbled, "header-malformed", "another product may be posting"),
        ("postbox", webhook("nobody's"), "signature", "Enter the newest secret"),
        ("postbox", webhook(good, x_postbox_break="1"), "plugin", "the host's log says why"),
        ("pigeonhole", webhook(good), "address", "Correct the address"),
    ]
    for tool, request, _, _ in cases:
        with pytest.raises(WebhookRejected):
            await receiver.receive(tool, door.connection.endpoint_id, request, lambda: "203.0.113.5")
        await asyncio.sleep(0)
        await receiver.remarks.close()
    found = await explained(http, staff, door)
    told = [(one["check"], one["address"]) for one in found["refusals"]]
    assert told == [(check, "203.0.113.5") for _, _, check, _ in reversed(cases)]
    for one, (_, _, _, advice) in zip(found["refusals"], reversed(cases), strict=True):
        assert advice in one["advice"]
    assert found["refusals"][-1]["header_names"] == ["x-other"]
    assert found["refusals"][-1]["what"] == f"The header {SIGNATURE} is missing."


@pytest.mark.promise("refusals-explained")
async def test_of_a_refused_webhook_only_names_are_kept(
    http: httpx.AsyncClient, staff: Staff, door: Door, receiver: Receiver, opened: Database
) -> None:
    """No value of a header, nothing of a body, and no name that is a live secret; wherever one looks."""
    secret = door.connection.webhook_secret
    headers = {
        SIGNATURE: f"sha256={CANARY}",
        "authorization": f"Bearer {CANARY}",
        secret.lower(): "1",
        f"x-{secret}": "1",
    }
    request = WebhookRequest(headers=headers, body=CANARY.encode(), received_at=datetime.now(UTC))
    with pytest.raises(WebhookRejected):
        await receiver.receive("postbox", door.connection.endpoint_id, request)
    await asyncio.sleep(0)
    await receiver.remarks.close()
    text = str(await explained(http, staff, door))
    async with opened.tenant(door.tenant.tenant_id) as con:
        stored = str(await con.fetch("select r::text from refusal r"))
    assert "authorization" in text
    for hidden in (CANARY, secret, secret.lower()):
        assert hidden not in text
        assert hidden not in stored


@pytest.mark.promise("refusals-explained")
async def test_a_flood_of_refusals_is_kept_small(
    http: httpx.AsyncClient, staff: Staff, door: Door, opened: Database
) -> None:
    """Thousands within a second are one write of at most twenty rows; like ones are counted in one."""
    remarks = Remarks(opened, seconds=3600)
    at = datetime.now(UTC)
    for number in range(5000):
        like = number % 2 == 0
        remarks.refused(
            door.connection.endpoint_id, at, check="signature", detail="no",
            address="203.0.113.5" if like else f"198.51.100.{number % 250}", names=(),
        )  # fmt: skip
    assert len(remarks._refused[door.connection.endpoint_id]) == KEPT
    await remarks.close()
    found = (await explained(http, staff, door))["refusals"]
    assert len(found) == KEPT
    assert {one["address"]: one["times"] for one in found}["203.0.113.5"] == 2500


async def test_the_newest_twenty_stay(http: httpx.AsyncClient, staff: Staff, door: Door, opened: Database) -> None:
    """Older refusals go as newer come, of this endpoint only."""
    for number in range(50):
        one = Refusal(at=datetime.now(UTC), check="signature", detail=f"{number}", address=None, names=("a",), times=1)
        await refusals.record(opened, door.connection.endpoint_id, [one])
    found = await explained(http, staff, door)
    assert [one["what"] for one in found["refusals"]] == [str(n) for n in range(49, 29, -1)]
    assert "The last 20 refusals failed the same check, signature" in found["summary"]
    await refusals.record(opened, "0" * 32, [one])
    async with opened.tenant(door.tenant.tenant_id) as con:
        assert await con.fetchval("select count(*) from refusal") == KEPT


async def test_what_goes_to_an_unknown_address_is_not_recorded(
    http: httpx.AsyncClient, door: Door, receiver: Receiver, opened: Database
) -> None:
    """A stranger's guesses cost no memory and no write."""
    for guess in ("0" * 32, "f" * 32, "no-id"):
        with pytest.raises(WebhookRejected):
            await receiver.receive("postbox", guess, webhook("x"))
        await asyncio.sleep(0)
    assert receiver.remarks._refused == {}
    assert receiver.remarks._writer is None


async def test_valid_webhooks_leave_nothing_to_write(door: Door, receiver: Receiver) -> None:
    """With one secret and no refusal an accepted webhook starts no task and notes nothing."""
    assert await accepts(receiver, door, door.connection.webhook_secret)
    assert (receiver.remarks._refused, receiver.remarks._used, receiver.remarks._writer) == ({}, {}, None)


async def test_an_endpoint_that_refused_nothing_says_so(http: httpx.AsyncClient, staff: Staff, door: Door) -> None:
    """Where nothing was refused, the answer says where else to look."""
    found = await explained(http, staff, door)
    assert found["refusals"] == []
    assert "refused nothing so far" in found["summary"]
    assert found["endpoint"]["webhook_url"] == f"https://aiops.example{door.path}"


async def test_a_host_that_still_knows_a_deleted_connection_stores_nothing(
    door: Door, receiver: Receiver, opened: Database
) -> None:
    """An address looked up before its connection was deleted elsewhere refuses what comes, and keeps none of it."""
    assert await accepts(receiver, door, door.connection.webhook_secret)
    keeper = Doorkeeper(opened, Actor("person", "pat@example.com"), door.tenant.tenant_id)
    await keeper.delete(door.connection.connection_id, "front door")
    with pytest.raises(WebhookRejected):
        await receiver.receive("postbox", door.connection.endpoint_id, webhook(door.connection.webhook_secret))
    async with opened.tenant(door.tenant.tenant_id) as con:
        assert await con.fetchval("select count(*) from delivery") == 1


async def test_a_host_that_still_knows_a_tenant_on_its_way_out_stores_nothing(
    door: Door, receiver: Receiver, opened: Database
) -> None:
    """From the moment a deletion is begun no webhook is answered 202, by whichever process."""
    assert await accepts(receiver, door, door.connection.webhook_secret)
    await erasure.begin(opened, door.tenant.tenant_id)
    with pytest.raises(WebhookRejected):
        await receiver.receive("postbox", door.connection.endpoint_id, webhook(door.connection.webhook_secret))
    async with opened.tenant(door.tenant.tenant_id) as con:
        assert await con.fetchval("select count(*) from delivery") == 1
