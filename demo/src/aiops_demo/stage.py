"""The demo's processes and what is known of them: the installation, the simulators, the tenants."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import httpx

from aiops_demo.cast import TENANTS, Player
from aiops_demo.children import Child, ChildFailed
from aiops_demo.plugin import JOURNAL

POLL_SECONDS = 0.05
LOOPBACK = "127.0.0.0/8,::1/128"
DRAIN_SECONDS = "3"
"""Whoever ends a demo does not wait for a slow model."""
ENV_FILE = "aiops.env"
STATE_FILE = "up.json"
Say = Callable[[str], None]


class FolderRefused(Exception):
    """The demo cannot keep its data in the folder."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant that is set up: what its commands printed, and its simulator."""

    player: Player
    simulator_url: str
    token: str = field(repr=False)
    facts: Mapping[str, Any] = field(repr=False)

    @property
    def connection(self) -> Mapping[str, Any]:
        """Webhook address, secret and headers."""
        found: Mapping[str, Any] = self.facts["connection"]
        return found


@dataclass(slots=True)
class Stage:
    """Everything that runs."""

    folder: Path
    up: Child
    state: Mapping[str, Any] = field(default_factory=dict)
    tenants: list[Tenant] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """The settings its commands and parts use."""
        lines = (self.folder / ENV_FILE).read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    @property
    def base_url(self) -> str:
        """The host's address."""
        return f"http://{self.environment['AIOPS_HOST']}:{self.environment['AIOPS_PORT']}"

    async def host_ready(self, http: httpx.AsyncClient) -> None:
        """Wait until the host takes webhooks.

        Raises:
            ChildFailed: The installation ended.
        """
        await _unless_ended(_answers(f"{self.base_url}/health/ready", http), self.up)

    async def all_ready(self) -> None:
        """Wait until every part is up, and learn addresses, process ids and the first login.

        Raises:
            ChildFailed: The installation ended.
        """
        self.state = json.loads((await _unless_ended(_appeared(self.folder / STATE_FILE), self.up)).read_text())

    @property
    def journal(self) -> Path:
        """Where the worker's plugin notes finished runs."""
        return self.folder / "journal.jsonl"

    async def ended(self) -> NoReturn:
        """Wait for the end of the installation, which nobody asked for.

        Raises:
            ChildFailed: It ended; the message shows the end of its log.
        """
        code = await self.up.process.wait()
        raise ChildFailed(_how_it_ended(self.up, code))


async def first_of(*works: Awaitable[Any]) -> None:
    """Wait for the first to end, and end the others, also when this wait is cancelled.

    Raises:
        Exception: What the first ended with.
    """
    running = [asyncio.ensure_future(work) for work in works]
    try:
        over, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    for task in over:
        task.result()


@asynccontextmanager
async def staged(data: Path | None, llm: Mapping[str, Any] | None, say: Say) -> AsyncIterator[Stage]:
    """Start the installation and the simulators and set the tenants up, all at the same time; stop all at the end.

    Raises:
        FolderRefused: ``data`` is not empty, or cannot be made.
        ChildFailed: A part did not start or a tenant could not be set up.
    """
    async with AsyncExitStack() as stack:
        folder = _folder(data, stack)
        logs = folder / "log"
        logs.mkdir(exist_ok=True)
        up = await _started(
            stack,
            "aiops up",
            *("aiops_host.cli.main", "up", "--data", str(folder), "--port", "0", "--admin-port", "0"),
            *("--state-file", str(folder / STATE_FILE), "--until-stdin-closes"),
            environment={
                **_clean_environment(),
                JOURNAL: str(folder / "journal.jsonl"),
                "AIOPS_DRAIN_TIMEOUT": DRAIN_SECONDS,
                # The simulators answer on this machine; a model may answer where the person says.
                "AIOPS_EGRESS_PRIVATE": ",".join(filter(None, [LOOPBACK, os.environ.get("AIOPS_EGRESS_PRIVATE")])),
            },
            log=logs / "up.log",
        )
        stage = Stage(folder, up)
        heard = asyncio.create_task(_overhear(up, say))
        stack.callback(heard.cancel)
        players = [Player(slug) for slug in TENANTS]
        opened = asyncio.gather(*(_open_tenant(stack, stage, player, llm, say) for player in players))
        stage.tenants = list(await _unless_ended(opened, up))
        yield stage


