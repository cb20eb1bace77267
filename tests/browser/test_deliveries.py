"""The live list and the detail of one delivery, as a technician sees them."""

import re
from uuid import uuid4

from playwright.sync_api import Locator, Page, expect
from tests.browser.conftest import OpenContext, log_in
from tests.support.dashboard import ANNA, BORIS, HARBOR, LINDNER, PLATFORM, Dashboard

from aiops_core.tickets import Code, Enhancement, Heading, Link, ListBlock, Paragraph

NOTE = Enhancement(
    body=(
        Heading("First look", 1),
        Paragraph("The gateway's certificate has expired [1]."),
        ListBlock((Link("HRB-871", "https://jira.example/browse/HRB-871"), "Renew the intermediate")),
        Code("error=-5029"),
    )
)


REMEMBERED = """async (cookie) => {
  for (let tries = 0; tries < 200 && !document.cookie.includes(cookie); tries++) {
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  return document.cookie.includes(cookie)
}"""


def new_ticket() -> str:
    """Return a ticket's number that no other test uses."""
    return f"T-{uuid4().int % 10**12}"


def row(page: Page, ticket: str) -> Locator:
    """Return the row of a ticket."""
    return page.get_by_role("row").filter(has=page.get_by_role("link", name=ticket, exact=True))


def opened(page: Page, dashboard: Dashboard, email: str = ANNA) -> None:
    """Log in and wait for the list."""
    log_in(page, dashboard, email)
    expect(page.get_by_role("heading", name="Deliveries")).to_be_visible()


def choose(page: Page, field: str, name: str) -> None:
    """Choose from a drop-down list."""
    page.get_by_role("combobox", name=field).click()
    page.get_by_role("menuitem", name=name).click()


def test_a_delivery_appears_by_itself(dashboard: Dashboard, page: Page) -> None:
    """A webhook that arrives while the page is open shows up, and so does what becomes of it."""
    opened(page, dashboard)
    ticket = new_ticket()
    delivery_id = dashboard.send(HARBOR, ticket)
    expect(row(page, ticket)).to_contain_text("Waiting")
    expect(row(page, ticket)).to_contain_text("New ticket")
    expect(row(page, ticket)).to_contain_text("Service desk")
    dashboard.change(delivery_id, state="dead", reason="The ticket does not exist.", attempt=3)
    expect(row(page, ticket)).to_contain_text("Given up")
    expect(row(page, ticket)).to_contain_text("The ticket does not exist.")


def test_another_tenants_delivery_is_not_shown(dashboard: Dashboard, open_context: OpenContext) -> None:
    """Neither in the list nor by its address; the same delivery is there for its own tenant."""
    theirs, ours = new_ticket(), new_ticket()
    delivery_id = dashboard.send(LINDNER, theirs)
    dashboard.send(HARBOR, ours)
    page = open_context().new_page()
    opened(page, dashboard)
    expect(row(page, ours)).to_be_visible()
    expect(row(page, theirs)).to_have_count(0)
    page.goto(f"{dashboard.url}/deliveries?delivery={delivery_id}")
    expect(page.get_by_role("dialog", name="No such delivery")).to_be_visible()
    assert theirs not in page.content()
    page.goto(f"{dashboard.url}/deliveries?delivery={delivery_id}&tenant={LINDNER}")
    expect(page.get_by_role("heading", name="No such tenant")).to_be_visible()
    assert theirs not in page.content()
    other = open_context().new_page()
    log_in(other, dashboard, BORIS, f"/deliveries?delivery={delivery_id}")
    expect(other.get_by_role("dialog", name=f"Ticket {theirs}")).to_be_visible()


def test_a_platform_administrator_switches_tenants(dashboard: Dashboard, page: Page) -> None:
    """The chosen tenant's deliveries are shown, the others' are gone, and a reload keeps the choice."""
    harbor, lindner = new_ticket(), new_ticket()
    dashboard.send(HARBOR, harbor)
    dashboard.send(LINDNER, lindner)
    opened(page, dashboard, PLATFORM)
    expect(row(page, harbor)).to_be_visible()
    choose(page, "Tenant", "Lindner Maschinenbau")
    expect(row(page, lindner)).to_be_visible()
    expect(row(page, harbor)).to_have_count(0)
    expect(page).to_have_url(re.compile(rf"tenant={LINDNER}$"))
    page.reload()
    expect(row(page, lindner)).to_be_visible()
    expect(row(page, harbor)).to_have_count(0)


