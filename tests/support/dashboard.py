"""A running host and dashboard on a database of their own, with people, tenants and webhooks to fill them."""

import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import msgspec
from tests.support.databases import DatabaseUrls, run_apart
from tests.support.processes import Running, running

from aiops_core import load_plugins
from aiops_core.tickets import Enhancement
from aiops_host.data import tenants
from aiops_host.data.people import TenantRole
from aiops_host.data.providers import KeyState
from aiops_host.data.session import Database
from aiops_host.trust.accounts import put_user
from aiops_host.trust.connections import CreatedConnection, NewConnection, create_connection
from aiops_host.trust.vault import Vault, create_key_file

PASSWORD = "correct horse battery"
BROKEN = "<img src=x onerror='document.documentElement.dataset.ran=1'> is not configured"
HARBOR, LINDNER = "harbor", "lindner"
ANNA, BORIS, PLATFORM = "anna@harbor.example", "boris@lindner.example", "root@msp.example"


@dataclass(frozen=True, slots=True)
class Dashboard:
    """Host and dashboard. ``connections`` are by tenant."""

    urls: DatabaseUrls
    host_settings: dict[str, str]
    host: Running
    admin: Running
    tenant_ids: dict[str, UUID]
    connections: dict[str, CreatedConnection]

    @property
    def url(self) -> str:
        """The dashboard's address."""
        return str(self.admin.said["admin_url"])

    @property
    def api(self) -> str:
        """The host's address."""
        return str(self.host.said["base_url"])

    def add_person(self, email: str, tenant: str, role: TenantRole = "technician") -> None:
        """Make a person with a role in a tenant."""
        roles: dict[UUID, TenantRole] = {self.tenant_ids[tenant]: role}
        self._with_database(lambda database: put_user(database, email, PASSWORD, roles=roles))

    def add_tenant(self, slug: str, name: str = "", *, connected: bool = True) -> None:
        """Make another tenant, with a connection or without."""

        async def add(database: Database) -> None:
            self.tenant_ids[slug] = (await tenants.create(database, slug, name or slug.title())).id
            if connected:
                vault = Vault.load(self.host_settings["AIOPS_KEY_FILE"])
                self.connections[slug] = await connect(database, vault, self.tenant_ids[slug])

        self._with_database(add)

    def end_sessions(self, email: str) -> None:
        """End every session of a person at the host."""
        self._execute(
            "delete from web_session using app_user u where u.user_id = web_session.user_id and u.email = $1", email
        )

    def send(self, tenant: str, ticket: str, event: str = "jira:issue_created") -> UUID:
        """Send a signed webhook about a ticket and return the delivery's id."""
        connection = self.connections[tenant]
        moment = datetime.now(UTC)
        issue = {"id": "1", "key": ticket, "fields": {"updated": moment.isoformat()}}
        body = json.dumps({"webhookEvent": event, "timestamp": moment.timestamp() * 1000, "issue": issue}).encode()
        signature = hmac.new(connection.webhook_secret.encode(), body, hashlib.sha256).hexdigest()
        headers = {
            **connection.headers,
            "Content-Type": "application/json",
            "X-Hub-Signature": f"sha256={signature}",
            "X-Atlassian-Webhook-Identifier": uuid4().hex,
        }
        answer = httpx.post(self.api + connection.webhook_url, content=body, headers=headers, trust_env=False)
        assert answer.status_code == 202, answer.text
        return UUID(answer.json()["delivery_id"])

    def post_forged(self, url: str) -> int:
        """Send a webhook signed with nobody's secret; return the answer's status."""
        headers = {"X-Hub-Signature": f"sha256={'0' * 64}", "X-Atlassian-Webhook-Identifier": uuid4().hex}
        return httpx.post(url, content=b"{}", headers=headers, trust_env=False).status_code

    def answer_probes(self, *, ok: bool, result: str) -> None:
        """Answer every open probe, as a worker would."""
        state = "ok" if ok else "failed"
        self._execute("update probe set state = $1, result = $2 where state = 'queued'", state, result)

    def answer_key_test(self, email: str, *, state: KeyState, result: str) -> None:
        """Answer the test of the key that this person's tenant entered, which it leaves in ``state``, as a worker would."""
        theirs = "(select m.tenant_id from membership m join app_user u using (user_id) where u.email = $1)"
        self._execute(
            f"update llm_key set state = $2 where tenant_id in {theirs} and state = 'trying'",  # noqa: S608 - constant
            email,
            state,
        )
        self._execute(
            f"update probe set state = $2, result = $3 where tenant_id in {theirs} and state = 'queued'",  # noqa: S608
            email,
            "ok" if state == "live" else "failed",
            result,
        )

    def add_key(self, tenant: str, provider: str, model: str) -> None:
        """Give a tenant a key in use, whose plaintext nobody has."""
        self._execute(
            "insert into llm_key (tenant_id, key_id, provider, models, origin, state, position) "
            "values ($1, gen_random_uuid(), $2, array[$3], 'tenant', 'live', 1)",
            *(self.tenant_ids[tenant], provider, model),
        )

    def use_model(self, tenant: str, *, calls: int, cost: float, budget: float | None = None) -> None:
        """Put calls into a tenant's ledger, as a worker would, and set a monthly budget in USD where one is given."""
        whose = self.tenant_ids[tenant]
        if budget is not None:
            self._execute(
                "insert into llm_budget (tenant_id, set_by, period, usd) values ($1, 'operator', 'month', $2)",
                whose,
                budget,
            )
        self._execute(
            "insert into llm_usage as u (tenant_id, day, agent, provider, model, calls, prompt_tokens, cost_usd) "
            "values ($1, (now() at time zone 'utc')::date, 'enhance', 'openai', 'gpt-4o-mini', $2, 1000, $3) "
            "on conflict (tenant_id, day, agent, provider, model) do update "
            "set calls = u.calls + excluded.calls, cost_usd = u.cost_usd + excluded.cost_usd",
            whose,
            calls,
            cost,
        )

    def change(self, delivery_id: UUID, **columns: Any) -> None:
        """Set columns of a delivery, as the worker would."""
        changes = ", ".join(f"{name} = ${number}" for number, name in enumerate(columns, 2))
        statement = f"update delivery set {changes} where delivery_id = $1"  # noqa: S608 - names written by tests
        self._execute(statement, delivery_id, *columns.values())

    def add_note(self, tenant: str, delivery_id: UUID, ticket: str, note: Enhancement, **more: Any) -> None:
        """Store a finished run with one step and its confirmed note, as the worker would."""
        run_id, now = uuid4(), datetime.now(UTC)
        whose = (self.tenant_ids[tenant], self.connections[tenant].connection_id)
        step = more.get("step") or {"query": ticket}
        body = msgspec.json.encode(note)
        self._execute(
            "insert into run (tenant_id, run_id, delivery_id, attempt, connection_id, ticket_id, agent, agent_version, "
            "state, started_at, finished_at, model, ticket) values ($1, $2, $3, 1, $4, $5, 'enhance', '1', 'finished', $6, "
            "$7, 'extractive', $8)",
            *(whose[0], run_id, delivery_id, whose[1], ticket, now - timedelta(seconds=3), now),
            json.dumps({"id": ticket, "title": more.get("title", "VPN is down")}),
        )
        self._execute(
            "insert into step (tenant_id, run_id, number, name, started_at, milliseconds, outputs) "
            "values ($1, $2, 1, 'gather', $3, 840, $4)",
            *(whose[0], run_id, now, json.dumps(step)),
        )
        self._execute(
            "insert into effect (tenant_id, effect_id, connection_id, ticket_id, logical_key, delivery_id, run_id, "
            "reference, body, body_hash, state, remote_id, remote_url, confirmed_at) "
            "values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'confirmed', '10', $11, $12)",
            *(whose[0], uuid4(), whose[1], ticket, str(delivery_id), delivery_id, run_id, uuid4().hex[:18]),
            *(body, hashlib.sha256(body).digest(), more.get("url", "https://jira.example/browse/" + ticket), now),
        )

    def add_run(self, tenant: str, ticket: str, /, **more: Any) -> tuple[UUID, UUID]:
        """Store a run as the worker would, for a webhook of its own; return the ids of delivery and run.

        ``effect`` is the state of its note, ``reason`` why, ``steps`` replace its one step; anything else is a column
        of the run.
        """
        delivery_id, run_id = self.send(tenant, ticket), uuid4()
        whose = {"tenant_id": self.tenant_ids[tenant], "run_id": run_id}
        now = datetime.now(UTC)
        connection_id = self.connections[tenant].connection_id
        effect, reason, steps = (
            more.pop("effect", None),
            more.pop("reason", None),
            more.pop("steps", [{"name": "gather"}]),
        )
        run = {
            **whose,
            "delivery_id": delivery_id,
            "attempt": 1,
            "connection_id": connection_id,
            "ticket_id": ticket,
            "agent": "enhance",
            "agent_version": "1",
            "state": "finished",
            "started_at": now - timedelta(seconds=2),
            "finished_at": now,
            **more,
        }
        self._insert("run", run)
        for number, step in enumerate(steps, 1):
            self._insert("step", {**whose, "number": number, "started_at": now, "milliseconds": 840.0, **step})
        if effect:
            note = {
                "tenant_id": whose["tenant_id"],
                "effect_id": uuid4(),
                "connection_id": connection_id,
                "ticket_id": ticket,
                "logical_key": str(delivery_id),
                "delivery_id": delivery_id,
                "run_id": run_id,
                "reference": uuid4().hex[:18],
                "body": msgspec.json.encode(Enhancement(body=())),
                "body_hash": b"",
                "state": effect,
                "reason": reason,
            }
            self._insert("effect", note)
        return delivery_id, run_id

    def repeat_run(self, run_id: UUID, times: int) -> None:
        """Store copies of a run, each a minute older than the one before, its ticket numbered."""
        columns = "tenant_id, delivery_id, attempt, connection_id, agent, agent_version, state"
        self._execute(
            f"insert into run ({columns}, run_id, ticket_id, started_at, finished_at) "  # noqa: S608 - constants
            f"select {columns}, gen_random_uuid(), ticket_id || '-' || n, started_at - n * interval '1 minute', "
            "finished_at - n * interval '1 minute' from run, generate_series(1, $2) n where run_id = $1",
            run_id,
            times,
        )

    def change_connection(self, tenant: str, **columns: Any) -> None:
        """Set columns of a tenant's connection, as the worker or a person would."""
        changes = ", ".join(f"{name} = ${number}" for number, name in enumerate(columns, 2))
        statement = f"update connection set {changes} where connection_id = $1"  # noqa: S608 - names written by tests
        self._execute(statement, self.connections[tenant].connection_id, *columns.values())

    def column(self, delivery_id: UUID, name: str) -> Any:
        """Return a column of a delivery."""
        return self._fetch(f"select {name} from delivery where delivery_id = $1", delivery_id)  # noqa: S608 - written by tests

    def beat(self, worker: str) -> None:
        """Let a worker say that it lives."""
        self._execute("select worker_beat($1, 8, 2, 3, 20)", worker)

    def add_unreadable_run(self, tenant: str, delivery_id: UUID, ticket: str) -> None:
        """Store a run whose note is of no known shape, as a newer version might."""
        self._execute(
            "insert into run (tenant_id, run_id, delivery_id, attempt, connection_id, ticket_id, agent, agent_version, "
            "state, started_at, finished_at, enhancement) "
            "values ($1, $2, $3, 1, $4, $5, 'enhance', '9', 'finished', now(), now(), $6)",
            *(self.tenant_ids[tenant], uuid4(), delivery_id, self.connections[tenant].connection_id, ticket),
            json.dumps({"body": [{"type": "hologram"}]}),
        )

    def _insert(self, table: str, row: dict[str, Any]) -> None:
        values = [json.dumps(value) if isinstance(value, dict) else value for value in row.values()]
        places = ", ".join(f"${number}" for number in range(1, len(row) + 1))
        statement = f"insert into {table} ({', '.join(row)}) values ({places})"  # noqa: S608 - names written above
        self._execute(statement, *values)

    def _with_database(self, work: Callable[[Database], Awaitable[object]]) -> None:
        async def run() -> None:
            database = await Database.open({"app": self.urls.app}, {"app": 2})
            try:
                await work(database)
            finally:
                await database.close()

        run_apart(run())

    def _execute(self, statement: str, *values: Any) -> None:
        self._fetch(statement, *values)

    def _fetch(self, statement: str, *values: Any) -> Any:
        async def fetch() -> Any:
            con = await asyncpg.connect(self.urls.superuser)
            try:
                return await con.fetchval(statement, *values)
            finally:
                await con.close()

        return run_apart(fetch())


