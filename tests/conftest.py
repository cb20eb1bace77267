"""Servers shared by all tests of a run, and the rule that a skipped test may fail the run."""

import os
from collections.abc import Generator, Iterator

import pytest
from hypothesis import HealthCheck, settings

from aiops_host.embedded import EmbeddedPostgres, EmbeddedRedis

# How fast a machine makes examples says nothing about the code.
settings.register_profile("aiops", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("aiops")


@pytest.fixture(scope="session")
def pg() -> Iterator[EmbeddedPostgres]:
    """One PostgreSQL for the whole run; a test takes a database of its own from it."""
    with EmbeddedPostgres.start(fsync=False, max_connections=300) as server:
        yield server


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """One Redis for the whole run, which a test may flush; skips where the machine has none."""
    server = EmbeddedRedis.start()
    if server is None:
        pytest.skip("needs the system package redis-server")
    with server:
        yield server.url


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