def test_an_address_of_no_tenant_shows_nobodys_data(dashboard: Dashboard, page: Page) -> None:
    """Deliveries, runs and health say that there is no such tenant, and the address stays until one is chosen."""
    ticket = new_ticket()
    delivery_id, run_id = dashboard.add_run(HARBOR, ticket)
    log_in(page, dashboard, PLATFORM, "/health?tenant=nope")
    for path in (None, f"/runs?tenant=nope&id={run_id}", f"/deliveries?tenant=nope&delivery={delivery_id}"):
        if path:
            page.goto(dashboard.url + path)
        expect(page.get_by_role("heading", name="No such tenant")).to_be_visible()
        expect(page.get_by_text("You have no tenant “nope”")).to_be_visible()
        expect(page).to_have_url(re.compile(r"\?tenant=nope"))
        expect(page.get_by_role("combobox", name="Tenant")).not_to_contain_text(re.compile("Harbor|Lindner", re.I))
        for shown in (ticket, "Service desk"):
            expect(page.get_by_text(shown)).to_have_count(0)
    choose(page, "Tenant", "Harbor IT")
    expect(row(page, ticket)).to_be_visible()
    expect(page).to_have_url(f"{dashboard.url}/deliveries?tenant={HARBOR}")


def test_going_back_returns_to_the_tenant_before(dashboard: Dashboard, page: Page) -> None:
    """The browser's back button restores tenant and filter, and shows nothing of the tenant it left."""
    (first, _), (second, _) = add_tenant(dashboard), add_tenant(dashboard)
    log_in(page, dashboard, PLATFORM, f"/deliveries?tenant={first}")
    address = dashboard.api + dashboard.connections[first].webhook_url
    expect(page.get_by_text(address)).to_be_visible()
    choose(page, "Tenant", second.title())
    expect(page.get_by_text(dashboard.api + dashboard.connections[second].webhook_url)).to_be_visible()
    page.go_back()
    expect(page.get_by_text(address)).to_be_visible()
    expect(page.get_by_role("combobox", name="Tenant")).to_contain_text(first.title())


def test_who_has_one_tenant_chooses_none(dashboard: Dashboard, page: Page) -> None:
    """A technician of one tenant sees no choice of tenants."""
    opened(page, dashboard)
    expect(page.get_by_role("combobox", name="State")).to_be_visible()
    expect(page.get_by_role("combobox", name="Tenant")).to_have_count(0)


def test_the_list_is_filtered_by_state_and_ticket(dashboard: Dashboard, page: Page) -> None:
    """Filters are in the address, an empty result says so, and one button clears them."""
    parked, waiting = new_ticket(), new_ticket()
    dashboard.change(dashboard.send(HARBOR, parked), state="parked", reason="Please look.")
    dashboard.send(HARBOR, waiting)
    opened(page, dashboard)
    choose(page, "State", "Needs a person")
    expect(row(page, waiting)).to_have_count(0)
    expect(row(page, parked)).to_be_visible()
    page.get_by_role("textbox", name="Ticket").fill(waiting)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Nothing matches")).to_be_visible()
    expect(page).to_have_url(re.compile(f"state=parked&ticket={waiting}"))
    page.reload()
    expect(page.get_by_role("heading", name="Nothing matches")).to_be_visible()
    page.get_by_role("button", name="Clear filters").click()
    expect(row(page, waiting)).to_be_visible()
    expect(page).to_have_url(dashboard.url + "/deliveries")


def add_tenant(dashboard: Dashboard, *, connected: bool = True) -> tuple[str, str]:
    """Make a tenant and its technician; return its slug and the person's address."""
    slug = f"t{uuid4().hex[:10]}"
    dashboard.add_tenant(slug, connected=connected)
    dashboard.add_person(f"{slug}@msp.example", slug)
    return slug, f"{slug}@msp.example"


def test_an_empty_list_tells_where_webhooks_go(dashboard: Dashboard, page: Page) -> None:
    """Before the first webhook the list gives the address to enter; afterwards it shows the delivery."""
    slug, email = add_tenant(dashboard)
    opened(page, dashboard, email)
    expect(page.get_by_role("heading", name="Waiting for the first webhook")).to_be_visible()
    expect(page.get_by_text(dashboard.api + dashboard.connections[slug].webhook_url)).to_be_visible()
    dashboard.send(slug, "FIRST-1")
    expect(row(page, "FIRST-1")).to_be_visible()


def test_a_tenant_without_connection_is_told_how_to_get_one(dashboard: Dashboard, page: Page) -> None:
    """Its administrator is led to the page that makes one, a technician told who does; neither needs a shell."""
    slug, email = add_tenant(dashboard, connected=False)
    opened(page, dashboard, email)
    expect(page.get_by_role("heading", name="No connection yet")).to_be_visible()
    expect(page.get_by_text("Its administrator makes one on the page Connections.")).to_be_visible()
    expect(page.get_by_role("link", name="Connect a ticketing tool")).to_have_count(0)
    page.get_by_role("button", name="Log out").click()
    admin = f"a{slug}@msp.example"
    dashboard.add_person(admin, slug, "tenant-admin")
    opened(page, dashboard, admin)
    page.get_by_role("link", name="Connect a ticketing tool").click()
    expect(page.get_by_role("button", name="Connect a ticketing tool …")).to_be_visible()