@contextmanager
def running_dashboard(urls: DatabaseUrls, folder: Path, **settings: str) -> Iterator[Dashboard]:
    """Run host and dashboard until the block ends; two tenants, each with a connection and a person, and an operator.

    ``settings`` are further ones of the host; ``AIOPS_ADMIN_PORT`` counts for the dashboard too.
    """
    key = folder / "key"
    create_key_file(key)
    tenant_ids, connections = run_apart(_fill(urls, Vault.load(str(key))))
    host_settings = {
        "AIOPS_DATABASE_URL": urls.app,
        "AIOPS_INTAKE_DATABASE_URL": urls.intake,
        "AIOPS_KEY_FILE": str(key),
        "AIOPS_PORT": "0",
        "PYTHONPATH": str(_broken_plugin(folder / "plugins")),
        **settings,
    }
    with running("serve", host_settings, folder / "host.log") as host:
        admin_settings = {
            "AIOPS_API_URL": host.said["base_url"],
            "AIOPS_ADMIN_PORT": settings.get("AIOPS_ADMIN_PORT", "0"),
        }
        with running("admin", admin_settings, folder / "admin.log") as admin:
            yield Dashboard(urls, host_settings, host, admin, tenant_ids, connections)


def _broken_plugin(folder: Path) -> Path:
    """Install a distribution whose plugin fails with ``BROKEN`` when it is imported; return where it is found."""
    about = folder / "aiops_brittle-2.5.dist-info"
    about.mkdir(parents=True)
    (folder / "aiops_brittle.py").write_text(f"raise RuntimeError({BROKEN!r})\n")
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: aiops-brittle\nVersion: 2.5\n")
    (about / "entry_points.txt").write_text("[aiops]\nbrittle = aiops_brittle\n")
    return folder


async def connect(database: Database, vault: Vault, tenant_id: UUID) -> CreatedConnection:
    """Make a Jira connection whose webhooks are signed."""
    new = NewConnection(
        name="Service desk",
        ticketing_tool="jira",
        config={"base_url": "https://jira.example", "email": "bot@msp.example", "api_token": "t" * 24},
    )
    return await create_connection(database, vault, load_plugins().registry, tenant_id, new)


async def _fill(urls: DatabaseUrls, vault: Vault) -> tuple[dict[str, UUID], dict[str, CreatedConnection]]:
    database = await Database.open({"app": urls.app, "intake": urls.intake}, {"app": 4, "intake": 2})
    ids, connections = {}, {}
    try:
        for slug, name in ((HARBOR, "Harbor IT"), (LINDNER, "Lindner Maschinenbau")):
            ids[slug] = (await tenants.create(database, slug, name)).id
            connections[slug] = await connect(database, vault, ids[slug])
        await put_user(database, ANNA, PASSWORD, roles={ids[HARBOR]: "technician"})
        await put_user(database, BORIS, PASSWORD, roles={ids[LINDNER]: "technician"})
        await put_user(database, PLATFORM, PASSWORD, platform_admin=True)
    finally:
        await database.close()
    return ids, connections
