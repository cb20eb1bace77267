"""The API: who may do what, in which tenant, and in what form it answers."""

import re
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest
from litestar import Litestar, get
from tests.integration.web.conftest import Bell, Door, Heard, Staff
from tests.support.databases import TwoTenants
from tests.support.postbox import sign, webhook_body

from aiops_core import Enhancement, Heading, Paragraph, PluginManager
from aiops_host.data import probes
from aiops_host.data.session import Database
from aiops_host.settings import Settings
from aiops_host.trust.permissions import PERMISSIONS
from aiops_host.trust.vault import Vault
from aiops_host.web.access import Access
from aiops_host.web.app import create_app

PROBLEM = "application/problem+json"
PUBLIC = {
    ("POST", "/webhooks/{ticketing_tool}/{endpoint_id}"),
    ("POST", "/api/v1/login"),
    ("GET", "/api/v1/login/methods"),
    ("POST", "/api/v1/login/oidc"),
    ("POST", "/api/v1/login/oidc/finish"),
    ("POST", "/api/v1/invitations/look"),
    ("POST", "/api/v1/invitations/accept"),
    ("POST", "/api/v1/password/forgot"),
    ("POST", "/api/v1/password/look"),
    ("POST", "/api/v1/password/reset"),
    ("GET", "/health/live"),
    ("GET", "/health/ready"),
    ("GET", "/docs"),
    ("GET", "/openapi.json"),
}

BODIES: dict[str, dict[str, Any]] = {
    "replay": {},
    "config": {},
    "secrets": {},
    "networks": {"networks": []},
    "{user_id}": {"role": "technician"},
}
"""What a request has to carry to be looked at, by the last part of its path."""


