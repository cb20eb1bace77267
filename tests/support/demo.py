"""A running demo, driven through its state file as any other program would."""

import json
import sys
from pathlib import Path
from typing import Any

from tests.support.api import Api
from tests.support.desk import Desk
from tests.support.programs import Program, run_aiops
from tests.support.waiting import wait_for

START_SECONDS = 180.0


class Demo(Program):
    """``aiops demo``; ``state`` is what its state file says."""

    def __init__(self, *arguments: str, folder: Path, python: str = sys.executable) -> None:
        """Start it."""
        self.state_file = folder / "state.json"
        self.state: dict[str, Any] = {}
        self.desks: dict[str, Desk] = {}
        super().__init__("demo", "--state-file", str(self.state_file), *arguments, folder=folder, python=python)

    def await_ready(self) -> None:
        """Wait for the state file and make what drives the demo from it."""

        def written() -> bool:
            self.assert_running()
            return self.state_file.exists()

        wait_for(written, "the state file", seconds=START_SECONDS, logs=self.logs)
        self.state = json.loads(self.state_file.read_text())
        self.desks = {
            tenant["slug"]: Desk(tenant["slug"], tenant["connections"][0], self.logs)
            for tenant in self.state["tenants"]
        }
        administrator = next(user for user in self.state["users"] if user["role"] == "platform-admin")
        self.api = Api(self.state["base_url"], administrator["email"], administrator["password"], self.logs)

    def aiops(self, *arguments: str) -> Any:
        """Run a command on the demo's installation."""
        (env_file,) = self.temporary.glob("*/aiops.env")
        return run_aiops(*arguments, env_file=env_file)

    def close(self) -> None:
        """Close what drives it."""
        if self.state:
            self.api.close()
        for desk in self.desks.values():
            desk.close()
