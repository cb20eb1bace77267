"""What this distribution contributes: the ``demo`` command, and an observer that keeps its journal."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import asdict

import msgspec

from aiops_core.agents import RunFinished
from aiops_core.hookspecs import hookimpl
from aiops_core.specs import CommandSpec

JOURNAL = "AIOPS_DEMO_JOURNAL"
"""Environment variable with the file a running demo reads its progress from; unset outside of a demo."""


@hookimpl
def aiops_register_commands() -> Iterable[CommandSpec]:
    """Contribute the demo."""
    return [
        CommandSpec(
            name="demo",
            help="Watch notes arrive on the tickets of two simulated ticketing tools",
            target="aiops_demo.command:main",
        )
    ]


@hookimpl
def aiops_on_run_finished(event: RunFinished) -> None:
    """Append the run to the demo's journal, one line of JSON."""
    if path := os.environ.get(JOURNAL):
        with open(path, "ab") as journal:
            journal.write(msgspec.json.encode(asdict(event)) + b"\n")
