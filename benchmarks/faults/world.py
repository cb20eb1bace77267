"""The bench's world: servers, simulators, tenants and the product's parts as real processes."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import httpx

from aiops_core.plugins import load_plugins
from aiops_core.tickets import Ticket
from aiops_demo.simulators import simulator_class
from aiops_demo.simulators.base import Proof, VendorSimulator
from aiops_demo.simulators.serving import running
from aiops_host.cli.installation import free_port
from aiops_host.data import tenants
from aiops_host.data.migrate import LOGIN_ROLES, migrate
from aiops_host.data.retrieval import history
from aiops_host.data.session import Database
from aiops_host.embedded import EmbeddedPostgres, EmbeddedRedis
from aiops_host.trust.connections import NewConnection, create_connection
from aiops_host.trust.vault import Vault, create_key_file

VENDORS = ("jira", "servicedesk")
SCALED: Mapping[str, str] = {
    "AIOPS_LEASE": "3",
    "AIOPS_HEARTBEAT": "1",
    "AIOPS_WRITE_TIMEOUT": "1.5",
    "AIOPS_SETTLE_DELAY": "2",
    "AIOPS_POLL_INTERVAL": "0.3",
    "AIOPS_RETRY_DELAYS": "0.3,0.6,1,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2",
    "AIOPS_DRAIN_TIMEOUT": "10",
    "AIOPS_LOG_LEVEL": "WARNING",
}
"""Waits a tenth of the product's, so that a fault and its recovery fit into seconds."""


@dataclass(frozen=True, slots=True)
class Site:
    """One tenant's connection: its simulator, its endpoint, and the word no other tenant's note may hold."""

    tenant_id: UUID
    slug: str
    vendor: str
    simulator: VendorSimulator
    path: str
    proof: Proof
    canary: str


