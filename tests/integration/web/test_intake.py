"""``POST /webhooks/...`` against a real PostgreSQL."""

import asyncio
import json
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from litestar import Litestar
from tests.integration.web.conftest import Bell, Door, Heard
from tests.support.databases import DatabaseUrls
from tests.support.postbox import SIGNATURE, sign, webhook_body

from aiops_core import PluginManager
from aiops_host.data import connections, tenants
from aiops_host.data.connections import SealedSecret
from aiops_host.data.session import Database
from aiops_host.trust.connections import NewConnection, create_connection
from aiops_host.trust.vault import SecretName, Vault
from aiops_host.web.intake import MAX_BODY_BYTES

MANY = 100


async def rows(opened: Database, door: Door) -> list[dict[str, Any]]:
    """Return the tenant's deliveries, oldest first."""
    async with opened.tenant(door.tenant.tenant_id) as con:
        return [dict(r) for r in await con.fetch("select * from delivery order by received_at")]


async def only(opened: Database, door: Door) -> dict[str, Any]:
    """Return the tenant's one delivery."""
    (row,) = await rows(opened, door)
    return row


async def test_an_opened_ticket_is_stored_and_woken(opened: Database, door: Door, heard: Heard, app: Litestar) -> None:
    """A proven webhook about an opened ticket is committed as received, queued for a run, and announced."""
    body = webhook_body("T-1", revision="7")
    answer = await door.post(body, x_postbox_id="first", content_type="application/json")
    row = await only(opened, door)
    assert answer.status_code == 202
    assert answer.json() == {
        "delivery_id": str(row["delivery_id"]),
        "status_url": f"https://aiops.example/api/v1/deliveries/{row['delivery_id']}",
    }
    assert row["body"] == body
    assert (row["state"], row["action"], row["reason"]) == ("queued", "run", None)
    assert (row["ticket_id"], row["kind"], row["revision"], row["external_id"]) == ("T-1", "opened", "7", "first")
    assert await heard() == [(door.tenant.tenant_id, row["delivery_id"])]


@pytest.mark.parametrize(
    ("body", "state", "action", "why"),
    [
        (webhook_body(kind="resolved"), "queued", "learn", None),
        (webhook_body(kind="updated"), "ignored", "none", "was updated starts no run"),
        (webhook_body(kind="commented"), "ignored", "none", "this connection runs on: opened"),
        (webhook_body(reference="A" * 18), "ignored", "none", "our own note"),
        (b"not json", "quarantined", "none", "not JSON"),
        (b"", "quarantined", "none", "not JSON"),
        (b"[]", "quarantined", "none", "not an object"),
        (b"[" * 65 + b"]" * 65, "quarantined", "none", "nested deeper than 64"),
        (b"[" * 20_000, "quarantined", "none", "nested deeper than 64"),
        (webhook_body(**{"break": True}), "quarantined", "none", "RuntimeError: the reader broke"),
        (webhook_body(ticket=""), "quarantined", "none", "ticket's id"),
        (webhook_body(ticket="T\x001"), "quarantined", "none", "ticket's id"),
        (webhook_body(ticket="T" * 300), "quarantined", "none", "ticket's id"),
        (webhook_body(kind="exploded"), "quarantined", "none", "Invalid enum value"),
        (webhook_body(ticket="\ud800"), "quarantined", "none", "ticket's id"),
    ],
    ids=[
        "resolved",
        "updated",
        "commented",
        "reference",
        "no json",
        "empty",
        "array",
        "65 deep",
        "20000 deep",
        "bug",
        "no ticket",
        "nul",
        "long ticket",
        "wrong kind",
        "surrogate",
    ],
)
async def test_a_proven_webhook_is_kept_whatever_it_says(
    opened: Database, door: Door, heard: Heard, *, body: bytes, state: str, action: str, why: str | None
) -> None:
    """What cannot be read or starts nothing is answered 202 and kept with its reason in plain words."""
    answer = await door.post(body)
    row = await only(opened, door)
    assert answer.status_code == 202
    assert (row["state"], row["action"]) == (state, action)
    assert row["body"] == body
    assert (row["finished_at"] is None) == (state == "queued")
    assert row["reason"] == why if why is None else why in row["reason"]
    assert len(await heard()) == (state == "queued")