def test_older_deliveries_are_a_page_away(dashboard: Dashboard, page: Page) -> None:
    """Fifty rows make a page; older ones follow, the browser's back button returns, and so does Newer."""
    slug, email = add_tenant(dashboard)
    for number in range(1, 52):
        dashboard.send(slug, f"OLD-{number}")
    opened(page, dashboard, email)
    expect(row(page, "OLD-51")).to_be_visible()
    expect(row(page, "OLD-1")).to_have_count(0)
    page.get_by_role("button", name="Older").click()
    expect(row(page, "OLD-1")).to_be_visible()
    page.go_back()
    expect(row(page, "OLD-51")).to_be_visible()
    page.get_by_role("button", name="Older").click()
    expect(row(page, "OLD-1")).to_be_visible()
    page.get_by_role("button", name="Newer").click()
    expect(row(page, "OLD-51")).to_be_visible()
    expect(row(page, "OLD-1")).to_have_count(0)


def test_the_detail_shows_note_steps_and_webhook(dashboard: Dashboard, page: Page) -> None:
    """A row opens the note as the ticket has it, the steps with what they found, and where the webhook came from."""
    ticket = new_ticket()
    delivery_id = dashboard.send(HARBOR, ticket)
    dashboard.change(delivery_id, state="done", action="run", attempt=1)
    dashboard.add_note(HARBOR, delivery_id, ticket, NOTE, step={"found": ["HRB-871"]})
    opened(page, dashboard)
    expect(row(page, ticket)).to_contain_text("Note posted")
    expect(row(page, ticket)).to_contain_text("VPN is down")
    expect(row(page, ticket).get_by_role("link", name="Open the note")).to_have_attribute(
        "href", f"https://jira.example/browse/{ticket}"
    )
    page.get_by_role("link", name=ticket, exact=True).click()
    sheet = page.get_by_role("dialog", name=f"Ticket {ticket}")
    expect(sheet.get_by_role("heading", name="First look")).to_be_visible()
    expect(sheet.get_by_role("link", name="HRB-871")).to_have_attribute("href", "https://jira.example/browse/HRB-871")
    expect(sheet.get_by_text("error=-5029")).to_be_visible()
    sheet.get_by_text("Gather evidence").click()
    expect(sheet.get_by_text('"found"')).to_be_visible()
    expect(sheet.get_by_text("a signature over the body")).to_be_visible()
    page.keyboard.press("Escape")
    expect(sheet).to_have_count(0)
    expect(page.get_by_role("link", name=ticket, exact=True)).to_be_focused()
    expect(page).to_have_url(dashboard.url + "/deliveries")


def test_an_open_detail_follows_the_work(dashboard: Dashboard, page: Page) -> None:
    """What happens while the detail is open is shown in it, and an opened step stays open."""
    ticket = new_ticket()
    delivery_id = dashboard.send(HARBOR, ticket)
    log_in(page, dashboard, ANNA, f"/deliveries?delivery={delivery_id}")
    sheet = page.get_by_role("dialog", name=f"Ticket {ticket}")
    expect(sheet.get_by_text("It waits for its turn.")).to_be_visible()
    dashboard.add_note(HARBOR, delivery_id, ticket, NOTE)
    expect(sheet.get_by_role("heading", name="First look")).to_be_visible()
    sheet.get_by_text("Gather evidence").click()
    expect(sheet.get_by_text('"query"')).to_be_visible()
    dashboard.change(delivery_id, state="done", action="run")
    expect(sheet.get_by_text("The note is on the ticket.")).to_be_visible()
    expect(sheet.get_by_text('"query"')).to_be_visible()


def test_a_narrow_screen_needs_no_sideways_scrolling(dashboard: Dashboard, open_context: OpenContext) -> None:
    """At 390 pixels the list and the detail fit, and the reason is readable."""
    ticket = new_ticket()
    delivery_id = dashboard.send(HARBOR, ticket)
    dashboard.change(delivery_id, state="quarantined", reason="The body cannot be read: invalid JSON at byte 211.")
    page = open_context(is_mobile=True).new_page()
    page.set_viewport_size({"width": 390, "height": 844})
    opened(page, dashboard)
    expect(row(page, ticket)).to_contain_text("invalid JSON")
    fits = "() => document.documentElement.scrollWidth <= innerWidth"
    assert page.evaluate(fits)
    page.get_by_role("link", name=ticket, exact=True).click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert page.evaluate(fits)


def test_the_theme_is_remembered(dashboard: Dashboard, open_context: OpenContext) -> None:
    """The system's dark mode is followed until the person chooses, and the choice outlives a reload."""
    page = open_context(color_scheme="dark").new_page()
    body = page.locator("body")
    dark, light = "rgb(15, 21, 34)", "rgb(244, 246, 251)"
    opened(page, dashboard)
    expect(body).to_have_css("background-color", dark)
    page.get_by_role("button", name="Toggle theme").click()
    expect(body).to_have_css("background-color", light)
    assert page.evaluate(REMEMBERED, "aiops_theme=light")
    page.reload()
    expect(page.get_by_role("heading", name="Deliveries")).to_be_visible()
    expect(body).to_have_css("background-color", light)
