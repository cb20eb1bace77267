"""Runs: the live list, and one of them with its note, its evidence and its steps."""

import re
from uuid import uuid4

from playwright.sync_api import Locator, Page, expect
from tests.browser.conftest import OpenContext, log_in
from tests.support.dashboard import ANNA, BORIS, HARBOR, LINDNER, Dashboard

PAGES = ("deliveries", "runs", "health", "plugins")
NAMELESS = re.compile(r"- (?:button|link|textbox|combobox|dialog|table)(?: \[[^]]*\])*:?\s*$", re.MULTILINE)
EVIDENCE = [
    {
        "source": "ticket",
        "ref": "HRB-871",
        "title": "VPN gateway certificate",
        "text": "Error 5029 at the gateway.",
        "url": "https://jira.example/browse/HRB-871",
        "time": "2026-02-27T16:55:17Z",
        "score": 0.0441,
        "category": "Network",
        "resolution": "Renewed the intermediate.",
    },
    {"source": "article", "ref": "vpn-errors", "title": "What each error means", "text": "5029: expired."},
]
WRITTEN = {
    "ticket": {
        "id": "1",
        "title": "VPN is down",
        "url": "https://jira.example/browse/1",
        "description": "Since eight.",
    },
    "draft": {"sections": [], "evidence": EVIDENCE},
    "enhancement": {"body": [{"type": "heading", "text": "First look", "level": 1}]},
    "model": "gpt-mini",
    "prompt_tokens": 1200,
    "completion_tokens": 300,
    "cost_usd": 0,
}
STEPS = [
    {"name": "gather", "inputs": {"ticket": "one"}, "outputs": {"found": "HRB-871"}},
    {"name": "synthesise", "model": "gpt-mini", "prompt_tokens": 1200, "completion_tokens": 300, "cost_usd": 0},
    {"name": "check", "error": "Two citations point nowhere."},
]


def new_ticket() -> str:
    """Return a ticket's number that no other test uses."""
    return f"T-{uuid4().int % 10**12}"


def row(page: Page, ticket: str) -> Locator:
    """Return the row of a ticket's run."""
    return page.get_by_role("row").filter(has=page.get_by_role("link", name=ticket, exact=True))


def test_runs_are_listed_live_and_filtered(dashboard: Dashboard, page: Page) -> None:
    """A run appears by itself with its outcome in plain words; filters are in the address and outlive a reload."""
    log_in(page, dashboard, ANNA, "/runs")
    expect(page.get_by_role("heading", name="Runs")).to_be_visible()
    posted, failed = new_ticket(), new_ticket()
    dashboard.add_run(HARBOR, posted, effect="confirmed", **WRITTEN)
    dashboard.add_run(HARBOR, failed, state="failed", error="No model answered within 110 s.")
    expect(row(page, posted)).to_contain_text("Note posted")
    expect(row(page, posted)).to_contain_text("VPN is down")
    expect(row(page, posted)).to_contain_text("gpt-mini · 1,500 tokens")
    expect(row(page, posted).get_by_role("link", name=f"Open ticket {posted}")).to_have_attribute(
        "href", "https://jira.example/browse/1"
    )
    expect(row(page, failed)).to_contain_text("No model answered within 110 s.")
    page.get_by_role("combobox", name="Outcome").click()
    page.get_by_role("menuitem", name="Failed").click()
    expect(row(page, posted)).to_have_count(0)
    expect(row(page, failed)).to_be_visible()
    page.get_by_role("textbox", name="Ticket").fill(posted)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Nothing matches")).to_be_visible()
    expect(page).to_have_url(re.compile(rf"/runs\?outcome=failed&ticket={posted}$"))
    page.reload()
    expect(page.get_by_role("heading", name="Nothing matches")).to_be_visible()
    page.get_by_role("button", name="Clear filters").click()
    expect(row(page, posted)).to_be_visible()
    expect(page).to_have_url(dashboard.url + "/runs")


def test_a_run_shows_note_evidence_and_steps(dashboard: Dashboard, page: Page) -> None:
    """Its address opens it, again after a reload: what was written, from what, by whom, at what cost, how long."""
    ticket = new_ticket()
    delivery_id, run_id = dashboard.add_run(HARBOR, ticket, effect="confirmed", steps=STEPS, **WRITTEN)
    log_in(page, dashboard, ANNA, f"/runs?id={run_id}")
    expect(page.get_by_role("heading", name=f"Ticket {ticket}")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="First look")).to_be_visible()
    expect(page.get_by_text("1,200 in, 300 out")).to_be_visible()
    page.get_by_text("What the agent read of the ticket").click()
    expect(page.get_by_text("Since eight.")).to_be_visible()
    found = page.get_by_role("listitem").filter(has_text="VPN gateway certificate")
    expect(found).to_contain_text("27 Feb 2026 · score 0.0441 · Network")
    expect(found.get_by_role("link", name="HRB-871")).to_have_attribute("href", EVIDENCE[0]["url"])
    found.get_by_text("What fixed it").click()
    expect(found.get_by_text("Renewed the intermediate.")).to_be_visible()
    page.get_by_text("Gather evidence").click()
    expect(page.get_by_text('"found": "HRB-871"')).to_be_visible()
    page.get_by_text("Write the draft").click()
    expect(page.get_by_text("gpt-mini · 1,500 tokens")).to_be_visible()
    page.get_by_text("Check every citation").click()
    expect(page.get_by_text("Two citations point nowhere.")).to_be_visible()
    expect(page.get_by_text("840 ms")).to_have_count(3)
    page.get_by_role("link", name="Delivery", exact=True).click()
    sheet = page.get_by_role("dialog", name=f"Ticket {ticket}")
    sheet.get_by_role("link", name="Open the run with its evidence").click()
    expect(page).to_have_url(f"{dashboard.url}/runs?id={run_id}")
    page.get_by_role("link", name="← All runs").click()
    expect(row(page, ticket)).to_be_visible()
    assert str(delivery_id) not in page.url