@pytest.mark.attack(32)
async def test_what_our_own_account_did_is_ignored(opened: Database, door: Door, database: DatabaseUrls) -> None:
    """A webhook caused by the connection's own account starts nothing."""
    async with opened.tenant(door.tenant.tenant_id) as con:
        await con.execute("update connection set account_id = 'robot'")
    await door.post(webhook_body("T-1", actor="robot"))
    await door.post(webhook_body("T-2", actor="somebody"))
    assert [(r["ticket_id"], r["state"]) for r in await rows(opened, door)] == [("T-1", "ignored"), ("T-2", "queued")]


async def test_the_connection_chooses_what_starts_a_run(
    opened: Database, door: Door, vault: Vault, plugins: PluginManager, http: httpx.AsyncClient
) -> None:
    """A connection set to run on updates and resolutions runs on those, and not on opened tickets."""
    new = NewConnection(name="second", ticketing_tool="postbox", run_on=("updated", "resolved"))
    made = await create_connection(opened, vault, plugins.registry, door.tenant.tenant_id, new)
    second = Door(door.tenant, made, http)
    for kind in ("opened", "updated", "resolved"):
        await second.post(webhook_body(kind=kind))
    found = [(r["kind"], r["action"]) for r in await rows(opened, door)]
    assert found == [("opened", "none"), ("updated", "run"), ("resolved", "run")]


@pytest.mark.attack(9)
@pytest.mark.attack(12)
@pytest.mark.promise("sender-proven")
async def test_every_refusal_is_the_same_to_the_byte(door: Door, doors: tuple[Door, Door], opened: Database) -> None:
    """Unknown address, other tool's address, other tenant's secret and every kind of bad proof answer one 401."""
    body, proof = webhook_body(), sign(door.connection.webhook_secret, webhook_body())
    endpoint = door.connection.endpoint_id
    attempts: list[tuple[str, dict[str, str]]] = [
        (f"/webhooks/postbox/{uuid4().hex}", proof),
        (f"/webhooks/postbox/{uuid4().hex}", {}),
        ("/webhooks/postbox/not-an-id", proof),
        (f"/webhooks/postbox/{endpoint.upper()}", proof),
        (f"/webhooks/pigeonhole/{endpoint}", proof),
        (f"/webhooks/nothing/{endpoint}", proof),
        (door.path, {}),
        (door.path, {SIGNATURE: "sha256="}),
        (door.path, {SIGNATURE: "sha256=" + "0" * 64}),
        (door.path, {SIGNATURE: proof[SIGNATURE][:-1]}),
        (door.path, {SIGNATURE: "x" * 5000}),
        (door.path, sign(doors[1].connection.webhook_secret, body)),
        (door.path, sign(door.connection.webhook_secret, body + b" ")),
        (door.path, {**proof, "x-postbox-break": "1"}),
    ]
    answers = [await door.http.post(path, content=body, headers=headers) for path, headers in attempts]
    assert {a.status_code for a in answers} == {401}
    assert answers[0].json()["code"] == "sender-not-proven"
    assert {a.headers["content-type"] for a in answers} == {"application/problem+json"}
    assert len({a.content for a in answers}) == 1
    assert len({tuple(sorted(a.headers.items())) for a in answers}) == 1
    assert await rows(opened, door) == []


