"""The onboarding page's way through the dashboard, from an empty installation to the first note."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from tests.browser.conftest import PATIENCE_MS, Watch, log_in
from tests.support.dashboard import PLATFORM, Dashboard
from tests.support.installation import ACCOUNT
from tests.support.journey import PAGE, TENANT, TITLE, TOLD_RIGHT, TOLD_WRONG, WORDS, WRONG_KEY, Journey, journey

PAT, PASSWORD = "pat@acme.example", "a fresh horse battery"
NAMED = re.compile(r"(?<!\*)\*([^*\n]+)\*(?!\*)")


@pytest.fixture
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journey]:
    """An installation nobody has used yet, which may ask the model's server."""
    with journey(tmp_path_factory.mktemp("empty")) as begun:
        begun.list_the_model()
        yield begun


@pytest.fixture
def walk(newcomer: Journey, chromium: Browser) -> Iterator[Walk]:
    """A browser; whatever goes wrong on one of its pages fails the test."""
    watch = Watch(newcomer.installation.state["admin_url"])
    walking = Walk(chromium, watch)
    yield walking
    walking.close()
    assert watch.unexpected() == []


class Walk:
    """People at the dashboard, who find everything by its name. ``names`` are those used, in their order."""

    def __init__(self, chromium: Browser, watch: Watch) -> None:
        """Take the browser, and who looks for what goes wrong."""
        self._chromium, self._watch = chromium, watch
        self._contexts: list[Page] = []
        self.names: dict[str, None] = {}

    def comes(self, address: str) -> Page:
        """Open an address as somebody who has not been here."""
        context = self._chromium.new_context(locale="en-GB", viewport={"width": 1280, "height": 800})
        context.set_default_timeout(PATIENCE_MS)
        context.on("page", self._watch.on)
        page = context.new_page()
        self._contexts.append(page)
        page.goto(address)
        return page

    def press(self, place: Page | Locator, name: str) -> None:
        """Press a button or follow a link."""
        self._called(place, name).click()

    def enter(self, place: Page | Locator, **fields: str) -> None:
        """Fill in fields; underscores in their names are blanks. A choice is made by its name."""
        for name, value in fields.items():
            label = name.replace("_", " ")
            self.names[label] = None
            field = place.get_by_label(re.compile(rf"^{re.escape(label)}( \(needed\))?$"))
            if field.evaluate("field => field.tagName") == "SELECT":
                field.select_option(label=value)
            else:
                field.fill(value)

    def copied(self, place: Page | Locator, name: str) -> str:
        """Return what a button copies."""
        return str(self._called(place, name).get_attribute("data-copy"))

    def sees(self, place: Page | Locator, name: str) -> None:
        """Wait until a state is shown."""
        self.names[name] = None
        expect(place.get_by_text(name, exact=True)).to_be_visible()

    def close(self) -> None:
        """Close every page."""
        for page in self._contexts:
            page.context.close()

    def _called(self, place: Page | Locator, name: str) -> Locator:
        self.names[name] = None
        button = place.get_by_role("button", name=name, exact=True)
        return button.or_(place.get_by_role("link", name=name, exact=True))


@pytest.mark.promise("onboarding-as-written")
@pytest.mark.promise("own-key")
@pytest.mark.promise("key-tried")
def test_from_nothing_to_the_first_note(newcomer: Journey, walk: Walk) -> None:
    """Tenant, administrator, wrong key, right key, connection, note: by the names and in the order the page has them."""
    link = invited(newcomer, walk)
    page = accepted(newcomer, walk, link)
    key_is_entered(newcomer, walk, page)
    made = connected(newcomer, walk, page)
    with newcomer.desk(made) as desk:
        walk.press(page, "Deliveries")
        expect(page.get_by_role("heading", name="Deliveries")).to_be_visible()
        ticket_id = newcomer.first_note(desk)
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name=ticket_id, exact=True))
    walk.sees(row, "Note posted")
    row.get_by_role("link", name=ticket_id, exact=True).click()
    sheet = page.get_by_role("dialog", name=f"Ticket {ticket_id}")
    expect(sheet.get_by_text(TITLE).first).to_be_visible()
    expect(sheet.locator("article.note")).to_contain_text(WORDS)
    assert list(walk.names) == list(dict.fromkeys(NAMED.findall(PAGE["In the dashboard"])))