async def operations(http: httpx.AsyncClient) -> list[tuple[str, str, dict[str, Any]]]:
    """Return every operation of the OpenAPI document."""
    document = (await http.get("/openapi.json")).json()
    return [
        (method.upper(), path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]


async def delivered(door: Door, ticket: str = "T-1", **more: Any) -> str:
    """Send a webhook and return its delivery's id."""
    answer = await door.post(webhook_body(ticket, **more))
    assert answer.status_code == 202
    return str(answer.json()["delivery_id"])


async def with_a_note(opened: Database, door: Door, delivery_id: str) -> str:
    """Store an attempt, a run with a step and a confirmed note for the delivery; return the run's id."""
    tenant_id, run_id, now = door.tenant.tenant_id, uuid4(), datetime.now(UTC)
    note = Enhancement(body=(Heading("Findings", 1), Paragraph("Restart it <b>now</b>.")))
    async with opened.tenant(tenant_id) as con:
        await con.execute(
            "insert into attempt (tenant_id, delivery_id, number, trigger, worker, outcome) "
            "values ($1, $2, 1, 'scheduled', 'w1', 'posted')",
            tenant_id,
            UUID(delivery_id),
        )
        await con.execute(
            "insert into run (tenant_id, run_id, delivery_id, attempt, connection_id, ticket_id, agent, agent_version, "
            "state, started_at, finished_at, model, prompt_tokens, completion_tokens, cost_usd) "
            "values ($1, $2, $3, 1, $4, 'T-1', 'enhance', '1', 'finished', $5, $5, 'm', 10, 5, 0.25)",
            tenant_id,
            run_id,
            UUID(delivery_id),
            door.connection.connection_id,
            now,
        )
        await con.execute(
            "insert into step (tenant_id, run_id, number, name, started_at, milliseconds, inputs, outputs) "
            "values ($1, $2, 1, 'gather', $3, 12.5, $4, $5)",
            tenant_id,
            run_id,
            now,
            {"q": "printer"},
            {"found": 3},
        )
        await con.execute(
            "insert into effect (tenant_id, effect_id, connection_id, ticket_id, logical_key, delivery_id, run_id, "
            "reference, body, body_hash, state, remote_url, confirmed_at) "
            "values ($1, $2, $3, 'T-1', 'k', $4, $5, 'R', $6, '', 'confirmed', 'https://tool.example/note/1', now())",
            tenant_id,
            uuid4(),
            door.connection.connection_id,
            UUID(delivery_id),
            run_id,
            msgspec.json.encode(note),
        )
    return str(run_id)


async def with_people(http: httpx.AsyncClient, staff: Staff) -> dict[str, str]:
    """Return ids of tenant a's people: a member, one of their sessions, their token, an invitation."""
    member = (await http.get("/api/v1/members", headers=staff.admin_a)).json()["items"][0]
    session = (await http.get("/api/v1/me/sessions", headers=staff.admin_a)).json()[0]
    token = await http.post("/api/v1/me/tokens", headers=staff.admin_a, json={"name": "script"})
    invited = await http.post("/api/v1/invitations", headers=staff.admin_a, json={"email": "new@a.example"})
    return {
        "user_id": member["user_id"],
        "session_id": session["id"],
        "token_id": token.json()["id"],
        "invitation_id": invited.json()["invitation"]["id"],
    }


@pytest.mark.promise("routes-ask")
async def test_every_route_but_the_public_ones_needs_a_session(http: httpx.AsyncClient, staff: Staff) -> None:
    """Each operation of the OpenAPI document answers the one 401 to whoever is not logged in."""
    found = await operations(http)
    assert {path for _, path, _ in found} > {"/api/v1/deliveries", "/api/v1/deliveries/{delivery_id}/replay"}
    answers = set()
    for method, path, operation in found:
        if (method, path) in PUBLIC:
            assert "security" not in operation, path
            continue
        address = re.sub(r"\{\w+_id\}", str(uuid4()), path)
        assert "{" not in address, f"{path}: say what to put in"
        for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Cookie": "aiops_session=nonsense"}):
            answer = await http.request(method, address, headers=headers)
            answers.add((answer.status_code, answer.content))
        assert operation["security"] == [{"bearer": []}, {"cookie": []}], path
    assert [status for status, _ in answers] == [401]


@pytest.mark.promise("routes-ask")
async def test_every_route_asks_for_a_permission_of_the_table(app: Litestar) -> None:
    """No route of the application is without a permission, and only the listed ones are public."""
    public = set()
    for route in app.routes:
        for handler in getattr(route, "route_handlers", []):
            if handler.http_methods == {"OPTIONS"}:
                continue
            assert handler.opt.get("permission") in PERMISSIONS, route.path
            if PERMISSIONS[handler.opt["permission"]].scope == "public":
                public |= {(method, route.path) for method in handler.http_methods}
    expected = {(method, path.replace("}", ":str}")) for method, path in PUBLIC}
    assert public == expected


async def test_a_route_that_asks_for_nothing_is_refused(
    settings: Settings, plugins: PluginManager, opened: Database, vault: Vault, bell: Bell, *, staff: Staff
) -> None:
    """A route somebody forgot to give a permission answers 401 without and 403 with a session, whoever it is."""

    @get("/forgotten")
    async def forgotten() -> str:
        return "secret"

    app = create_app(settings, plugins, opened, vault, bell)
    app.register(forgotten)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="https://aiops.example") as client:
        assert (await client.get("/forgotten")).status_code == 401
        assert (await client.get("/forgotten", headers=staff.platform)).status_code == 403
    assert Access.check in [getattr(g, "__func__", None) for g in app.guards]


async def test_roles_bound_what_a_person_may_do(http: httpx.AsyncClient, staff: Staff, door: Door) -> None:
    """Reading is for all, replaying for technicians, connections for administrators, tenants for the platform."""
    delivery = await delivered(door)  # queued already: whoever may replay it is told so
    replay, pause, resume = (
        f"/api/v1/deliveries/{delivery}/replay",
        f"/api/v1/connections/{door.connection.connection_id}/pause",
        f"/api/v1/connections/{door.connection.connection_id}/resume",
    )

    async def statuses(headers: dict[str, str], tenant: str = "") -> list[int]:
        return [
            (await http.get("/api/v1/deliveries" + tenant, headers=headers)).status_code,
            (await http.post(replay + tenant, headers=headers, json={})).status_code,
            (await http.post(pause + tenant, headers=headers)).status_code,
            (await http.post(resume + tenant, headers=headers)).status_code,
            (await http.get("/api/v1/tenants", headers=headers)).status_code,
        ]

    assert await statuses(staff.reader_a) == [200, 403, 403, 403, 403]
    assert await statuses(staff.technician_a) == [200, 409, 403, 403, 403]
    assert await statuses(staff.admin_a) == [200, 409, 200, 200, 403]
    assert await statuses(staff.platform, "?tenant=tenant-a") == [200, 409, 200, 200, 200]
    assert await statuses(staff.admin_b) == [200, 404, 404, 404, 403]