async def test_every_refusal_is_told_to_whoever_runs_it(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    """An unknown address is logged by its beginning, which nobody could post with; other refusals by connection."""
    caplog.set_level("INFO", "aiops_host.web.receiving")
    unknown, connection = uuid4().hex, door.connection.connection_id
    said = []
    for path, headers in (
        (f"/webhooks/postbox/{unknown}", {}),
        (f"/webhooks/nothing/{door.connection.endpoint_id}", {}),
        ("/webhooks/postbox/a%0Ab", {}),
        (door.path, {SIGNATURE: "sha256=" + "0" * 64}),
        (door.path, {"x-postbox-break": "1"}),
    ):
        caplog.clear()
        await door.http.post(path, content=webhook_body(), headers=headers)
        said.append([r.getMessage() for r in caplog.records if r.name == "aiops_host.web.receiving"])
    assert said == [
        [f"webhook refused: unknown address /postbox/{unknown[:6]}…"],
        [f"webhook refused: unknown address /nothing/{door.connection.endpoint_id[:6]}…"],
        ["webhook refused: unknown address /postbox/a b…"],
        [f"webhook refused: signature, connection {connection}"],
        [f"postbox failed to judge a webhook of connection {connection}: RuntimeError: the judge broke"],
    ]


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "chunked"])
async def test_a_body_above_the_limit_is_refused(door: Door, opened: Database, announced: bool) -> None:
    """A body of more than 1 MiB is answered 413 whether or not its size was announced; exactly 1 MiB is taken."""
    secret = door.connection.webhook_secret
    full, over = b"x" * MAX_BODY_BYTES, b"x" * (MAX_BODY_BYTES + 1)

    async def pieces(body: bytes) -> Any:
        for start in range(0, len(body), 65536):
            yield body[start : start + 65536]

    async def send(body: bytes) -> httpx.Response:
        content = body if announced else pieces(body)
        return await door.http.post(door.path, content=content, headers=sign(secret, body))

    refused = await send(over)
    assert refused.status_code == 413
    assert refused.headers["content-type"] == "application/problem+json"
    assert await rows(opened, door) == []
    assert (await send(full)).status_code == 202


@pytest.mark.attack(15)
async def test_an_encoded_body_is_refused(door: Door) -> None:
    """A body with a content encoding is answered 415; ``identity`` is none."""
    assert (await door.post(webhook_body(), content_encoding="gzip")).status_code == 415
    assert (await door.post(webhook_body(), content_encoding="identity")).status_code == 202


@pytest.mark.attack(10)
async def test_the_same_webhook_again_is_the_first_one(opened: Database, door: Door, heard: Heard) -> None:
    """The sender's own id, or the same bytes without one, answers 202 with the first id and starts nothing more."""
    first = await door.post(webhook_body("T-1", revision="1"), x_postbox_id="same")
    again = await door.post(webhook_body("T-2", revision="2"), x_postbox_id="same")
    bare = await door.post(webhook_body("T-3", revision="3"))
    bare_again = await door.post(webhook_body("T-3", revision="3"))
    assert first.json() == again.json() != bare.json() == bare_again.json()
    assert {a.status_code for a in (first, again, bare, bare_again)} == {202}
    assert len(await rows(opened, door)) == len(await heard()) == 2


@pytest.mark.attack(11)
async def test_a_replay_under_a_new_id_is_the_first_one(opened: Database, door: Door) -> None:
    """Ticket, kind and revision are a second key, since a sender's id is not signed."""
    sent = [await door.post(webhook_body("T-1", revision="1"), x_postbox_id=f"id-{n}") for n in range(3)]
    changed = await door.post(webhook_body("T-1", revision="2"), x_postbox_id="id-9")
    other = await door.post(webhook_body("T-1", kind="updated", revision="1"), x_postbox_id="id-10")
    assert len({a.json()["delivery_id"] for a in sent}) == 1
    assert len({a.json()["delivery_id"] for a in (sent[0], changed, other)}) == 3
    assert len(await rows(opened, door)) == 3


async def test_a_hundred_at_once_are_one_delivery(opened: Database, door: Door) -> None:
    """A hundred concurrent sends of one webhook, half under ids of their own, make one row, and all get its id."""
    body = webhook_body("T-1", revision="1")
    sends = [door.post(body, x_postbox_id="same" if n % 2 else f"id-{n}") for n in range(MANY)]
    answers = await asyncio.gather(*sends)
    row = await only(opened, door)
    assert {(a.status_code, a.json()["delivery_id"]) for a in answers} == {(202, str(row["delivery_id"]))}


@pytest.mark.attack(13)
async def test_what_one_connection_got_is_new_to_another(opened: Database, doors: tuple[Door, Door]) -> None:
    """The same ids and bytes at another tenant's endpoint are that tenant's own delivery, whatever the body claims."""
    body = webhook_body("T-1", revision="1", tenant_id=str(doors[1].tenant.tenant_id))
    ids = {(await door.post(body, x_postbox_id="same")).json()["delivery_id"] for door in doors}
    stored = {str((await only(opened, door))["delivery_id"]) for door in doors}
    assert ids == stored
    assert len(ids) == 2


