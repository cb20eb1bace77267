"""``python -m aiops_demo.seeding``: one tenant set up through the commands a person would use.

The commands run in this one process, found in the registry like the ``aiops`` program finds them, so that their
libraries load once. The outcome, with the secrets shown once, is the last line of standard output.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from aiops_core.plugins import PluginManager, load_plugins
from aiops_demo.cast import BACK_TO, Player, config_for

WORKER_SECONDS = 60.0
LOOK_SECONDS = 0.2


class StepFailed(Exception):
    """A command did not do what the demo asked."""


class Commands:
    """The commands of the installed plugins."""

    def __init__(self, plugins: PluginManager) -> None:
        """Take the loaded plugins."""
        self._commands = plugins.registry.commands

    def __call__(self, *arguments: str) -> Any:
        """Run one command; return what it printed, read as JSON when it was asked for JSON.

        Raises:
            StepFailed: It ended with another exit code than 0.
        """
        module, _, function = self._commands[arguments[0]].target.partition(":")
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            code = getattr(import_module(module), function)(list(arguments[1:]))
        if code:
            raise StepFailed(f"`aiops {' '.join(arguments)}` ended with exit code {code}")
        return json.loads(printed.getvalue()) if "--json" in arguments else printed.getvalue()


def set_up(player: Player, url: str, token: str, llm: dict[str, Any] | None) -> dict[str, Any]:
    """Create the tenant, its connection and people, and import what it knows; say what happens."""
    aiops = Commands(load_plugins())
    tenant = aiops("tenants", "create", player.slug, "--name", str(player.profile["name"]), "--json")
    hosts = [part for host in player.profile["allowed_link_hosts"] for part in ("--link-host", host)]
    connection = _with_config(
        aiops,
        ("connections", "create", "--tenant", player.slug, "--name", "demo", "--tool", player.ticketing_tool, *hosts),
        config_for(player.ticketing_tool, url, token),
    )
    if llm:
        aiops("providers", "allow", "demo-llm", "--title", "The demo's LLM", "--address", llm["api_base"])
        config = {"models": [llm]}
        _with_config(aiops, ("backends", "set", "litellm", "--tenant", player.slug), config, as_json=False)
    folder, slug = player.folder, player.slug
    say(player, aiops("knowledge", "import", str(folder / "knowledge"), "--tenant", slug).strip())
    say(player, aiops("assets", "import", str(folder / "assets.csv"), "--tenant", slug).strip())
    people = [
        aiops("users", "create", user["email"], "--tenant", slug, "--role", user["role"], "--json")
        for user in player.profile["users"]
    ]
    say(player, tested(aiops, connection["connection_id"], slug))
    since = ("--since", BACK_TO)
    history = ("tickets", "import", "--tenant", slug, "--connection", connection["connection_id"], *since)
    say(player, aiops(*history).strip())
    return {"tenant": tenant, "connection": connection, "users": people}


def tested(aiops: Commands, connection_id: str, slug: str) -> str:
    """Have the connection tested by the worker, which starts at the same time and may not be there yet.

    Raises:
        StepFailed: The test fails, or no worker was there in time.
    """
    end = time.monotonic() + WORKER_SECONDS
    while True:
        try:
            return str(aiops("connections", "test", connection_id, "--tenant", slug)).strip()
        except StepFailed:
            if time.monotonic() > end:
                raise
        time.sleep(LOOK_SECONDS)


def _with_config(aiops: Commands, command: Sequence[str], config: dict[str, Any], *, as_json: bool = True) -> Any:
    """Run a command that reads its configuration, which holds secrets, from a file."""
    with tempfile.TemporaryDirectory(prefix="aiops-demo-") as folder:
        file = Path(folder) / "config.json"
        file.write_text(json.dumps(config))
        return aiops(*command, "--config", str(file), *(["--json"] if as_json else []))


def say(player: Player, text: str) -> None:
    """Tell the demo, and so the person, what happened."""
    print(f"{player.slug}: {text}", flush=True)


def main() -> int:
    """Set up one tenant."""
    parser = argparse.ArgumentParser(prog="python -m aiops_demo.seeding", description=__doc__)
    parser.add_argument("slug")
    parser.add_argument("--url", required=True, help="the simulator's address")
    parser.add_argument("--llm", type=json.loads, help="a model of the litellm backend, as JSON")
    options = parser.parse_args()
    token = sys.stdin.readline().strip()
    try:
        outcome = set_up(Player(options.slug), options.url, token, options.llm)
    except StepFailed as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(outcome), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
