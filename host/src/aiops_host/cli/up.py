"""``aiops up``: everything on this machine."""

from __future__ import annotations

import os
import secrets
import select
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from aiops_core.plugins import load_plugins
from aiops_host.cli.program import blocked_in_vain, run, run_async
from aiops_host.settings import Settings, read_settings

WATCH_SECONDS = 0.5
FIRST_ADMINISTRATOR = "admin@aiops.example"


class Port(click.IntRange):
    """A port's number; 0 chooses a free one."""

    name = "port"


@click.command()
@click.option("--data", "folder", type=click.Path(path_type=Path), help="Where everything is kept")
@click.option("--fresh", is_flag=True, help="Keep nothing: a temporary folder, removed at the end")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on")
@click.option(
    "--port", type=Port(0, 65535), default=8000, show_default=True, help="Port of the host; 0 chooses a free one"
)
@click.option(
    "--admin-port",
    type=Port(0, 65535),
    default=8001,
    show_default=True,
    help="Port of the dashboard; 0 chooses a free one",
)
@click.option(
    "--metrics-port",
    type=Port(0, 65534),
    default=0,
    help="Port of the host's /metrics, the worker's is the next; 0: free ones",
)
@click.option("--state-file", type=click.Path(path_type=Path), help="Write addresses and process ids here when ready")
@click.option("--until-stdin-closes", is_flag=True, help="End when standard input closes, for programs that start this")
def up(folder: Path | None, fresh: bool, **options: Any) -> int:
    """Run host, worker and dashboard with a PostgreSQL and a Redis of their own, until Ctrl-C or SIGTERM.

    Where AIOPS_DATABASE_URL or AIOPS_REDIS_URL name servers, those are used instead. Data stays in --data, by default
    ~/.local/share/aiops. Other commands work on this installation with AIOPS_ENV_FILE=<data>/aiops.env.
    """
    from aiops_host.cli.installation import Installation, free_port  # noqa: PLC0415 - piccolo is not needed for --help

    _check_ports(options)
    settings = _settings()
    if in_vain := blocked_in_vain(settings, load_plugins(blocked=settings.blocked)):
        click.echo(in_vain, err=True)
    stop = _Stop(until_stdin_closes=options["until_stdin_closes"])
    home = None if fresh else folder or _default_folder()
    listen = {
        "AIOPS_HOST": options["host"],
        "AIOPS_PORT": str(options["port"] or free_port()),
        "AIOPS_ADMIN_HOST": options["host"],
        "AIOPS_ADMIN_PORT": str(options["admin_port"] or free_port()),
    }
    installation = Installation.prepare(settings, home, listen, _say)
    try:
        code = _supervise(installation, options, stop)
    finally:
        installation.close()
    _say("Stopped.")
    return code


def _check_ports(options: dict[str, Any]) -> None:
    """Refuse one port for two parts, which the second would find out much later."""
    chosen = [("--port", options["port"]), ("--admin-port", options["admin_port"])]
    if first := options["metrics_port"]:
        chosen += [("--metrics-port", first), ("--metrics-port, whose worker's is the next,", first + 1)]
    taken: dict[int, str] = {}
    for option, port in chosen:
        if port and port in taken:
            raise click.UsageError(f"{taken[port]} and {option} are both {port}; each part needs a port of its own.")
        taken[port] = option


class _Stop:
    """Whether it is time to end."""

    def __init__(self, *, until_stdin_closes: bool) -> None:
        self.asked = False
        self._stdin = until_stdin_closes
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, self._ask)

    def wait(self, seconds: float) -> bool:
        """Wait, and return whether to end."""
        if self.asked:
            return True
        if not self._stdin:
            select.select([], [], [], seconds)
        elif select.select([sys.stdin], [], [], seconds)[0] and not os.read(sys.stdin.fileno(), 1024):
            self.asked = True
        return self.asked

    def _ask(self, *_: object) -> None:
        self.asked = True


