"""An installation on this machine: its servers, key and tables, and the environment its parts run in."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self, TypeAlias

from aiops_core.errors import ConfigInvalid
from aiops_host.cli import env_file
from aiops_host.cli.program import run_async
from aiops_host.cli.servers import KeptServer
from aiops_host.data.migrate import LOGIN_ROLES, migrate
from aiops_host.embedded import (
    EmbeddedPostgres,
    EmbeddedRedis,
    EmbeddedServerFailed,
    FolderRefused,
    unavailable_reason,
)
from aiops_host.settings import Settings
from aiops_host.trust.vault import create_key_file

ENV_FILE = "aiops.env"
LOCK_FILE = "up.lock"
URL_FIELDS = {
    "aiops_app": "DATABASE_URL",
    "aiops_intake": "INTAKE_DATABASE_URL",
    "aiops_sweeper": "SWEEPER_DATABASE_URL",
}
Keep: TypeAlias = Callable[[str, EmbeddedPostgres | EmbeddedRedis], None]


@dataclass(frozen=True, slots=True)
class Installation:
    """A prepared installation. ``environment`` is what parts and commands need; ``folder`` holds keys, logs and data."""

    folder: Path
    environment: Mapping[str, str]
    servers: tuple[KeptServer, ...]
    _stack: ExitStack

    @classmethod
    def prepare(
        cls, settings: Settings, folder: Path | None, listen: Mapping[str, str], say: Callable[[str], None]
    ) -> Self:
        """Start the embedded servers unless the settings name others, make the key, run the migrations.

        Args:
            settings: Where they name PostgreSQL or Redis, those are used.
            folder: Where everything is kept; ``None`` for a fresh folder that :meth:`close` removes.
            listen: Where the parts listen, as environment variables.
            say: Told what happens, one sentence each.

        Raises:
            FolderRefused: Another installation runs in the folder, or it cannot be made.
            ConfigInvalid: A part cannot listen where it is to, or the key provider's configuration is no JSON object.
            EmbeddedServerFailed: PostgreSQL is not installed or does not start.
            MigrationRefused: The database cannot be migrated.
        """
        with ExitStack() as stack:
            handed = env_file.passed_on(os.environ, settings, say)
            home = _home(folder, stack)
            _check_listen(listen)
            servers: list[KeptServer] = []

            def keep(name: str, server: EmbeddedPostgres | EmbeddedRedis) -> None:
                servers.append(KeptServer(name, server, say))
                stack.callback(servers[-1].stop)
                say(f"{name} runs")

            environment = {"AIOPS_KEY_FILE": settings.key_file or str(_key(home)), **listen}
            environment |= _postgres(settings, home, keep, say)
            redis_url = settings.redis_url or _redis(home, keep, say)
            environment |= {"AIOPS_REDIS_URL": redis_url} if redis_url else {}
            environment |= handed
            public = {k: v for k, v in environment.items() if "MIGRATE" not in k}
            env_file.write(home / ENV_FILE, public)
            return cls(home, public, tuple(servers), stack.pop_all())

    def look_after_servers(self) -> None:
        """Start servers again that have ended.

        Raises:
            EmbeddedServerFailed: One cannot be started, or keeps ending.
        """
        for server in self.servers:
            server.look_after()

    def close(self) -> None:
        """Stop the servers; remove the folder if it was a fresh one."""
        self._stack.close()


def free_port() -> int:
    """Return a port nobody listens on, below the range the kernel takes outgoing connections from."""
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _home(folder: Path | None, stack: ExitStack) -> Path:
    if folder is None:
        home = Path(tempfile.mkdtemp(prefix="aiops-"))
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        return home
    home = folder.expanduser().absolute()
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = stack.enter_context((home / LOCK_FILE).open("a+"))
    except (FileExistsError, NotADirectoryError):
        raise FolderRefused(f"{home} is no folder but a file, or lies below one: --data names a folder.") from None
    except OSError as error:
        raise FolderRefused(f"cannot keep data in {home}: {error.strerror}") from None
    _claim(home, lock)
    return home


def _claim(home: Path, lock: IO[str]) -> None:
    """Hold the lock, which the kernel lets go however this process ends; it names who holds it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        owner = lock.read().strip()
        raise FolderRefused(
            f"{home} is in use by another `aiops up`, process {owner}: stop that one, or choose another --data folder."
        ) from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()


def _key(home: Path) -> Path:
    key = home / "key"
    if not key.exists():
        create_key_file(key)
    return key


def _postgres(settings: Settings, home: Path, keep: Keep, say: Callable[[str], None]) -> dict[str, str]:
    if settings.database_url:
        urls = {
            "aiops_app": settings.database_url,
            "aiops_intake": settings.intake_database_url,
            "aiops_sweeper": settings.sweeper_database_url,
        }
        settings.require("intake_database_url", "sweeper_database_url")
        migrate_url = settings.migrate_database_url
    else:
        if reason := unavailable_reason():
            raise EmbeddedServerFailed(f"{reason} Or set AIOPS_DATABASE_URL to a PostgreSQL of yours.")
        server = EmbeddedPostgres.start(home / "postgres")
        keep("PostgreSQL", server)
        urls = {role: server.url(role, server.password(role)) for role in LOGIN_ROLES}
        migrate_url = server.superuser_url
    if migrate_url:
        for line in run_async(lambda: migrate(migrate_url, urls.values())):
            say(line)
    return {f"AIOPS_{URL_FIELDS[role]}": url for role, url in urls.items()}


def _redis(home: Path, keep: Keep, say: Callable[[str], None]) -> str:
    logs = home / "log"
    logs.mkdir(exist_ok=True)
    server = EmbeddedRedis.start(logs / "redis.log")
    if server is None:
        say("no Redis on this machine; the worker looks for work in PostgreSQL every second")
        return ""
    keep("Redis", server)
    return server.url


def _check_listen(listen: Mapping[str, str]) -> None:
    """Refuse an address that is taken before anything starts, in the words of who starts it."""
    for part, prefix, option in (("host", "AIOPS_", "--port"), ("dashboard", "AIOPS_ADMIN_", "--admin-port")):
        host, port = listen[f"{prefix}HOST"], int(listen[f"{prefix}PORT"])
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
        except OSError as error:
            raise ConfigInvalid(
                f"The {part} cannot listen on {host}:{port}: {error.strerror}. Choose another port with {option}."
            ) from None