def test_another_tenants_run_is_not_shown(dashboard: Dashboard, open_context: OpenContext) -> None:
    """Its address answers as one of no run; its own tenant's technician sees it."""
    ticket = new_ticket()
    _, run_id = dashboard.add_run(LINDNER, ticket)
    page = open_context().new_page()
    log_in(page, dashboard, ANNA, f"/runs?id={run_id}")
    expect(page.get_by_role("heading", name="No such run")).to_be_visible()
    assert ticket not in page.content()
    page.goto(f"{dashboard.url}/runs?id={run_id}&tenant={LINDNER}")
    expect(page.get_by_role("heading", name="No such tenant")).to_be_visible()
    assert ticket not in page.content()
    page.goto(f"{dashboard.url}/runs?id=nonsense")
    expect(page.get_by_role("heading", name="No such run")).to_be_visible()
    other = open_context().new_page()
    log_in(other, dashboard, BORIS, f"/runs?id={run_id}")
    expect(other.get_by_role("heading", name=f"Ticket {ticket}")).to_be_visible()


def test_runs_fill_pages_and_an_empty_list_tells_why(dashboard: Dashboard, page: Page) -> None:
    """Before the first run the list points to the deliveries; fifty rows make a page, older ones follow."""
    slug = f"t{uuid4().hex[:10]}"
    dashboard.add_tenant(slug)
    dashboard.add_person(f"{slug}@msp.example", slug)
    log_in(page, dashboard, f"{slug}@msp.example", "/runs")
    expect(page.get_by_role("heading", name="No run yet")).to_be_visible()
    expect(page.get_by_role("link", name="To the deliveries")).to_have_attribute("href", "/deliveries")
    _, run_id = dashboard.add_run(slug, "OLD")
    dashboard.repeat_run(run_id, 50)
    expect(row(page, "OLD-49")).to_be_visible()
    expect(row(page, "OLD-50")).to_have_count(0)
    page.get_by_role("button", name="Older").click()
    expect(row(page, "OLD-50")).to_be_visible()
    page.get_by_role("button", name="Newer").click()
    expect(row(page, "OLD")).to_be_visible()


def test_a_run_of_unknown_shape_says_so(dashboard: Dashboard, page: Page) -> None:
    """What a newer version stored does not take the rest of the page away."""
    unknown = {"enhancement": {"body": [{"type": "hologram"}]}, "draft": {"evidence": [{"form": "wave"}]}}
    _, run_id = dashboard.add_run(HARBOR, new_ticket(), **unknown)
    log_in(page, dashboard, ANNA, f"/runs?id={run_id}")
    expect(page.get_by_text("in a form this dashboard does not know")).to_have_count(2)
    expect(page.get_by_text("Gather evidence")).to_be_visible()


def test_every_page_fits_a_phone_and_names_what_can_be_used(dashboard: Dashboard, open_context: OpenContext) -> None:
    """At 390 pixels nothing scrolls sideways, in dark mode too, and no button, link or field is nameless."""
    _, run_id = dashboard.add_run(HARBOR, new_ticket(), effect="confirmed", steps=STEPS, **WRITTEN)
    page = open_context(is_mobile=True, color_scheme="dark").new_page()
    page.set_viewport_size({"width": 390, "height": 844})
    log_in(page, dashboard, ANNA)
    for name in (*PAGES, f"runs?id={run_id}"):
        page.goto(f"{dashboard.url}/{name}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.locator("[aria-busy]")).to_have_count(0)
        expect(page.locator("body")).to_have_css("background-color", "rgb(15, 21, 34)")
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), name
        seen = page.locator("body").aria_snapshot()
        assert "link" in seen
        assert NAMELESS.findall(seen) == [], name
    links = page.get_by_role("navigation", name="Dashboard").get_by_role("link")
    expect(links).to_have_text(["Deliveries", "Runs", "Connections", "Models", "Health", "Plugins"])
    expect(links.nth(1)).to_have_attribute("aria-current", "page")
