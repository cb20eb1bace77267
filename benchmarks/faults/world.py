"""The bench's world: servers, simulators, tenants and the product's parts as real processes."""

from __future__ import annotations

import asyncio
import os
import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
from benchmarks.faults.desks import Site, Watch, watched
from benchmarks.faults.llm import Model, model
from benchmarks.faults.parts import Death, Process
from benchmarks.faults.plugins import install
from benchmarks.faults.servers import Postgres, Redis, redis_program

from aiops_core.plugins import load_plugins
from aiops_core.tickets import Ticket
from aiops_demo.simulators.base import Proof, VendorSimulator
from aiops_demo.simulators.serving import running
from aiops_host.cli.installation import free_port
from aiops_host.data import tenants
from aiops_host.data.migrate import LOGIN_ROLES, migrate
from aiops_host.data.retrieval import history
from aiops_host.data.session import Database
from aiops_host.trust.audit import operator
from aiops_host.trust.catalogue import change_catalogue, provider_at
from aiops_host.trust.connections import NewConnection, NewSetting, create_connection, set_plugin_setting
from aiops_host.trust.vault import Vault, create_key_file

VENDORS = ("jira", "servicedesk")
SCALED: Mapping[str, str] = {
    "AIOPS_LEASE": "3",
    "AIOPS_HEARTBEAT": "1",
    "AIOPS_WRITE_TIMEOUT": "1.5",
    "AIOPS_SETTLE_DELAY": "2",
    "AIOPS_POLL_INTERVAL": "0.3",
    "AIOPS_RETRY_DELAYS": "0.3,0.6,1,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2",
    "AIOPS_RECONCILE_DELAYS": "3,3,3,3",
    "AIOPS_DRAIN_TIMEOUT": "10",
}
"""Waits a tenth of the product's, so that a fault and its recovery fit into seconds."""
ALWAYS: Mapping[str, str] = {"AIOPS_LOG_LEVEL": "WARNING"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What world to make.

    ``settings`` are the product's variables beside the timers; ``plugins`` names misbehaving ones to install;
    ``without`` is a guard to take away; ``vendors`` take turns among the tenants; ``run_on`` is what starts a run; ``llm``
    how every tenant's language model misbehaves; ``metrics`` whether workers can be asked for theirs.
    """

    tenants: int = 4
    workers: int = 2
    timers: str = "scaled"
    settings: Mapping[str, str] = field(default_factory=dict)
    plugins: Sequence[str] = ()
    without: str | None = None
    lost_wakeups: int = 0
    vendors: Sequence[str] = VENDORS
    run_on: tuple[str, ...] = ("opened",)
    llm: str | None = None
    metrics: bool = False


@dataclass(slots=True)
class World:
    """Everything that runs."""

    folder: Path
    plan: Plan
    environment: dict[str, str]
    database: Database
    sites: list[Site]
    postgres: Postgres
    redis: Redis | None
    host: Process
    workers: list[Process]
    port: int
    deaths: list[Death]
    model: Model | None = None
    without: str | None = None
    numbers: int = 0

    @property
    def parts(self) -> list[Process]:
        """Host and workers."""
        return [self.host, *self.workers]

    async def relaunch(self, without: str | None = None) -> None:
        """Start the parts, anew if they run with other guards; ``without`` is the one to leave out."""
        if self.host.alive and self.without == without:
            return
        self.without = without
        await asyncio.gather(*(part.stop() for part in self.parts))
        await set_rls(self.postgres.superuser_url, enabled=without != "rls")
        missing = {"BENCH_WITHOUT": without} if without else {}
        for part in self.parts:
            part.environment = {**self.environment, **missing}
        await asyncio.gather(*(part.start() for part in self.parts))

    def arm(self, failpoint: str, nth: int = 1) -> None:
        """Let the next process that reaches the failpoint for the ``nth`` time die there, once."""
        file = self.folder / "armed" / failpoint
        part = file.with_suffix(".part")
        part.write_text(str(nth))
        part.replace(file)

    def armed(self) -> list[str]:
        """Return the failpoints at which nobody has died yet."""
        return sorted(file.name for file in (self.folder / "armed").iterdir())

    def disarm(self) -> None:
        """Let nobody die at a failpoint any more."""
        for name in self.armed():
            (self.folder / "armed" / name).unlink(missing_ok=True)

    async def fetch(self, query: str, *values: object) -> list[asyncpg.Record]:
        """Read as the superuser, over all tenants."""
        con = await asyncpg.connect(self.postgres.superuser_url)
        try:
            return list(await con.fetch(query, *values))
        finally:
            await con.close()


@asynccontextmanager
async def made(plan: Plan) -> AsyncIterator[World]:
    """Make a world and take it apart at the end; nothing is left behind."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="aiops-f")))
        (folder / "armed").mkdir()
        postgres = await asyncio.to_thread(Postgres, folder)
        stack.callback(postgres.stop)
        redis = _redis(folder, stack)
        urls = {role: postgres.url(role) for role in LOGIN_ROLES}
        await migrate(postgres.superuser_url, urls.values())
        create_key_file(folder / "key")
        database = await Database.open(
            {"app": urls["aiops_app"], "sweeper": urls["aiops_sweeper"]}, {"app": 4, "sweeper": 1}
        )
        stack.push_async_callback(database.close)
        llm = await stack.enter_async_context(model(plan.llm)) if plan.llm else None
        makers = _Makers(database, Vault.load(folder / "key"), stack, llm)
        sites = [await _site(makers, plan, n) for n in range(plan.tenants)]
        environment = _environment(folder, plan, urls, redis)
        deaths: list[Death] = []
        host = Process("serve", environment, folder / "host.log", deaths)
        crew = [
            Process("worker", environment, folder / f"worker{n}.log", deaths, free_port() if plan.metrics else 0)
            for n in range(plan.workers)
        ]
        port = int(environment["AIOPS_PORT"])
        world = World(folder, plan, environment, database, sites, postgres, redis, host, crew, port, deaths, llm)
        for part in world.parts:
            stack.push_async_callback(part.stop)
        await world.relaunch(plan.without)
        yield world


def _redis(folder: Path, stack: AsyncExitStack) -> Redis | None:
    program = redis_program()
    if program is None:
        return None
    redis = Redis(program, folder)
    stack.callback(redis.stop)
    return redis


@dataclass(frozen=True, slots=True)
class _Makers:
    database: Database
    vault: Vault
    stack: AsyncExitStack
    llm: Model | None


async def _site(makers: _Makers, plan: Plan, number: int) -> Site:
    database, vault = makers.database, makers.vault
    vendor, watch = plan.vendors[number % len(plan.vendors)], Watch()
    simulator = watched(vendor, secrets.token_hex(16), watch)
    await makers.stack.enter_async_context(running(simulator))
    slug, canary = f"tenant-{number}", f"canary{secrets.token_hex(6)}"
    tenant = await tenants.create(database, slug, slug)
    new = NewConnection(
        name="bench",
        ticketing_tool=vendor,
        config=_config(vendor, simulator),
        run_on=plan.run_on,  # type: ignore[arg-type]
    )
    registry = load_plugins().registry
    created = await create_connection(database, vault, registry, tenant.id, new)
    past = Ticket(
        id=f"PAST-{number}",
        title="VPN drops every morning",
        description="The VPN drops every morning at nine.",
        resolution=f"Renewed the profile {canary} of the VPN client.",
        state="resolved",
        category="VPN",
    )
    async with database.tenant(tenant.id) as con:
        await history.upsert(con, [past], connection_id=None, source="bench")
        connection = await con.fetchval("select connection_id from connection")
    if makers.llm is not None:
        asked = {"model": "openai/stub", "api_base": makers.llm.url, "api_key": "bench", "timeout": 60}
        await change_catalogue(database, provider_at(makers.llm.url), actor=operator())
        setting = NewSetting(kind="llm-backend", name="litellm", config={"models": [asked]})
        await set_plugin_setting(database, vault, registry, tenant.id, setting)
    proof = Proof(secret=created.webhook_secret, headers=created.headers)
    path = created.webhook_url[created.webhook_url.index("/webhooks/") :]
    return Site(number, tenant.id, connection, slug, vendor, simulator, watch, path, proof, canary)


def _config(vendor: str, simulator: VendorSimulator) -> dict[str, Any]:
    if vendor == "jira":
        return {"base_url": simulator.url, "email": simulator.account, "api_token": simulator.token}
    return {"base_url": simulator.url, "technician_key": simulator.token, "calls_per_minute": 60_000}


def _environment(folder: Path, plan: Plan, urls: Mapping[str, str], redis: Redis | None) -> dict[str, str]:
    environment = {
        **(SCALED if plan.timers == "scaled" else {}),
        **ALWAYS,
        **plan.settings,
        "AIOPS_DATABASE_URL": urls["aiops_app"],
        "AIOPS_INTAKE_DATABASE_URL": urls["aiops_intake"],
        "AIOPS_SWEEPER_DATABASE_URL": urls["aiops_sweeper"],
        "AIOPS_REDIS_URL": redis.url if redis else "",
        "AIOPS_KEY_FILE": str(folder / "key"),
        "AIOPS_PORT": str(free_port()),
        "AIOPS_EGRESS_PRIVATE": "127.0.0.0/8",
        "BENCH_ARMED": str(folder / "armed"),
        "BENCH_LOST_WAKEUPS": str(plan.lost_wakeups),
    }
    if plan.plugins:
        installed = install(folder / "plugins", plan.plugins)
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(installed), os.environ.get("PYTHONPATH")]))
    return environment


async def set_rls(superuser_url: str, *, enabled: bool) -> None:
    """Let row-level security bind in every table that has policies, or in none."""
    con = await asyncpg.connect(superuser_url)
    try:
        for row in await con.fetch("select distinct tablename from pg_policies where schemaname = 'public'"):
            word = "enable" if enabled else "disable"
            await con.execute(f'alter table "{row["tablename"]}" {word} row level security')
    finally:
        await con.close()


async def ready(world: World, within: float = 60.0) -> float:
    """Wait until the host answers that it is ready; return the seconds it took."""
    began = time.monotonic()
    while time.monotonic() < began + within:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
            writer.write(b"GET /health/ready HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
            answer = await reader.read()
            writer.close()
            if answer.startswith(b"HTTP/1.1 200"):
                return time.monotonic() - began
        except OSError:
            pass
        await asyncio.sleep(0.05)
    raise TimeoutError("the host did not get ready")
