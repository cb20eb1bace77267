"""Every page: links lead somewhere, commands exist with the options shown."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from uuid import UUID

import click
import pytest

from aiops_core.plugins import load_plugins

TOP = Path(__file__).parents[2]
PAGES = sorted(
    p
    for p in [
        *TOP.glob("*.md"),
        *TOP.glob("docs/**/*.md"),
        *TOP.glob("*/README.md"),
        *TOP.glob("aiops_plugins/*/README.md"),
    ]
)
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
FENCE = re.compile(r"```sh\n(.*?)```", re.S)


def commands() -> Iterator[tuple[str, str]]:
    """Yield page and command line of every `aiops` command shown in a shell block."""
    for page in PAGES:
        for block in FENCE.findall(page.read_text()):
            for line in block.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                while words and "=" in words[0]:
                    words.pop(0)
                if words and words[0].removeprefix(".venv/bin/") == "aiops":
                    yield str(page.relative_to(TOP)), shlex.join(words[1:])


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(TOP)))
def test_links_lead_somewhere(page: Path) -> None:
    """Each relative link names a file of the repository."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)

    broken = [
        target for target in LINK.findall(text) if "://" not in target and not (page.parent / target).resolve().exists()
    ]

    assert broken == []


@pytest.mark.parametrize(("page", "line"), sorted(set(commands())))
def test_commands_exist_as_shown(page: str, line: str) -> None:
    """Each command of a page is accepted by its own parser, options included."""
    name, *arguments = shlex.split(line)
    spec = load_plugins().registry.commands[name]
    command = import_module(spec.target.partition(":")[0]).main
    found = _click_command(command, name)
    arguments = [str(UUID(int=0)) if re.fullmatch(r"[A-Z]+_ID", a) else a for a in arguments]
    arguments = [
        "-" if a.endswith(".json") and b == "--config" else a for a, b in zip(arguments, ["", *arguments], strict=False)
    ]
    while isinstance(found, click.Group):
        found = found.commands[arguments.pop(0)]

    if "--help" not in arguments:
        found.make_context(name, arguments)


def test_there_are_commands_to_try() -> None:
    """The pages show the commands a new user needs."""
    shown = {line.split()[0] for _, line in commands()}

    assert {
        "up",
        "tenants",
        "users",
        "connections",
        "tickets",
        "knowledge",
        "assets",
        "providers",
        "deliveries",
    } <= shown


def _click_command(main: object, name: str) -> click.Command:
    module = import_module(main.__module__)
    return next(
        v for k, v in vars(module).items() if isinstance(v, click.Command) and k in {name, "demo", "serve", "up"}
    )