async def test_headers_are_kept_by_a_list_and_never_with_a_secret(opened: Database, door: Door) -> None:
    """Ids, retries and content type are kept; proofs, cookies and anything that holds a webhook secret are not."""
    await door.post(
        webhook_body(),
        content_type="application/json",
        x_postbox_id="1",
        x_postbox_retry="2",
        x_leaky_id=f"key {door.connection.webhook_secret}",
        authorization=f"Bearer {door.connection.webhook_secret}",
        cookie="session=1",
        x_api_key="k",
        x_long_id="y" * 300,
    )
    kept = (await only(opened, door))["headers"]
    assert {k: kept[k] for k in kept if k != "user-agent"} == {
        "content-type": "application/json",
        "x-postbox-id": "1",
        "x-postbox-retry": "2",
    }


async def test_a_valid_traceparent_is_kept_and_another_is_replaced(opened: Database, door: Door) -> None:
    """The trace of the sender goes on; without a valid one a new trace begins."""
    given_by_sender = f"00-{'a' * 32}-{'b' * 16}-01"
    await door.post(webhook_body("T-1"), traceparent=given_by_sender)
    await door.post(webhook_body("T-2"), traceparent=f"00-{'0' * 32}-{'b' * 16}-01")
    await door.post(webhook_body("T-3"))
    kept, zero, none = [r["traceparent"] for r in await rows(opened, door)]
    assert kept == given_by_sender
    assert len({kept, zero, none}) == 3
    for fresh in (zero, none):
        version, trace, span, flags = fresh.split("-")
        assert (version, len(trace), len(span), flags) == ("00", 32, 16, "01")
        assert int(trace, 16) > 0


async def test_an_older_secret_works_until_it_expires(
    opened: Database, door: Door, vault: Vault, database: DatabaseUrls, app: Litestar
) -> None:
    """After a new secret was added both prove; once the old one has expired only the new one does."""
    tenant_id, endpoint = door.tenant.tenant_id, door.connection.endpoint_id
    name = SecretName(tenant_id=tenant_id, owner_kind="endpoint", owner_id=endpoint, name="webhook", version=2)
    async with opened.tenant(tenant_id) as con:
        sealed = SealedSecret(
            owner_kind="endpoint",
            owner_id=endpoint,
            name="webhook",
            version=2,
            sealed=await vault.seal(con, name, "newer"),
        )
        await connections.put_secret(con, tenant_id, sealed)
        await con.execute("update secret set expires_at = now() + interval '1 day' where version = 1")
    body = webhook_body()
    old, new = sign(door.connection.webhook_secret, body), sign("newer", body)
    assert [(await door.http.post(door.path, content=body, headers=h)).status_code for h in (old, new)] == [202, 202]
    async with opened.tenant(tenant_id) as con:
        await con.execute("update secret set expires_at = now() where version = 1")
    await _forget_endpoints(app)
    assert [(await door.http.post(door.path, content=body, headers=h)).status_code for h in (old, new)] == [401, 202]


async def _forget_endpoints(app: Litestar) -> None:
    """Make the application look endpoints up again, as it does after a minute."""
    parts = app.dependencies["parts"].dependency()
    parts.receiver._endpoints._known.clear()


async def test_a_removed_connection_is_an_unknown_address(opened: Database, door: Door) -> None:
    """A connection deleted while its endpoint is remembered answers the uniform 401, not an error."""
    assert (await door.post(webhook_body("T-1"))).status_code == 202
    async with opened.tenant(door.tenant.tenant_id) as con:
        await con.execute("delete from connection")
    gone = await door.post(webhook_body("T-2"))
    unknown = await door.http.post(f"/webhooks/postbox/{uuid4().hex}", content=b"")
    assert (gone.status_code, gone.content) == (401, unknown.content)


async def test_a_suspended_tenants_webhooks_are_kept(opened: Database, door: Door) -> None:
    """Deliveries of a suspended tenant and of a paused connection are stored and wait."""
    await tenants.set_state(opened, door.tenant.tenant_id, "suspended")
    await connections.set_state(opened, door.tenant.tenant_id, door.connection.connection_id, "paused")
    assert (await door.post(webhook_body())).status_code == 202
    assert (await only(opened, door))["state"] == "queued"