async def test_another_tenants_ids_are_like_random_ones(
    http: httpx.AsyncClient, staff: Staff, doors: tuple[Door, Door], opened: Database
) -> None:
    """Every id of tenant a, asked for by tenant b, answers to the byte what a random id answers."""
    delivery = await delivered(doors[0])
    run = await with_a_note(opened, doors[0], delivery)
    own = {"delivery_id": delivery, "run_id": run, "connection_id": str(doors[0].connection.connection_id)}
    tenant_id = doors[0].tenant.tenant_id
    async with opened.tenant(tenant_id) as con:
        own["probe_id"] = str(await probes.ask(con, tenant_id, "connection", own["connection_id"]))
    own |= await with_people(http, staff)
    for method, path, _ in await operations(http):
        if "{" not in path or path.startswith("/webhooks"):
            continue
        answers = []
        for ids in (own, dict.fromkeys(own, str(uuid4()))):
            answer = await http.request(
                method,
                path.format(**ids),
                headers=staff.admin_b,
                json=BODIES.get(path.rpartition("/")[2]),
            )
            answers.append((answer.status_code, answer.content))
        assert answers[0] == answers[1], path
        assert answers[0][0] == (403 if path.startswith("/api/v1/people") else 404), path
    for path in ("deliveries", "connections"):
        assert delivery not in (await http.get(f"/api/v1/{path}", headers=staff.admin_b)).text
    theirs = await http.get("/api/v1/deliveries?tenant=tenant-a", headers=staff.admin_b)
    nobodys = await http.get("/api/v1/deliveries?tenant=tenant-x", headers=staff.admin_b)
    assert (theirs.status_code, theirs.content) == (404, nobodys.content)
    assert (await http.get("/api/v1/deliveries", headers=staff.admin_b)).json() == {"items": [], "next": None}


async def test_a_person_of_several_tenants_names_one(
    http: httpx.AsyncClient, staff: Staff, doors: tuple[Door, Door], two_tenants: TwoTenants
) -> None:
    """The platform's administrator sees the tenant named in the address, and is asked for it otherwise."""
    for door in doors:
        await delivered(door, f"T-{door.tenant.slug}")
    unnamed = await http.get("/api/v1/deliveries", headers=staff.platform)
    assert (unnamed.status_code, unnamed.json()["code"]) == (400, "tenant-missing")
    for tenant in two_tenants:
        page = (await http.get(f"/api/v1/deliveries?tenant={tenant.slug}", headers=staff.platform)).json()
        assert [item["ticket_id"] for item in page["items"]] == [f"T-{tenant.slug}"]
    listed = (await http.get("/api/v1/tenants", headers=staff.platform)).json()
    assert [t["slug"] for t in listed] == ["tenant-a", "tenant-b"]
    assert [t["role"] for t in (await http.get("/api/v1/me", headers=staff.platform)).json()["tenants"]] == [
        "platform-admin",
        "platform-admin",
    ]


async def test_deliveries_are_listed_newest_first_page_by_page(
    http: httpx.AsyncClient, staff: Staff, door: Door
) -> None:
    """Pages follow each other without a gap or a repeat while new deliveries come in."""
    sent = [await delivered(door, f"T-{n}") for n in range(7)]
    seen: list[str] = []
    cursor = ""
    for page_number in range(4):
        page = (await http.get(f"/api/v1/deliveries?limit=2{cursor}", headers=staff.reader_a)).json()
        seen += [item["id"] for item in page["items"]]
        cursor = f"&cursor={page['next']}"
        await delivered(door, f"late-{page_number}")
    assert seen == sent[::-1]
    assert page["next"] is None


async def test_deliveries_are_filtered(http: httpx.AsyncClient, staff: Staff, door: Door) -> None:
    """State, ticket and connection, by name or id, each narrow the list; an unknown state is a bad request."""
    queued, ignored = await delivered(door, "T-1"), await delivered(door, "T-2", kind="updated")

    async def found(query: str) -> list[str]:
        answer = await http.get(f"/api/v1/deliveries?{query}", headers=staff.reader_a)
        return [item["id"] for item in answer.json()["items"]]

    assert await found("state=ignored") == [ignored]
    assert await found("ticket=T-1") == [queued]
    assert await found("connection=front%20door") == [ignored, queued]
    assert await found(f"connection={door.connection.connection_id}&state=queued") == [queued]
    assert await found("connection=other") == []
    for query in ("state=exploded", "limit=201", "limit=0", "cursor=x", "cursor=eHg", "ticket=%00"):
        answer = await http.get(f"/api/v1/deliveries?{query}", headers=staff.reader_a)
        assert (answer.status_code, answer.headers["content-type"]) == (400, PROBLEM), query


