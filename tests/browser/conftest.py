"""A running dashboard and Chromium; every page that is used must stay free of errors and foreign requests."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Response,
    expect,
    sync_playwright,
)
from tests.support.dashboard import PASSWORD, Dashboard, running_dashboard
from tests.support.databases import execute_as_superuser, run_apart, template, urls_of
from tests.support.system import require_program

from aiops_host.embedded import EmbeddedPostgres

__all__ = ["template"]

# How long a page may take says nothing about what it shows.
PATIENCE_MS = 90_000
expect.set_options(timeout=PATIENCE_MS)
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]


@pytest.fixture(scope="session")
def dashboard(pg: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """Host and dashboard for all tests of the run: each test makes its own deliveries."""
    yield from _dashboard(pg, template, tmp_path_factory.mktemp("dashboard"))


@pytest.fixture
def own_dashboard(pg: EmbeddedPostgres, template: str, tmp_path: Path) -> Iterator[Dashboard]:
    """Host and dashboard for a test that stops one of them."""
    yield from _dashboard(pg, template, tmp_path)


def _dashboard(pg: EmbeddedPostgres, template: str, folder: Path) -> Iterator[Dashboard]:
    name = f"b_{uuid4().hex[:16]}"
    run_apart(execute_as_superuser(pg.superuser_url, f"create database {name} template {template} strategy file_copy"))
    with running_dashboard(urls_of(pg, name), folder) as running:
        yield running
    run_apart(execute_as_superuser(pg.superuser_url, f"drop database {name} with (force)"))


# For one module at a time: while it is there, no test with an event loop of its own can run.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, headless."""
    program = require_program("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        browser.close()


@dataclass
class Watch:
    """What went wrong on a page; ``expected`` are patterns of what a test provokes."""

    origin: str
    problems: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def on(self, page: Page) -> None:
        """Listen to everything a good page never does."""
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.problems.append(f"error {error}"))
        page.on("requestfailed", self._failed)
        page.on("response", self._response)
        page.on("request", self._request)

    def unexpected(self) -> list[str]:
        """Return the problems no pattern matches."""
        return [p for p in self.problems if not any(re.search(pattern, p) for pattern in self.expected)]

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.problems.append(f"console {message.text}")

    def _failed(self, request: Request) -> None:
        # Leaving a page cuts off what it was still loading.
        if request.failure != "net::ERR_ABORTED":
            self.problems.append(f"failed {request.url} {request.failure}")

    def _response(self, response: Response) -> None:
        if response.status >= 400:
            self.problems.append(f"status {response.status} {response.url}")

    def _request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in {"data", "blob"} and f"{parts.scheme}://{parts.netloc}" != self.origin:
            self.problems.append(f"foreign request {request.url}")


@pytest.fixture
def watch(dashboard: Dashboard) -> Iterator[Watch]:
    """The watch over all pages of the test; what it saw and nobody expected fails the test."""
    watching = Watch(dashboard.url)
    yield watching
    assert watching.unexpected() == []


OpenContext = Callable[..., BrowserContext]


@pytest.fixture
def open_context(chromium: Browser, watch: Watch) -> Iterator[OpenContext]:
    """Make browser contexts whose pages are watched, each with cookies of its own."""
    contexts: list[BrowserContext] = []

    def make(**options: object) -> BrowserContext:
        context = chromium.new_context(locale="en-GB", viewport={"width": 1280, "height": 800}, **options)  # type: ignore[arg-type]
        context.set_default_timeout(PATIENCE_MS)
        context.on("page", watch.on)
        contexts.append(context)
        return context

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def page(open_context: OpenContext) -> Page:
    """An empty page of a fresh context."""
    return open_context().new_page()


def log_in(page: Page, dashboard: Dashboard, email: str, path: str = "/", password: str = PASSWORD) -> None:
    """Open ``path`` without a session and log in on the page that follows."""
    page.goto(dashboard.url + path)
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
