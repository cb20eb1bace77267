"""A server as a child process: who it runs as, where its sockets live, and its end with its owner."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TypedDict

from aiops_core.errors import AiopsError

# A unix socket's path ends at 107 bytes on Linux and at 103 on macOS; "/.s.PGSQL.5432" takes 14.
LONGEST_SOCKET_FOLDER = 89
START_SECONDS = 60.0  # recovery after a crash replays the log first
STOP_SECONDS = 30.0
KILLED = 128  # above it, a shell's status names the signal that ended the command

# Ends the server when the pipe on its standard input closes, which the kernel does however the owner ends; a parent-death
# signal would need Linux and a main thread. The server's own end is waited for, so that the owner learns of that too.
_KEEPER = """
signal=$1 folder=$2; shift 2
trap '' HUP INT TERM
exec 3<&0 </dev/null
"$@" 3<&- >&2 & server=$!
{ while read -r _ <&3; do :; done; kill -"$signal" "$server"; } >/dev/null 2>&1 & watch=$!
exec 3<&-
echo "$server"
exec >/dev/null
wait "$server"; status=$?
kill -KILL "$watch" 2>/dev/null
cd / && rm -rf "$folder" 2>/dev/null
exit "$status"
"""

# Nothing of ours, so no PG* variable of the caller; the log's times are in UTC.
_ENVIRONMENT: Mapping[str, str] = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


class EmbeddedServerFailed(AiopsError):
    """An embedded server could not be started."""


class FolderRefused(EmbeddedServerFailed):
    """The folder cannot hold this installation's data.

    Host: refuses to start, exit code 2.
    """


class Identity(TypedDict, total=False):
    """The arguments of ``subprocess`` that drop root's rights."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, slots=True)
class Account:
    """The system account a server runs as when we are root, which PostgreSQL refuses to be."""

    uid: int
    gid: int

    def own(self, path: Path) -> None:
        """Give ``path`` to the account."""
        os.chown(path, self.uid, self.gid)

    def reaches(self, path: Path) -> bool:
        """Tell whether the account can enter every folder above ``path``."""
        return all(self._enters(folder.stat()) for folder in path.absolute().parents)

    def _enters(self, folder: os.stat_result) -> bool:
        if folder.st_uid == self.uid:
            return bool(folder.st_mode & stat.S_IXUSR)
        return bool(folder.st_mode & (stat.S_IXGRP if folder.st_gid == self.gid else stat.S_IXOTH))


@dataclass(frozen=True, slots=True)
class Child:
    """A running server, the shell that keeps it and the private folder of its sockets."""

    keeper: subprocess.Popen[str]
    pid: int
    runtime: Path

    def stop(self) -> None:
        """Let the server end, wait for it, and kill it when it does not. Harmless when repeated."""
        for pipe in (self.keeper.stdin, self.keeper.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self.keeper.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.keeper.pid, signal.SIGKILL)
            self.keeper.wait()
        shutil.rmtree(self.runtime, ignore_errors=True)

    def is_running(self) -> bool:
        """Tell whether the server has not ended by itself."""
        return self.keeper.poll() is None

    def was_killed(self) -> bool:
        """Tell whether a signal ended the server."""
        return self.keeper.wait() > KILLED