async def test_a_delivery_shows_all_that_came_of_it(
    http: httpx.AsyncClient, staff: Staff, door: Door, opened: Database
) -> None:
    """Attempts, runs with model and cost, and the note's blocks are shown; of the body only size and hash."""
    delivery = await delivered(door, secret="in the body")
    run = await with_a_note(opened, door, delivery)
    answer = await http.get(f"/api/v1/deliveries/{delivery}", headers=staff.reader_a)
    shown = answer.json()
    assert "in the body" not in answer.text
    assert shown["body_bytes"] == len(webhook_body(secret="in the body"))
    assert shown["delivery"]["note_url"] == "https://tool.example/note/1"
    assert [(a["number"], a["outcome"]) for a in shown["attempts"]] == [(1, "posted")]
    assert [(r["id"], r["model"], r["cost_usd"], r["steps"]) for r in shown["runs"]] == [(run, "m", 0.25, 1)]
    (effect,) = shown["effects"]
    assert effect["blocks"][1] == {"type": "paragraph", "text": "Restart it <b>now</b>."}
    assert "Restart it <b>now</b>." in effect["text"]
    steps = (await http.get(f"/api/v1/runs/{run}", headers=staff.reader_a)).json()["steps"]
    assert [(s["name"], s["inputs"], s["outputs"]) for s in steps] == [("gather", {"q": "printer"}, {"found": 3})]


async def test_a_replay_queues_the_delivery_again(
    http: httpx.AsyncClient, staff: Staff, door: Door, opened: Database, heard: Heard
) -> None:
    """A replay is due at once, by hand, with all tries before it; an ignored one is run on."""
    delivery = await delivered(door, kind="updated")
    async with opened.tenant(door.tenant.tenant_id) as con:
        await con.execute("update delivery set tries = 5, crashes = 2, due_at = now() + interval '1 day'")
    answer = await http.post(
        f"/api/v1/deliveries/{delivery}/replay", headers=staff.technician_a, json={"post_again": True}
    )
    shown = answer.json()
    assert (answer.status_code, shown["state"], shown["action"]) == (202, "queued", "run")
    assert (shown["trigger"], shown["dry_run"], shown["reason"], shown["finished_at"]) == ("manual", False, None, None)
    async with opened.tenant(door.tenant.tenant_id) as con:
        row = await con.fetchrow("select tries, crashes, post_again, due_at <= clock_timestamp() as due from delivery")
    assert (row["tries"], row["crashes"], row["post_again"], row["due"]) == (0, 0, 1, True)
    assert await heard() == [(door.tenant.tenant_id, UUID(delivery))]


@pytest.mark.parametrize(
    ("method", "path", "body", "told"),
    [
        ("PUT", "/budgets", {"period": "year"}, "period: must be one of: day, month."),
        ("PUT", "/budgets", {"usd": 1}, "period: this field is needed."),
        (
            "PUT",
            "/budgets",
            {"period": "day", "eur": 1},
            "eur: there is no such field; there are: period, tokens, usd.",
        ),
        ("PUT", "/budgets", [], "body: must be an object, not a list."),
        ("PUT", "/providers/order", {"order": [7]}, "order[0]: must be a text, not a whole number."),
        ("POST", "/invitations", {"email": "ben", "role": "technician"}, "email: must look like ada@msp.example."),
        ("GET", "/deliveries?limit=0", None, "limit: must be at least 1."),
        ("GET", "/runs?outcome=lost", None, "outcome: must be one of: checking, dry-run, failed, kept, "),
    ],
)
async def test_what_does_not_fit_is_said_in_words(
    http: httpx.AsyncClient, staff: Staff, *, method: str, path: str, body: object, told: str
) -> None:
    """Each field with what it must be, together in the text for people."""
    answer = await http.request(method, f"/api/v1{path}", headers=staff.admin_a, json=body)
    problem = answer.json()
    (error,) = problem["errors"]
    assert (answer.status_code, problem["code"]) == (400, "bad-request")
    assert problem["detail"] == f"{error['field']}: {error['message']}"
    assert problem["detail"].startswith(told)


