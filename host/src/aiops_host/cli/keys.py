"""``aiops keys``: the key that seals secrets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from aiops_host.cli.program import run
from aiops_host.trust.vault import create_key_file

keys = click.Group("keys", help="Make the key that seals secrets.", no_args_is_help=True)


@keys.command()
@click.argument("path", type=click.Path(path_type=Path))
def init(path: Path) -> None:
    """Write a new key to PATH.

    Only its owner can read it; name it in AIOPS_KEY_FILE.
    """
    create_key_file(path)
    click.echo(f"{path} holds a new key. Keep a copy of it apart from the database: without it no secret opens.")


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    return run(keys, argv, "keys")