def invited(newcomer: Journey, walk: Walk) -> str:
    """Log in as the first platform administrator, create the tenant, invite its administrator; return the link."""
    email, password = newcomer.installation.state["login"]
    page = walk.comes(newcomer.installation.state["admin_url"])
    walk.enter(page, Email=email, Password=password)
    walk.press(page, "Log in")
    expect(page.get_by_text("create the first one")).to_be_visible()
    walk.press(page, "Tenants")
    expect(page.get_by_role("heading", name="No tenant yet")).to_be_visible()
    walk.press(page, "Create a tenant …")
    walk.enter(page, Name="Acme Dental", Slug=TENANT)
    walk.press(page, "Create")
    walk.press(page.get_by_role("dialog", name="Acme Dental"), "People")
    walk.press(page, "Invite somebody …")
    walk.enter(page, Email=PAT, Role="Tenant administrator")
    walk.press(page, "Invite")
    return walk.copied(page.get_by_role("dialog", name="Hand on the link"), "Copy link")


def accepted(newcomer: Journey, walk: Walk, link: str) -> Page:
    """Follow the link as the tenant's administrator, choose a password and log in; return the page that follows."""
    assert urlsplit(link).netloc == urlsplit(newcomer.installation.state["admin_url"]).netloc
    page = walk.comes(link)
    expect(page.get_by_text("To Acme Dental, as Tenant administrator")).to_be_visible()
    walk.enter(page, Password=PASSWORD)
    walk.press(page, "Accept")
    expect(page.get_by_role("heading", name="Welcome")).to_be_visible()
    page.get_by_role("link", name="Log in").click()
    walk.enter(page, Email=PAT, Password=PASSWORD)
    walk.press(page, "Log in")
    expect(page.get_by_text("Tenant administrator")).to_be_visible()
    expect(page.get_by_role("link", name="Tenants")).to_have_count(0)
    return page


def key_is_entered(newcomer: Journey, walk: Walk, page: Page) -> None:
    """Enter a wrong key, which is refused and not stored, then the tenant's own."""
    walk.press(page, "Models")
    row = page.get_by_role("row").filter(has=page.get_by_text("Our own models", exact=True))
    asked = page.get_by_role("dialog", name="Key for Our own models")
    for key, told, state in ((WRONG_KEY, TOLD_WRONG, "Refused"), (newcomer.key, TOLD_RIGHT, "In use")):
        walk.press(row, "Enter key …")
        walk.enter(asked, API_key=key, Models="llama-3.3-70b")
        walk.press(asked, "Test and save")
        expect(asked).to_have_count(0)
        expect(row.get_by_text(told)).to_be_visible()
        walk.sees(row, state)
        assert key not in page.content()
        if key == WRONG_KEY:
            newcomer.assert_refused(row.inner_text())
    assert newcomer.secrets_kept() == 1


def connected(newcomer: Journey, walk: Walk, page: Page) -> dict[str, Any]:
    """Connect Jira by its form and test it; return what the ticketing tool has to be told, which is shown once."""
    walk.press(page, "Connections")
    walk.press(page, "Connect a ticketing tool …")
    walk.enter(page, Ticketing_tool="Jira")
    walk.press(page, "Next")
    walk.enter(page, Address=newcomer.jira, Email=ACCOUNT, API_token=newcomer.jira_token)
    walk.press(page, "Connect")
    shown = page.get_by_role("dialog", name="Connected")
    expect(shown.get_by_text("The secret is shown this once.")).to_be_visible()
    made: dict[str, Any] = {
        "webhook_url": walk.copied(shown, "Copy address"),
        "webhook_secret": walk.copied(shown, "Copy secret"),
        "headers": {},
    }
    walk.press(page, "Test connection")
    expect(page.get_by_text(f"Connected to {newcomer.jira} as ")).to_be_visible()
    page.reload()
    expect(page.get_by_role("dialog", name="Jira").get_by_text(made["webhook_url"])).to_be_visible()
    assert made["webhook_secret"] not in page.content()
    page.get_by_role("button", name="Close").click()
    return made


def test_a_new_tenant_is_known_at_once(dashboard: Dashboard, page: Page) -> None:
    """Whoever creates a tenant and goes on from its sheet finds it, though the dashboard knew them a moment before."""
    slug = f"t{uuid4().hex[:8]}"
    log_in(page, dashboard, PLATFORM, "/tenants")
    page.get_by_role("button", name="Create a tenant …").click()
    page.get_by_label("Name (needed)").fill("Quick Dental")
    page.get_by_label("Slug (needed)").fill(slug)
    page.get_by_role("button", name="Create", exact=True).click()
    page.get_by_role("dialog", name="Quick Dental").get_by_role("link", name="People", exact=True).click()
    expect(page.get_by_text("Nobody yet")).to_be_visible()