async def test_a_dry_run_that_should_post_is_refused(http: httpx.AsyncClient, staff: Staff, door: Door) -> None:
    """What contradicts itself answers 400 with what to choose, and queues nothing."""
    delivery = await delivered(door, kind="updated")
    path, both = f"/api/v1/deliveries/{delivery}", {"dry_run": True, "post_again": True}
    answer = await http.post(f"{path}/replay", headers=staff.technician_a, json=both)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad-request")
    assert "ask for one of them" in answer.text
    assert (await http.get(path, headers=staff.technician_a)).json()["delivery"]["state"] == "ignored"


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ("running", "is being worked on; replay it once it has ended"),
        ("posting", "is being worked on; replay it once it has ended"),
        ("queued", "is queued already and will be worked on by itself"),
    ],
)
async def test_what_is_being_worked_on_is_not_replayed(
    http: httpx.AsyncClient, staff: Staff, door: Door, opened: Database, state: str, says: str
) -> None:
    """A delivery in a worker's hands, or next in line, answers 409 with the reason and stays as it is."""
    delivery = await delivered(door)
    async with opened.tenant(door.tenant.tenant_id) as con:
        await con.execute("update delivery set state = $1, attempt = 1, tries = 1", state)
        before = await con.fetchrow("select * from delivery")
    for options in ({}, {"dry_run": True}, {"post_again": True}):
        answer = await http.post(f"/api/v1/deliveries/{delivery}/replay", headers=staff.technician_a, json=options)
        assert (answer.status_code, answer.json()["code"]) == (409, "replay-refused")
        assert says in answer.json()["detail"]
    async with opened.tenant(door.tenant.tenant_id) as con:
        assert await con.fetchrow("select * from delivery") == before


async def test_a_delivery_that_waits_for_its_next_try_is_tried_now(
    http: httpx.AsyncClient, staff: Staff, door: Door, opened: Database
) -> None:
    """A replay brings the next try forward with all tries before it; a dry run, which would replace it, is refused."""
    delivery = await delivered(door)
    path = f"/api/v1/deliveries/{delivery}/replay"
    async with opened.tenant(door.tenant.tenant_id) as con:
        await con.execute("update delivery set attempt = 4, tries = 4, due_at = now() + interval '1 day'")
    refused = await http.post(path, headers=staff.technician_a, json={"dry_run": True})
    assert (refused.status_code, refused.json()["code"]) == (409, "replay-refused")
    assert "queued for its next try at 20" in refused.json()["detail"]
    answer = await http.post(path, headers=staff.technician_a, json={})
    assert (answer.status_code, answer.json()["trigger"]) == (202, "manual")
    async with opened.tenant(door.tenant.tenant_id) as con:
        row = await con.fetchrow("select tries, dry_run, due_at <= clock_timestamp() as due from delivery")
    assert dict(row) == {"tries": 0, "dry_run": False, "due": True}


async def test_a_replay_waits_for_its_paused_connection(
    http: httpx.AsyncClient, staff: Staff, door: Door, opened: Database
) -> None:
    """What a paused connection holds back is not queued once more: the refusal says what to resume."""
    delivery = await delivered(door)
    async with opened.tenant(door.tenant.tenant_id) as con:
        await con.execute("update connection set state = 'paused'")
        name = await con.fetchval("select name from connection")
    answer = await http.post(f"/api/v1/deliveries/{delivery}/replay", headers=staff.technician_a, json={})
    assert answer.status_code == 409
    assert f"its paused connection {name!r}: resume that" in answer.json()["detail"]


async def test_what_names_no_ticket_is_not_replayed(http: httpx.AsyncClient, staff: Staff, door: Door) -> None:
    """A delivery nobody could read has nothing to run on; the refusal says why, and what to do."""
    answer = await door.post(b"not json")
    path = f"/api/v1/deliveries/{answer.json()['delivery_id']}"
    reason = (await http.get(path, headers=staff.technician_a)).json()["delivery"]["reason"]
    refused = await http.post(f"{path}/replay", headers=staff.technician_a, json={})
    assert refused.status_code == 409
    assert reason.rstrip(".") in refused.json()["detail"]
    assert "Correct what postbox sends" in refused.json()["detail"]


