"""``aiops --help`` and its kin stay quick, whatever is installed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.programs import END_SECONDS, clean_environment, program_of

from aiops_core import load_plugins

MOST_CPU_SECONDS = 0.4
RUNS = 5
HEAVY = {
    "litellm",
    "langgraph",
    "panel",
    "bokeh",
    "litestar",
    "piccolo",
    "asyncpg",
    "arq",
    "uvicorn",
    "openai",
    "httpx",
}
COMMANDS = sorted(load_plugins().registry.commands)
PROGRAM = program_of(sys.executable)


def user_cpu_seconds(*arguments: str) -> float:
    """Run ``aiops`` and return the user CPU time it took."""
    process = subprocess.Popen([PROGRAM, *arguments], stdout=subprocess.DEVNULL, env=clean_environment())
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return used.ru_utime


def loaded_by(*arguments: str) -> tuple[set[str], str]:
    """Run ``aiops``; return the top-level packages it loaded and what it printed."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", PROGRAM, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=END_SECONDS,
        env=clean_environment(),
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return {m[1] for m in re.finditer(r"^import time:.*\| +(\w+)", done.stderr, re.M)}, done.stdout


def test_help_is_cheap() -> None:
    """``aiops --help``, with every plugin's commands in it, takes at most 0.4 s of user CPU."""
    assert min(user_cpu_seconds("--help") for _ in range(RUNS)) <= MOST_CPU_SECONDS


def test_help_lists_every_command_and_loads_nothing_heavy() -> None:
    """The overview names the commands of all plugins without loading what only their work needs."""
    loaded, printed = loaded_by("--help")
    assert "aiops_core" in loaded
    assert loaded & HEAVY == set()
    assert "Exit codes: 0 ok, 1 a problem was found, 2 misuse or a refused start" in printed
    listed = set(re.findall(r"^  ([a-z]+) {2,}\S", printed, re.M))
    assert listed >= {"admin", "demo", *COMMANDS}


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(command: str) -> None:
    """Every command explains itself without a database, a setting or a heavy library."""
    loaded, printed = loaded_by(command, "--help")
    assert printed.startswith(f"Usage: aiops {command}")
    cut = re.findall(r"^  \S+ {2,}.*\.\.\.$", printed.partition("\nCommands:\n")[2], re.M)
    assert cut == [], "summaries that do not fit one line"
    assert loaded & (HEAVY - {"httpx"}) == set()


def test_misuse_is_explained(tmp_path: Path) -> None:
    """An unknown command, a missing setting and a server that is away are one sentence and no traceback."""
    away = {"AIOPS_DATABASE_URL": f"postgresql://aiops_app:x@/aiops?host={tmp_path}"}
    elsewhere = {"AIOPS_DATABASE_URL": "postgresql://aiops_app:x@127.0.0.1:1/aiops"}
    for arguments, environment, code, says in (
        (("nosuch",), {}, 2, "No such command 'nosuch'"),
        (("tenants", "list"), {}, 2, "Set AIOPS_DATABASE_URL"),
        (("tenants", "list"), away, 1, "Is `aiops up` running?\n"),
        (("tenants", "list"), elsewhere, 1, "PostgreSQL cannot be reached"),
        (("serve",), {}, 2, "Set AIOPS_"),
        (("worker",), {"AIOPS_SLOTS": "many"}, 2, "AIOPS_SLOTS"),
    ):
        done = subprocess.run(
            [PROGRAM, *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=END_SECONDS,
            env={**clean_environment(), **environment},
        )
        assert done.returncode == code, (arguments, environment, done.stderr)
        assert "Traceback" not in done.stderr
        assert says in done.stderr
        assert ("aiops up` running" in done.stderr) == (environment == away)