@pytest.mark.parametrize("fault", ["broken", "hangs"])
async def test_a_wake_up_that_fails_costs_the_sender_nothing(
    opened: Database, door: Door, bell: Bell, app: Litestar, fault: str
) -> None:
    """The sender is answered before the wake-up ends; a failed one is counted and the delivery stays due."""
    setattr(bell, fault, True)
    assert (await door.post(webhook_body())).status_code == 202
    parts = app.dependencies["parts"].dependency()
    async with asyncio.timeout(30):
        await parts.wakes.close()
    assert parts.wakes.failed == 1
    assert (await only(opened, door))["state"] == "queued"


async def test_a_secret_that_does_not_open_is_our_fault(door: Door, database: DatabaseUrls, opened: Database) -> None:
    """A webhook that cannot be judged, because its secret does not open with this key, is to be sent again."""
    async with opened.tenant(door.tenant.tenant_id) as con:
        await con.execute("update secret set sealed = overlay(sealed placing '\\x00'::bytea from 60)")
    answer = await door.post(webhook_body())
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_plugin_that_is_gone_is_our_fault(opened: Database, door: Door, app: Litestar) -> None:
    """A known address whose ticketing tool is no longer installed asks the sender to come again."""
    async with opened.tenant(door.tenant.tenant_id) as con:
        await con.execute("update connection set ticketing_tool = 'uninstalled'")
    path = f"/webhooks/uninstalled/{door.connection.endpoint_id}"
    assert (await door.http.post(path, content=b"{}")).status_code == 503


@pytest.mark.promise("committed-before-2xx")
async def test_a_busy_database_is_never_a_false_success(opened: Database, door: Door) -> None:
    """With every connection taken the sender is told to come again, and nothing is stored."""
    assert (await door.post(webhook_body("T-1"))).status_code == 202
    async with opened.role("intake"), opened.role("intake"), opened.role("intake"), opened.role("intake"):
        busy = await door.post(webhook_body("T-2"))
    assert busy.status_code == 503
    assert busy.headers["retry-after"]
    assert (await door.post(webhook_body("T-2"))).status_code == 202
    assert len(await rows(opened, door)) == 2


async def test_killed_backends_cost_at_most_a_resend(opened: Database, door: Door, database: DatabaseUrls) -> None:
    """After its backends were killed the intake answers 202 or 503, and soon 202 again, with every 202 stored."""
    con = await asyncpg.connect(database.superuser)
    accepted = set()
    for n in range(10):
        await con.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'aiops_intake'")
        answer = await door.post(webhook_body(f"T-{n}"))
        assert answer.status_code in (202, 503)
        if answer.status_code == 202:
            accepted.add(UUID(answer.json()["delivery_id"]))
    await con.close()
    last = await door.post(webhook_body("T-last"))
    assert last.status_code == 202
    accepted.add(UUID(last.json()["delivery_id"]))
    assert {r["delivery_id"] for r in await rows(opened, door)} == accepted


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from(["ticket", "kind", "actor", "revision", "reference", "break"])
BODIES = (
    st.binary(max_size=400)
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.dictionaries(FIELDS, JSON, max_size=6).map(lambda value: json.dumps(value).encode())
)
HEADER = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=300)


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(body=BODIES, sender_id=HEADER)
@pytest.mark.attack(14)
async def test_no_body_makes_the_host_fail(door: Door, body: bytes, sender_id: str) -> None:
    """Whatever a proven sender sends is kept with 202; whatever an unproven one sends is the one 401."""
    proven = await door.post(body, x_postbox_id=sender_id)
    unproven = await door.http.post(door.path, content=body, headers={SIGNATURE: sender_id})
    assert (proven.status_code, unproven.status_code) == (202, 401)


def test_the_cache_is_bounded_in_time() -> None:
    """A rotated secret, or a connection's change, counts within a minute."""
    from aiops_host.web import endpoints  # noqa: PLC0415 - its limits only

    assert timedelta(seconds=endpoints.FRESH_SECONDS) <= timedelta(minutes=1)