async def test_a_connection_is_made_and_its_secrets_are_shown_once(
    http: httpx.AsyncClient, staff: Staff, opened: Database, two_tenants: TwoTenants
) -> None:
    """The answer has the webhook's address, secret and headers; afterwards no secret is readable anywhere."""
    answer = await http.post(
        "/api/v1/connections",
        headers=staff.admin_a,
        json={"name": "new", "ticketing_tool": "postbox", "config": {"api_token": "t0p-secret"}},
    )
    made = answer.json()
    secret = made["webhook_secret"]
    assert answer.status_code == 201
    assert made["webhook_url"] == f"https://aiops.example/webhooks/postbox/{made['endpoint_id']}"
    assert made["headers"] == {"X-Postbox-Key": f"key {secret}"}
    body = webhook_body()
    path = made["webhook_url"].removeprefix("https://aiops.example")
    assert (await http.post(path, content=body, headers=sign(secret, body))).status_code == 202
    listed = await http.get("/api/v1/connections", headers=staff.reader_a)
    assert listed.json()[0]["credentials"] == ["api_token"]
    async with opened.tenant(two_tenants.a.tenant_id) as con:
        tables = ("connection", "secret", "delivery", "endpoint")
        dump = str([await con.fetch(f"select * from {table}") for table in tables])  # noqa: S608 - named above
    for hidden in ("t0p-secret", secret):
        assert hidden not in listed.text
        assert hidden not in dump


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        ({"name": "x", "ticketing_tool": "nothing"}, 422, "unknown-contribution"),
        ({"name": "x", "ticketing_tool": "postbox", "config": {"colour": "red"}}, 422, "config-invalid"),
        ({"name": "x", "ticketing_tool": "postbox", "config": {"needs_token": True}}, 422, "config-invalid"),
        ({"name": " ", "ticketing_tool": "postbox"}, 422, "config-invalid"),
        ({"name": "front door", "ticketing_tool": "postbox"}, 409, "connection-refused"),
        ({"name": "x", "ticketing_tool": "postbox", "run_on": ["exploded"]}, 400, "bad-request"),
        ({"name": "x", "ticketing_tool": "postbox", "agent": "oracle"}, 422, "config-invalid"),
        ({"name": "x", "ticketing_tool": "postbox", "tenant_id": "b"}, 400, "bad-request"),
        ({"name": "x"}, 400, "bad-request"),
    ],
)
async def test_a_connection_that_does_not_fit_is_refused(
    http: httpx.AsyncClient, staff: Staff, door: Door, *, sent: dict[str, Any], status: int, code: str
) -> None:
    """A connection the ticketing tool could not work with is refused, saying which field is wrong."""
    answer = await http.post("/api/v1/connections", headers=staff.admin_a, json=sent)
    assert (answer.status_code, answer.json()["code"], answer.headers["content-type"]) == (status, code, PROBLEM)


async def test_a_connection_is_paused_and_resumed(http: httpx.AsyncClient, staff: Staff, door: Door) -> None:
    """A pause and a resume show in the list."""
    path = f"/api/v1/connections/{door.connection.connection_id}"
    assert (await http.post(f"{path}/pause", headers=staff.admin_a)).json()["state"] == "paused"
    assert (await http.get("/api/v1/connections", headers=staff.reader_a)).json()[0]["state"] == "paused"
    assert (await http.post(f"{path}/resume", headers=staff.admin_a)).json()["state"] == "active"


async def test_a_connections_configuration_is_changed_in_place(
    http: httpx.AsyncClient, staff: Staff, door: Door, opened: Database
) -> None:
    """Whoever may make connections may change one: a refused one goes on, its webhook's secret and address stay."""
    path = f"/api/v1/connections/{door.connection.connection_id}/config"
    async with opened.tenant(door.tenant.tenant_id) as con:
        await con.execute("update connection set state = 'paused', state_reason = 'The token was refused.'")
    assert (await http.put(path, headers=staff.technician_a, json={"api_token": "n3w"})).status_code == 403
    answer = await http.put(path, headers=staff.admin_a, json={"api_token": "n3w"})
    assert (answer.status_code, answer.json()["state"]) == (200, "active")
    assert "n3w" not in answer.text
    assert (await http.put(path, headers=staff.admin_a, json={"colour": "red"})).status_code == 422
    await delivered(door)