async def _open_tenant(
    stack: AsyncExitStack, stage: Stage, player: Player, llm: Mapping[str, Any] | None, say: Say
) -> Tenant:
    token, logs = secrets.token_hex(24), stage.folder / "log"
    account = ("--account", "aiops@lindner.example") if player.ticketing_tool == "jira" else ()
    simulator = await _started(
        stack,
        f"the {player.ticketing_tool} simulator",
        *("aiops_demo.simulators", player.ticketing_tool, "--token", token, *account, "--until-stdin-closes"),
        *("--seed", str(player.folder / "tickets.csv")),
        environment=_clean_environment(),
        log=logs / f"{player.ticketing_tool}.log",
    )
    url = await simulator.line()
    if not url:
        raise ChildFailed(f"{simulator.name} did not start; {_tail(logs / f'{player.ticketing_tool}.log')}")
    say(f"{player.slug}: {player.ticketing_tool} simulator at {url}")
    env_file = await _appeared(stage.folder / ENV_FILE)
    seeding = await Child.start(
        f"setting up {player.slug}",
        *("aiops_demo.seeding", player.slug, "--url", url),
        *(("--llm", json.dumps(llm)) if llm else ()),
        environment={**_clean_environment(), "AIOPS_ENV_FILE": str(env_file)},
        log=logs / f"seeding-{player.slug}.log",
    )
    await seeding.tell(token)
    try:
        facts = json.loads(await seeding.lines(say))
    except ChildFailed as error:
        raise ChildFailed(f"{error}; {_tail(logs / f'seeding-{player.slug}.log')}") from None
    return Tenant(player, url, token, facts)


async def _started(
    stack: AsyncExitStack, name: str, *arguments: str, environment: Mapping[str, str], log: Path
) -> Child:
    child = await Child.start(name, *arguments, environment=environment, log=log)
    stack.push_async_callback(child.stop)
    return child


async def _overhear(up: Child, say: Say) -> None:
    while (line := await up.line()) is not None:
        if not line.startswith(("applied", "created", "login", "commands", "Ctrl-C", "Stopped")):
            say(line)


async def _unless_ended(work: Any, up: Child) -> Any:
    """Await ``work``; fail at once when the installation ends."""
    working, ended = asyncio.ensure_future(work), asyncio.ensure_future(up.process.wait())
    await first_of(working, ended)
    if not working.cancelled():
        return working.result()
    raise ChildFailed(_how_it_ended(up, ended.result()))


def _how_it_ended(up: Child, code: int) -> str:
    return f"{up.name} ended with exit code {code}. The end of {up.log}: {_tail(up.log) or 'nothing'}"


async def _appeared(file: Path) -> Path:
    while not await asyncio.to_thread(file.exists):  # noqa: ASYNC110 - another process makes it
        await asyncio.sleep(POLL_SECONDS)
    return file


async def _answers(url: str, http: httpx.AsyncClient) -> None:
    while True:
        with contextlib.suppress(httpx.TransportError):
            if (await http.get(url)).is_success:
                return
        await asyncio.sleep(POLL_SECONDS)


def _folder(data: Path | None, stack: AsyncExitStack) -> Path:
    if data is None:
        fresh = Path(tempfile.mkdtemp(prefix="aiops-demo-"))
        stack.callback(shutil.rmtree, fresh, ignore_errors=True)
        return fresh
    folder = data.expanduser().absolute()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        empty = not any(folder.iterdir())
    except (FileExistsError, NotADirectoryError):
        raise FolderRefused(f"{folder} is no folder but a file, or lies below one: --data names a folder.") from None
    except OSError as error:
        raise FolderRefused(f"cannot keep data in {folder}: {error.strerror}.") from None
    if not empty:
        raise FolderRefused(
            f"{folder} is not empty, and the demo begins with an empty folder: name another with --data, or empty this "
            f"one. If it holds an installation, `aiops up --data {folder}` goes on with it."
        )
    return folder


def _clean_environment() -> dict[str, str]:
    """Return the environment without settings of some other installation, except servers it is to use."""
    servers = {"AIOPS_DATABASE_URL", "AIOPS_INTAKE_DATABASE_URL", "AIOPS_SWEEPER_DATABASE_URL"}
    servers |= {"AIOPS_MIGRATE_DATABASE_URL", "AIOPS_REDIS_URL"}
    return {k: v for k, v in os.environ.items() if not k.startswith("AIOPS_") or k in servers}


def _tail(log: Path) -> str:
    return " ".join(log.read_text(errors="replace").split("\n")[-5:]).strip()
