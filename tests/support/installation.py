"""A running ``aiops up`` with simulators beside it, set up through the commands a person would use."""

import json
import secrets
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.support.api import Api
from tests.support.desk import Desk
from tests.support.programs import Program, clean_environment, run_aiops
from tests.support.waiting import wait_for

from aiops_host.cli.installation import free_port

START_SECONDS = 120.0
ACCOUNT = "aiops@msp.example"

# Waits of minutes become seconds; the lease leaves a look 2 s and a write 4 s.
QUICK = {
    "AIOPS_LEASE": "12",
    "AIOPS_HEARTBEAT": "2",
    "AIOPS_WRITE_TIMEOUT": "4",
    "AIOPS_SETTLE_DELAY": "2",
    "AIOPS_POLL_INTERVAL": "0.2",
    "AIOPS_RETRY_DELAYS": "0.2,0.4,0.8,1,1,1,1,1",
    "AIOPS_DRAIN_TIMEOUT": "20",
    "AIOPS_EGRESS_PRIVATE": "127.0.0.0/8,::1/128",
}


class Installation:
    """``aiops up`` over one folder of data, restarted as often as a test likes, always at the same addresses."""

    def __init__(
        self, folder: Path, environment: Mapping[str, str] | None = None, *, python: str = sys.executable
    ) -> None:
        """Start it with the settings of ``environment``; :meth:`close` ends it."""
        self.folder, self.data, self.python = folder, folder / "data", python
        self.environment = {**QUICK, **(environment or {})}
        self.desks: list[Desk] = []
        self._ports = (str(free_port()), str(free_port()))
        self._simulators: list[subprocess.Popen[str]] = []
        self._starts = 0
        self.api: Api | None = None
        self.start()

    def start(self) -> None:
        """Start, or start again, and wait until all of it is ready."""
        self._starts += 1
        logs = self.folder / f"start-{self._starts}"
        logs.mkdir()
        self._state_file = logs / "up.json"
        arguments = ("--data", str(self.data), "--port", self._ports[0], "--admin-port", self._ports[1])
        self.program = Program(
            *("up", *arguments, "--state-file", str(self._state_file), "--until-stdin-closes"),
            folder=logs,
            environment=self.environment,
            python=self.python,
        )
        wait_for(self._is_ready, "aiops up to be ready", seconds=START_SECONDS, logs=self.logs)
        login = self.state["login"]
        if self.api is None:
            self.api = Api(self.state["base_url"], login[0], login[1], self.logs)

    @property
    def state(self) -> dict[str, Any]:
        """What the state file says now."""
        found: dict[str, Any] = json.loads(self._state_file.read_text())
        return found

    def logs(self) -> Iterable[Path]:
        """Return the logs of all parts."""
        return [*self.program.logs(), *(self.data / "log").glob("*.log")]

    def log(self, part: str) -> str:
        """Return what a part has logged."""
        return (self.data / "log" / f"{part}.log").read_text()

    def aiops(self, *arguments: str, stdin: str = "") -> Any:
        """Run a command on this installation."""
        return run_aiops(*arguments, env_file=self.data / "aiops.env", stdin=stdin, python=self.python)

    def pid(self, part: str) -> int:
        """Return the process id of the host, the worker or the dashboard."""
        return int(self.state["pids"][part])

    def await_restart(self, part: str, pid: int) -> None:
        """Wait until another process than ``pid`` is the part."""
        wait_for(lambda: self.pid(part) != pid, f"another {part} than {pid}", logs=self.logs)

    def connect(self, tenant: str, ticketing_tool: str, config: Mapping[str, Any], simulator_url: str) -> Desk:
        """Create a connection of a tenant and return its desk."""
        created = self.create_connection(tenant, ticketing_tool, config)
        connection = {
            "ticketing_tool": ticketing_tool,
            "webhook_url": created["webhook_url"],
            "secret": created["webhook_secret"],
            "headers": created["headers"],
            "simulator_url": simulator_url,
        }
        desk = Desk(tenant, connection, self.logs)
        desk.connection_id = created["connection_id"]
        self.desks.append(desk)
        return desk

    def create_connection(self, tenant: str, ticketing_tool: str, config: Mapping[str, Any]) -> dict[str, Any]:
        """Create a connection and return what the command says of it."""
        command = ("connections", "create", "--tenant", tenant, "--name", "test", "--tool", ticketing_tool)
        created: dict[str, Any] = self.aiops(*command, "--config", "-", "--json", stdin=json.dumps(config))
        return created

    def create_tenant(self, slug: str) -> None:
        """Create a tenant."""
        self.aiops("tenants", "create", slug)

    def jira(self, tenant: str) -> Desk:
        """Create a tenant with a Jira of its own."""
        token = secrets.token_hex(16)
        url = self._simulator("jira", token)
        self.create_tenant(tenant)
        return self.connect(tenant, "jira", {"base_url": url, "email": ACCOUNT, "api_token": token}, url)

    def servicedesk(self, tenant: str) -> Desk:
        """Create a tenant with a ServiceDesk Plus of its own."""
        token = secrets.token_hex(16)
        url = self._simulator("servicedesk", token)
        self.create_tenant(tenant)
        config = {"base_url": url, "technician_key": token, "calls_per_minute": 60_000}
        return self.connect(tenant, "servicedesk", config, url)

    def end(self) -> None:
        """Stop it as an operator does; nothing of it is left."""
        assert self.program.end() == 0
        assert list(self.program.temporary.iterdir()) == []

    def close(self) -> None:
        """Make sure that nothing is left, whatever a test did."""
        self.program.clean_up()
        for simulator in self._simulators:
            simulator.communicate(timeout=30)
        for desk in self.desks:
            desk.close()
        if self.api:
            self.api.close()

    def _is_ready(self) -> bool:
        self.program.assert_running()
        return self._state_file.exists()

    def _simulator(self, name: str, token: str) -> str:
        command = (sys.executable, "-m", "aiops_demo.simulators")
        account = ("--account", ACCOUNT) if name == "jira" else ()
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [*command, name, "--token", token, *account, "--until-stdin-closes"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=clean_environment(),
            )
        self._simulators.append(process)
        assert process.stdout
        url = process.stdout.readline().strip()
        assert url, (self.folder / f"{name}.log").read_text()
        return url
