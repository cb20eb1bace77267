"""The ``aiops`` program on a database of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.databases import DatabaseUrls
from tests.support.probing import probing_worker

from aiops_host.cli.main import main
from aiops_host.trust.vault import create_key_file

Aiops = Callable[..., Any]


@pytest.fixture
def aiops(
    database: DatabaseUrls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Aiops:
    """Run a command; return what it printed, as JSON where it was asked for JSON; ``code`` is the exit code wanted."""
    key = tmp_path / "key"
    create_key_file(key)
    monkeypatch.setenv("AIOPS_DATABASE_URL", database.app)
    monkeypatch.setenv("AIOPS_KEY_FILE", str(key))
    monkeypatch.setenv("AIOPS_EGRESS_PRIVATE", "127.0.0.0/8,::1/128")

    def run(*arguments: object, code: int = 0) -> Any:
        got = main([str(a) for a in arguments])
        printed = capsys.readouterr()
        assert got == code, printed.err or printed.out
        if code:
            return printed.err
        return json.loads(printed.out) if "--json" in arguments else printed.out

    return run


@pytest.fixture
def worker(aiops: Aiops, database: DatabaseUrls, tmp_path: Path) -> Iterator[None]:
    """What of a worker makes tests, beside the commands."""
    with probing_worker(database, tmp_path / "key"):
        yield
