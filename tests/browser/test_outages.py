"""What a person sees while a part of AI Ops is away, and how the page recovers by itself."""

import asyncio
import re
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.browser.conftest import PATIENCE_MS, OpenContext, Watch, log_in
from tests.support.dashboard import ANNA, HARBOR, PASSWORD, PLATFORM, Dashboard
from tests.support.interrupted import held
from tests.support.processes import running


@pytest.fixture
def bare_page(chromium: Browser) -> Iterator[Page]:
    """A page nobody watches: outages fill the console."""
    context = chromium.new_context()
    context.set_default_timeout(PATIENCE_MS)
    yield context.new_page()
    context.close()


def test_an_absent_host_is_named_and_its_return_noticed(
    own_dashboard: Dashboard, bare_page: Page, tmp_path: Path
) -> None:
    """While the host is away open pages say so, new ones try again, a login checks nothing; then all go on."""
    page, dashboard = bare_page, own_dashboard
    log_in(page, dashboard, ANNA)
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    assert dashboard.host.stop() == 0
    expect(page.get_by_text("AI Ops is not answering.")).to_be_visible()
    expect(page.get_by_text("Not live")).to_be_visible()
    fresh = page.context.new_page()
    for _ in range(40):
        # Who a person is is remembered for seconds; until then the page opens and says what is wrong itself.
        answer = fresh.goto(dashboard.url + "/deliveries")
        if answer and answer.status == 503:
            break
        fresh.wait_for_timeout(500)
    expect(fresh.get_by_role("heading", name="AI Ops is not answering")).to_be_visible()
    other = page.context.browser.new_context().new_page()  # type: ignore[union-attr]
    log_in(other, dashboard, ANNA, "/login")
    expect(other.get_by_role("alert")).to_contain_text("Your password was not checked")
    port = {"AIOPS_PORT": str(urlsplit(dashboard.api).port)}
    with running("serve", dashboard.host_settings | port, tmp_path / "again.log"):
        ticket = f"BACK-{uuid4().int % 10**6}"
        dashboard.send(HARBOR, ticket)
        expect(page.get_by_role("link", name=ticket)).to_be_visible()
        expect(page.get_by_text("AI Ops is not answering.")).to_have_count(0)
        expect(fresh.get_by_role("link", name=ticket)).to_be_visible()
        other.get_by_label("Password").fill(PASSWORD)
        other.get_by_role("button", name="Log in").click()
        expect(other.get_by_role("link", name=ticket)).to_be_visible()


@contextmanager
def broken_exports(dashboard: Dashboard) -> Iterator[None]:
    """End the database's connection of the export that reads runs while the block goes on."""
    begun, ended = Event(), Event()

    async def hold() -> None:
        async with held(dashboard.urls.superuser, "run", kill=True):
            begun.set()
            await asyncio.to_thread(ended.wait)

    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(asyncio.run, hold())
        begun.wait()
        try:
            yield
        finally:
            ended.set()
            holding.result()


@pytest.mark.promise("export-whole")
def test_an_export_that_breaks_off_is_a_failed_download(own_dashboard: Dashboard, bare_page: Page) -> None:
    """The browser has begun the download and says that it failed; no file is kept, and the next one is whole."""
    log_in(bare_page, own_dashboard, PLATFORM, f"/tenants?open={HARBOR}")
    export = bare_page.get_by_role("link", name="Export")
    with broken_exports(own_dashboard):
        with bare_page.expect_download() as begun:
            export.click()
        assert begun.value.failure() is not None
    with bare_page.expect_download() as begun:
        export.click()
    assert begun.value.failure() is None
    with zipfile.ZipFile(begun.value.path()) as bundle:
        assert bundle.namelist()[-1] == f"{HARBOR}/manifest.json"


def test_an_open_page_survives_a_restart_of_the_dashboard(
    dashboard: Dashboard, bare_page: Page, tmp_path: Path
) -> None:
    """The page says that the connection is lost and loads itself anew, still logged in and at its own address."""
    settings = {"AIOPS_API_URL": dashboard.api, "AIOPS_ADMIN_PORT": "0"}
    with running("admin", settings, tmp_path / "first.log") as first:
        address = urlsplit(first.said["admin_url"])
        log_in(bare_page, replace(dashboard, admin=first), ANNA, "/deliveries?state=done")
        expect(bare_page.get_by_text("Live", exact=True)).to_be_visible()
        assert first.stop() == 0
    expect(bare_page.get_by_text("The connection to the dashboard was lost.")).to_be_visible()
    with running("admin", {**settings, "AIOPS_ADMIN_PORT": str(address.port)}, tmp_path / "second.log"):
        expect(bare_page.get_by_text("The connection to the dashboard was lost.")).to_be_hidden()
        expect(bare_page.get_by_text("Live", exact=True)).to_be_visible()
        expect(bare_page).to_have_url(re.compile("state=done$"))


def test_what_cannot_be_shown_does_not_end_the_list(dashboard: Dashboard, page: Page) -> None:
    """A stored note this dashboard cannot read is said to be one, and new deliveries still appear."""
    broken, later = f"BROKEN-{uuid4().int % 10**6}", f"LATER-{uuid4().int % 10**6}"
    delivery_id = dashboard.send(HARBOR, broken)
    dashboard.add_unreadable_run(HARBOR, delivery_id, broken)
    log_in(page, dashboard, ANNA)
    page.get_by_role("link", name=broken).click()
    expect(page.get_by_text("Something could not be shown.")).to_be_visible()
    page.keyboard.press("Escape")
    dashboard.send(HARBOR, later)
    expect(page.get_by_role("link", name=later)).to_be_visible()
    expect(page.get_by_text("Something could not be shown.")).to_have_count(0)


def test_a_place_in_the_list_that_is_gone_leads_to_its_top(dashboard: Dashboard, page: Page) -> None:
    """An address with a place no list ever gave shows the newest deliveries."""
    ticket = f"TOP-{uuid4().int % 10**6}"
    dashboard.send(HARBOR, ticket)
    log_in(page, dashboard, ANNA, "/deliveries?cursor=nonsense&state=nonsense&delivery=nonsense")
    expect(page.get_by_role("dialog", name="No such delivery")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name=ticket)).to_be_visible()
    expect(page).to_have_url(dashboard.url + "/deliveries")


def test_a_short_loss_of_the_connection_goes_unnoticed(
    dashboard: Dashboard, open_context: OpenContext, watch: Watch
) -> None:
    """A connection that breaks is opened again and the list stays live, filters and all."""
    watch.expected.append("WebSocket")
    context = open_context()
    context.add_init_script(
        "const Native = WebSocket; window.sockets = [];"
        "window.WebSocket = class extends Native { constructor(...a) { super(...a); window.sockets.push(this) } }"
    )
    page = context.new_page()
    before, after = f"BEFORE-{uuid4().int % 10**6}", f"AFTER-{uuid4().int % 10**6}"
    dashboard.send(HARBOR, before)
    log_in(page, dashboard, ANNA)
    expect(page.get_by_role("link", name=before)).to_be_visible()
    page.evaluate("() => { window.mark = 1; window.sockets.forEach(socket => socket.close()) }")
    dashboard.send(HARBOR, after)
    expect(page.get_by_role("link", name=after)).to_be_visible()
    assert page.evaluate("() => window.mark") == 1