@dataclass(slots=True)
class Process:
    """One part of the product; :meth:`start` may be called again after its death."""

    name: str
    environment: Mapping[str, str]
    log: Path
    arguments: Mapping[str, str] = field(default_factory=dict)
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it and wait until it says that it is ready."""
        with self.log.open("ab") as errors:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "benchmarks.faults.launch", self.name),
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                env={**_plain_environment(), **self.environment, **self.arguments},
                cwd=Path(__file__).parents[2],
            )
        output = cast("asyncio.StreamReader", self.process.stdout)
        async with asyncio.timeout(60):
            line = await output.readline()
        if not line and self.process.returncode is None:
            await self.process.wait()

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process is not None and self.process.returncode is None

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send it a signal."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                self.process.send_signal(number)

    async def stop(self) -> None:
        """End it, at last by SIGKILL."""
        if self.process is None:
            return
        self.kill(signal.SIGTERM)
        try:
            async with asyncio.timeout(20):
                await self.process.wait()
        except TimeoutError:
            self.kill()
            await self.process.wait()


@dataclass(slots=True)
class World:
    """Everything that runs."""

    folder: Path
    environment: dict[str, str]
    database: Database
    sites: list[Site]
    postgres: EmbeddedPostgres
    redis: EmbeddedRedis | None
    host: Process
    workers: list[Process]
    base_url: str
    once: Path

    @property
    def parts(self) -> list[Process]:
        """Host and workers."""
        return [self.host, *self.workers]

    async def revive(self) -> None:
        """Start again, as a supervisor does, whatever part has died; until cancelled."""
        while True:
            for part in self.parts:
                if not part.alive:
                    await part.start()
            await asyncio.sleep(0.1)


@asynccontextmanager
async def made(
    *,
    tenants_wanted: int = 4,
    workers: int = 2,
    armed: Mapping[str, str] | None = None,
    scaled: bool = True,
    without: str | None = None,
) -> AsyncIterator[World]:
    """Make a world and take it apart at the end.

    Args:
        tenants_wanted: How many tenants; vendors take turns.
        workers: How many worker processes.
        armed: Environment for the launcher of the parts, such as ``BENCH_KILL``.
        scaled: Whether waits are a tenth of the product's.
        without: A guard to take away: one of the launcher's, or ``rls``.
    """
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="aiops-faults-")))
        postgres = stack.enter_context(await asyncio.to_thread(EmbeddedPostgres.start, folder / "postgres"))
        redis = EmbeddedRedis.start()
        if redis is not None:
            stack.callback(redis.stop)
        urls = {role: postgres.url(role, postgres.password(role)) for role in LOGIN_ROLES}
        await migrate(postgres.superuser_url, urls.values())
        if without == "rls":
            await _drop_rls(postgres.superuser_url)
        create_key_file(folder / "key")
        environment = _environment(folder, urls, redis, scaled=scaled)
        database = await Database.open(
            {"app": urls["aiops_app"], "sweeper": urls["aiops_sweeper"]}, {"app": 4, "sweeper": 1}
        )
        stack.push_async_callback(database.close)
        simulators = {vendor: await stack.enter_async_context(_simulated(vendor)) for vendor in VENDORS}
        vault = Vault.load(folder / "key")
        sites = [
            await _site(database, vault, simulators[VENDORS[n % 2]], VENDORS[n % 2], n) for n in range(tenants_wanted)
        ]
        arguments = {**(armed or {}), "BENCH_ONCE": str(folder / "once")}
        if without and without != "rls":
            arguments["BENCH_WITHOUT"] = without
        host = Process("serve", environment, folder / "host.log", arguments)
        crew = [Process("worker", environment, folder / f"worker{n}.log", arguments) for n in range(workers)]
        base = f"http://127.0.0.1:{environment['AIOPS_PORT']}"
        world = World(folder, environment, database, sites, postgres, redis, host, crew, base, folder / "once")
        for part in world.parts:
            stack.push_async_callback(part.stop)
        await asyncio.gather(*(part.start() for part in world.parts))
        yield world


@asynccontextmanager
async def _simulated(vendor: str) -> AsyncIterator[VendorSimulator]:
    simulator = simulator_class(vendor)(token=secrets.token_hex(16))
    async with running(simulator):
        yield simulator


async def _site(database: Database, vault: Vault, simulator: VendorSimulator, vendor: str, number: int) -> Site:
    slug, canary = f"tenant-{number}", f"canary{secrets.token_hex(6)}"
    tenant = await tenants.create(database, slug, slug)
    new = NewConnection(name="bench", ticketing_tool=vendor, config=_config(vendor, simulator))
    created = await create_connection(database, vault, load_plugins().registry, tenant.id, new)
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
    proof = Proof(secret=created.webhook_secret, headers=created.headers)
    return Site(tenant.id, slug, vendor, simulator, created.webhook_url, proof, canary)


def _config(vendor: str, simulator: VendorSimulator) -> dict[str, Any]:
    if vendor == "jira":
        return {"base_url": simulator.url, "email": simulator.account, "api_token": simulator.token}
    return {"base_url": simulator.url, "technician_key": simulator.token, "calls_per_minute": 60_000}


def _environment(folder: Path, urls: Mapping[str, str], redis: EmbeddedRedis | None, *, scaled: bool) -> dict[str, str]:
    return {
        **(SCALED if scaled else {}),
        "AIOPS_DATABASE_URL": urls["aiops_app"],
        "AIOPS_INTAKE_DATABASE_URL": urls["aiops_intake"],
        "AIOPS_SWEEPER_DATABASE_URL": urls["aiops_sweeper"],
        "AIOPS_REDIS_URL": redis.url if redis else "",
        "AIOPS_KEY_FILE": str(folder / "key"),
        "AIOPS_PORT": str(free_port()),
    }


async def _drop_rls(superuser_url: str) -> None:
    import asyncpg  # noqa: PLC0415 - for the negative control only

    con = await asyncpg.connect(superuser_url)
    try:
        for row in await con.fetch("select relname from pg_class where relrowsecurity and relkind = 'r'"):
            await con.execute(f'alter table "{row["relname"]}" disable row level security')
    finally:
        await con.close()


def _plain_environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith(("AIOPS_", "BENCH_"))}


async def open_ticket(http: httpx.AsyncClient, site: Site, ticket: Mapping[str, Any]) -> dict[str, Any]:
    """Add a ticket to the site's simulator and return it in the vendor's own JSON."""
    vendor = site.simulator.to_vendor(ticket)
    answer = await http.post(f"{site.simulator.url}/_/tickets", content=json.dumps(vendor))
    answer.raise_for_status()
    return site.simulator.ticket(str(ticket["ticket_id"]))
