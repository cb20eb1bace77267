"""Servers shared by all tests of a run, and the rule that a skipped test may fail the run."""

import gc
import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from aiops_host.embedded import EmbeddedPostgres, EmbeddedRedis

# How fast a machine makes examples says nothing about the code.
settings.register_profile("aiops", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("aiops")


MEMORY = Path("/dev/shm")  # noqa: S108 - what is made there has a random name of its own
ROOM = 2 << 30


@pytest.fixture(scope="session")
def pg() -> Iterator[EmbeddedPostgres]:
    """One PostgreSQL for the whole run; a test takes a database of its own from it."""
    # ext4 gives out no inode that was free for less than 5 s, and searches past each of them for every new file:
    # a database of 300 files takes 330 ms of CPU right after others were dropped, 18 ms in memory.
    with pytest.MonkeyPatch.context() as patch:
        if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= ROOM:
            patch.setattr(tempfile, "tempdir", str(MEMORY))
        server = EmbeddedPostgres.start(fsync=False, max_connections=300)
    with server:
        yield server


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """One Redis for the whole run, which a test may flush; skips where the machine has none."""
    server = EmbeddedRedis.start()
    if server is None:
        pytest.skip("needs the system package redis-server")
    with server:
        yield server.url


def pytest_collection_finish() -> None:
    """Keep what collecting left for ever out of the collections of garbage to come: 8 % of the web tests' CPU."""
    gc.collect()
    gc.freeze()


def _forbid_skip(report: pytest.CollectReport | pytest.TestReport) -> None:
    if os.environ.get("AIOPS_FAIL_ON_SKIP") == "1" and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid} was skipped and AIOPS_FAIL_ON_SKIP=1 forbids it: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skipped test into a failed one where none may be skipped."""
    report = yield
    _forbid_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Do the same to a module that skips itself."""
    report = yield
    _forbid_skip(report)
    return report
