"""A demo and an installation that the end-to-end tests share, each a set of real processes."""

from collections.abc import Iterator

import pytest
from tests.support.api import Api
from tests.support.demo import Demo
from tests.support.desk import Desk
from tests.support.environments import wheels
from tests.support.installation import Installation

__all__ = ["wheels"]


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A demo that runs until the end of the session; then SIGTERM ends it and leaves nothing behind."""
    running = Demo(folder=tmp_path_factory.mktemp("demo"))
    try:
        running.await_ready()
        yield running
        assert running.end() == 0
        assert list(running.temporary.iterdir()) == []
    finally:
        running.close()
        running.clean_up()


@pytest.fixture
def api(demo: Demo) -> Api:
    """The demo's API."""
    return demo.api


@pytest.fixture
def harbor(demo: Demo) -> Iterator[Desk]:
    """The demo's tenant with ServiceDesk Plus."""
    yield demo.desks["harbor"]
    demo.desks["harbor"].behave()


@pytest.fixture
def lindner(demo: Demo) -> Iterator[Desk]:
    """The demo's tenant with Jira."""
    yield demo.desks["lindner"]
    demo.desks["lindner"].behave()


@pytest.fixture(scope="session")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """``aiops up`` whose waits are short, with a Jira for tenant ``north`` and a ServiceDesk Plus for ``south``."""
    installation = Installation(tmp_path_factory.mktemp("quick"))
    try:
        installation.jira("north")
        installation.servicedesk("south")
        yield installation
        installation.end()
    finally:
        installation.close()


@pytest.fixture
def north(quick: Installation) -> Iterator[Desk]:
    """The quick installation's Jira, which behaves again afterwards."""
    yield quick.desks[0]
    quick.desks[0].behave()


@pytest.fixture
def south(quick: Installation) -> Iterator[Desk]:
    """The quick installation's ServiceDesk Plus, which behaves again afterwards."""
    yield quick.desks[1]
    quick.desks[1].behave()