@dataclass(frozen=True, slots=True)
class Launch:
    """What every program of one server is started with.

    ``inherited`` are descriptors the server keeps open for as long as it lives.
    """

    account: Account | None
    runtime: Path
    cwd: Path
    log: Path
    inherited: tuple[int, ...] = ()

    def run(self, command: Sequence[str | Path], stdin: str = "") -> None:
        """Run a program to its end.

        Raises:
            EmbeddedServerFailed: It failed; the message is what it said.
        """
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            cwd=self.cwd,
            env=_ENVIRONMENT,
            pass_fds=self.inherited,
            **self._identity(),
        )
        if done.returncode:
            raise EmbeddedServerFailed(f"{Path(command[0]).name} failed: {(done.stderr or done.stdout).strip()}")

    def spawn(self, command: Sequence[str | Path], end: signal.Signals) -> Child:
        """Start a server that receives the signal ``end`` when this process ends or lets it go."""
        keeper = ["/bin/sh", "-c", _KEEPER, "keeper", str(end.value), str(self.runtime)]
        with self.log.open("a") as log:
            process = subprocess.Popen(
                [*keeper, *map(str, command)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=self.cwd,
                env=_ENVIRONMENT,
                start_new_session=True,
                pass_fds=self.inherited,
                **self._identity(),
            )
        said = process.stdout.readline().strip() if process.stdout else ""
        return Child(process, int(said or 0), self.runtime)

    def _identity(self) -> Identity:
        if self.account is None:
            return {}
        return {"user": self.account.uid, "group": self.account.gid, "extra_groups": []}


def account_for(existing: Path | None = None) -> Account | None:
    """Return None unless we are root; a folder with data keeps the account that owns it."""
    if os.geteuid() != 0:
        return None
    if existing is not None and existing.exists() and (owner := existing.stat()).st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    nobody = pwd.getpwnam("nobody")
    return Account(nobody.pw_uid, nobody.pw_gid)


def package_folder(name: str) -> Path | None:
    """Return the folder of an installed package without importing it."""
    spec = find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


def runtime_folder(account: Account | None, again: Path | None = None) -> Path:
    """Make a folder of mode 0700 whose path a socket's address can hold and the account can enter.

    ``again`` is one made before, whose server has ended and taken it along.
    """
    if again is not None:
        again.mkdir(mode=0o700)
        if account:
            account.own(again)
        return again
    for base in map(Path, dict.fromkeys([tempfile.gettempdir(), "/tmp", "/var/tmp"])):  # noqa: S108 - mkdtemp below
        if len(os.fsencode(base)) > LONGEST_SOCKET_FOLDER - len("/aiops-12345678"):
            continue
        if base.is_dir() and (account is None or account.reaches(base / "any")):
            folder = Path(tempfile.mkdtemp(prefix="aiops-", dir=base))
            if account:
                account.own(folder)
            return folder
    raise EmbeddedServerFailed("no temporary folder has a path short enough for a socket: set TMPDIR to one like /tmp")


def within_reach(program: Path, launch: Launch) -> Path:
    """Return ``program`` (a file, or the folder of an installation), copied to where the account reaches it if need be."""
    if launch.account is None or launch.account.reaches(program / "any"):
        return program
    copies = launch.runtime / "programs"
    target = copies / program.parent.name / program.name
    target.parent.mkdir(parents=True)
    if program.is_dir():
        shutil.copytree(program, target)
    else:
        shutil.copy(program, target)
    linked = program.parent.with_name(f"{program.parent.name}.libs")  # where a repaired wheel keeps what it links
    if linked.is_dir():
        shutil.copytree(linked, copies / linked.name)
    for made in (copies, *copies.rglob("*")):
        launch.account.own(made)
    return target


def await_ready(child: Child, log: Path, ready: Callable[[], bool]) -> None:
    """Wait until ``ready`` holds.

    Raises:
        EmbeddedServerFailed: The server ended or took longer than a recovery may; the message ends with its own words.
    """
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if not child.is_running() or time.monotonic() > deadline:
            raise EmbeddedServerFailed(f"the server did not start: {last_words(log)}")
        time.sleep(0.005)


def last_words(log: Path) -> str:
    """Return the end of a server's log on one line."""
    words = log.read_text(errors="replace").strip().splitlines()[-5:] if log.exists() else []
    return " | ".join(words) or "it said nothing"


def write_secret(file: Path, text: str, account: Account | None = None) -> None:
    """Write ``text`` whole or not at all, readable by its owner only."""
    part = file.with_name(f".{file.name}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(text)
    if account:
        account.own(part)
    part.replace(file)