def _supervise(installation: Any, options: dict[str, Any], stop: _Stop) -> int:
    from aiops_host.cli.parts import Part  # noqa: PLC0415 - as above

    logs = installation.folder / "log"
    logs.mkdir(exist_ok=True)
    environment = dict(installation.environment)
    environment["AIOPS_API_URL"] = _local_url(environment["AIOPS_HOST"], environment["AIOPS_PORT"])
    metrics = _metrics_ports(options["metrics_port"])
    parts = {
        name: Part(
            name=command, arguments=(), environment=environment | metrics.get(name, {}), log=logs / f"{name}.log"
        )
        for name, command in (("host", "serve"), ("worker", "worker"), ("admin", "admin"))
    }
    try:
        for part in parts.values():
            part.start()
        login = _first_login(installation)
        for part in parts.values():
            part.await_ready()
        _announce(installation, parts, options["state_file"], login)
        while not stop.wait(WATCH_SECONDS):
            installation.look_after_servers()
            ended = [part for part in parts.values() if part.has_ended()]
            for part in ended:
                _say(f"aiops {part.name} ended; starting it again")
                part.restart()
            if ended:
                _write_state(installation, parts, options["state_file"], login)
        return 0
    finally:
        for part in parts.values():
            part.ask_to_stop()
        for part in reversed(parts.values()):
            part.stop()


def _metrics_ports(first: int) -> dict[str, dict[str, str]]:
    """Return a port of its own for each part that has /metrics, the same one however often the part is started."""
    from aiops_host.cli.installation import free_port  # noqa: PLC0415 - as above

    ports = {"host": first or free_port(), "worker": first + 1 if first else free_port()}
    return {name: {"AIOPS_METRICS_PORT": str(port)} for name, port in ports.items()}


def _local_url(host: str, port: str) -> str:
    """Return where the host answers on this machine."""
    reached = "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104 - compared, not bound
    return f"http://{f'[{reached}]' if ':' in reached else reached}:{port}"


def _first_login(installation: Any) -> tuple[str, str] | None:
    """Make the first platform administrator of an installation that never showed one; anew if a start failed."""
    if _first_login_marker(installation).exists():
        return None
    from aiops_host.data.session import Database  # noqa: PLC0415 - as above
    from aiops_host.trust.accounts import put_user  # noqa: PLC0415

    email, password = FIRST_ADMINISTRATOR, secrets.token_urlsafe(15)

    async def work() -> None:
        database = await Database.open({"app": installation.environment["AIOPS_DATABASE_URL"]}, {"app": 2})
        try:
            await put_user(database, email, password, platform_admin=True)
        finally:
            await database.close()

    run_async(work)
    return email, password


def _first_login_marker(installation: Any) -> Path:
    marker: Path = installation.folder / "first-login-made"
    return marker


def _announce(installation: Any, parts: dict[str, Any], state_file: Path | None, login: tuple[str, str] | None) -> None:
    _write_state(installation, parts, state_file, login)
    _say(f"host       {parts['host'].said['base_url']}")
    _say(f"dashboard  {parts['admin'].said['admin_url']}")
    for name, url in _metrics_urls(parts).items():
        _say(f"metrics    {url} of the {name}")
    if login:
        _say(f"login      {login[0]}  password {login[1]}  (shown this once)")
        _first_login_marker(installation).touch(mode=0o600)
    else:
        _say(f"login      {FIRST_ADMINISTRATOR}; for a new password: aiops users password {FIRST_ADMINISTRATOR}")
    _say(f"commands   AIOPS_ENV_FILE={installation.folder}/aiops.env aiops tenants create --help")
    _say("Ctrl-C ends everything; the data stays")


def _write_state(
    installation: Any, parts: dict[str, Any], state_file: Path | None, login: tuple[str, str] | None
) -> None:
    if state_file is None:
        return
    state = {
        "base_url": parts["host"].said["base_url"],
        "admin_url": parts["admin"].said["admin_url"],
        "env_file": str(installation.folder / "aiops.env"),
        "metrics": _metrics_urls(parts),
        "pids": {name: part.pid for name, part in parts.items()},
        "login": login,
    }
    fresh = state_file.with_name(state_file.name + ".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as handle:
        handle.write(msgspec.json.encode(state))
    fresh.replace(state_file)


def _metrics_urls(parts: dict[str, Any]) -> dict[str, str]:
    return {name: part.said["metrics_url"] for name, part in parts.items() if "metrics_url" in part.said}


def _settings() -> Settings:
    """Read the settings, but not those of an installation whose commands this shell runs: it may be this very one."""
    return read_settings({name: value for name, value in os.environ.items() if name != "AIOPS_ENV_FILE"})


def _default_folder() -> Path:
    return Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser() / "aiops"


def _say(text: str) -> None:
    click.echo(text)


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    return run(up, argv, "up")