async def test_a_changed_configuration_forgets_its_last_test(
    http: httpx.AsyncClient, staff: Staff, door: Door, opened: Database
) -> None:
    """A connection shows its newest test, whoever asked for it; what tried other credentials is gone with them."""

    async def last_test() -> dict[str, Any] | None:
        (found,) = (await http.get("/api/v1/connections", headers=staff.reader_a)).json()
        return cast("dict[str, Any] | None", found["last_test"])

    path = f"/api/v1/connections/{door.connection.connection_id}"
    assert await last_test() is None
    for result in ("There was no answer.", "The token was refused."):
        asked = (await http.post(f"{path}/test", headers=staff.admin_a)).json()
        async with opened.tenant(door.tenant.tenant_id) as con:
            await con.execute("update probe set state = 'failed', result = $1 where state = 'queued'", result)
        assert await last_test() == asked | {"state": "failed", "result": result}
    changed = await http.put(f"{path}/config", headers=staff.admin_a, json={"api_token": "n3w"})
    assert (changed.status_code, changed.json()["last_test"]) == (200, None)
    assert await last_test() is None


async def test_every_error_is_a_problem(http: httpx.AsyncClient, staff: Staff) -> None:
    """Unknown addresses, methods, bodies and tenants all answer application/problem+json with their status."""
    cases = [
        ("GET", "/nothing", None, 404),
        ("GET", "/api/v1/deliveries/not-an-id", None, 404),
        ("GET", f"/api/v1/deliveries/{uuid4()}", None, 404),
        ("DELETE", "/api/v1/deliveries", None, 405),
        ("GET", "/webhooks/postbox/x", None, 405),
        ("POST", "/api/v1/connections", b"{", 400),
        ("POST", "/api/v1/connections", b'"\xff"', 400),
        ("POST", "/api/v1/connections", b"x" * (1024 * 1024 + 1), 413),
        ("POST", "/api/v1/connections", b'{"name":"x","ticketing_tool":"y"}', 422),
        ("GET", "/api/v1/tenants", None, 403),
    ]
    for method, path, body, status in cases:
        answer = await http.request(
            method, path, content=body, headers={**staff.admin_a, "Content-Type": "application/json"}
        )
        assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM), (method, path, answer.text)
        assert answer.json()["status"] == status
        assert answer.json()["title"]
        assert answer.headers["x-content-type-options"] == "nosniff"


async def test_readiness_names_what_is_not_ready(
    settings: Settings, plugins: PluginManager, opened: Database, vault: Vault, bell: Bell
) -> None:
    """A failed plugin and a silent Redis degrade; PostgreSQL away is not ready; being alive depends on neither."""

    def broken() -> object:
        raise RuntimeError("does not load")

    plugins.load("broken", broken, distribution="tests", version="1")
    app = create_app(settings, plugins, opened, vault, bell)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="https://aiops.example") as client:
        bell.hangs = True
        degraded = await client.get("/health/ready")
        states = {p["name"]: p["status"] for p in degraded.json()["parts"]}
        assert (degraded.status_code, degraded.json()["status"]) == (200, "degraded")
        assert states == {"postgresql": "ok", "key": "ok", "plugins": "degraded", "wake-ups": "degraded"}
        await opened.close()
        away = await client.get("/health/ready")
        assert (away.status_code, away.headers["content-type"]) == (503, PROBLEM)
        assert "postgresql" in away.json()["detail"]
        assert (await client.get("/health/live")).status_code == 200


async def test_the_documentation_needs_no_internet(http: httpx.AsyncClient) -> None:
    """The page lists every operation, loads nothing, runs no script and says so to the browser."""
    page = await http.get("/docs")
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    for forbidden in ("<script", "http://", "https://", "src=", "@import"):
        assert forbidden not in page.text
    for _, path, _ in await operations(http):
        assert path in page.text


async def test_the_openapi_document_tells_the_form_of_errors(http: httpx.AsyncClient) -> None:
    """Each guarded operation documents its 401 as a problem."""
    for method, path, operation in await operations(http):
        if (method, path) not in PUBLIC:
            content = operation["responses"]["401"]["content"]
            assert content[PROBLEM]["schema"] == {"$ref": "#/components/schemas/Problem"}, path


async def test_plugins_are_shown_to_whoever_is_logged_in(http: httpx.AsyncClient, staff: Staff) -> None:
    """The list has name, distribution, version, status and what each contributes."""
    (plugin,) = (await http.get("/api/v1/plugins", headers=staff.reader_a)).json()
    assert plugin == {
        "name": "postbox",
        "distribution": "tests",
        "version": "1",
        "status": "loaded",
        "error": None,
        "contributes": ["ticketing tool postbox", "ticketing tool pigeonhole", "agent enhance"],
    }
