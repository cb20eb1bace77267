"""Health and plugins: figures with their goals, connections and why they stand still, what is installed."""

import re
from uuid import uuid4

from playwright.sync_api import Locator, Page, expect
from tests.browser.conftest import log_in
from tests.support.dashboard import ANNA, BROKEN, HARBOR, PLATFORM, Dashboard


def figure(page: Page, name: str) -> Locator:
    """Return the last card of a figure: the chosen tenant's."""
    return page.get_by_role("article").filter(has=page.get_by_role("heading", name=name, exact=True)).last


def new_tenant(dashboard: Dashboard) -> tuple[str, str]:
    """Make a tenant with a technician; return its slug and the person's address."""
    slug = f"t{uuid4().hex[:10]}"
    dashboard.add_tenant(slug)
    dashboard.add_person(f"{slug}@msp.example", slug)
    return slug, f"{slug}@msp.example"


def test_a_technician_sees_the_tenants_health(dashboard: Dashboard, page: Page) -> None:
    """Figures with their goals, what needs a person, and why a connection stands still; nothing of the installation."""
    slug, email = new_tenant(dashboard)
    dashboard.change(dashboard.send(slug, "A-1"), state="done", action="run")
    dashboard.change(dashboard.send(slug, "A-2"), state="parked", reason="Please look.")
    dashboard.change(dashboard.send(slug, "A-3"), state="quarantined", reason="It cannot be read.")
    dashboard.change_connection(slug, state="paused", state_reason="401: the token is not valid any more.")
    dashboard.beat("w:7")
    log_in(page, dashboard, email, "/health")
    expect(figure(page, "Notes posted")).to_contain_text("33.3 %")
    expect(figure(page, "Notes posted")).to_contain_text("Goal: at least 95 %")
    expect(figure(page, "Notes posted")).to_contain_text("Goal missed")
    expect(figure(page, "Webhook to note")).to_contain_text("Goal: at most 120 s")
    expect(figure(page, "Queue")).to_contain_text("Goal met")
    expect(figure(page, "Active workers")).to_contain_text("Goal: at least 1")
    expect(page.get_by_role("row", name=re.compile("Service desk"))).to_contain_text("401: the token is not valid")
    expect(page.get_by_text("PostgreSQL", exact=True)).to_be_visible()
    for hidden in ("Workers", "Tenants", "Database connections"):
        expect(page.get_by_role("heading", name=hidden, exact=True)).to_have_count(0)
    expect(page.get_by_role("button", name="Resume")).to_have_count(0)
    counted = page.get_by_role("table", name="Connections to ticketing tools by name")
    expect(counted.get_by_role("columnheader").last).to_have_text("Needs a person")
    expect(counted.get_by_role("cell").last).to_have_text("2")
    expect(page.get_by_text("2 deliveries need a person")).to_be_visible()
    page.get_by_role("link", name="needs a person").click()
    expect(page.get_by_role("link", name="A-2", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="A-1", exact=True)).to_have_count(0)


def test_the_operator_sees_the_installation_and_resumes_a_connection(dashboard: Dashboard, page: Page) -> None:
    """All five figures, workers and tenants; a paused connection goes on at a click, and the page follows."""
    slug, _ = new_tenant(dashboard)
    dashboard.change_connection(slug, state="paused", state_reason="401: the token is not valid any more.")
    dashboard.beat("w:8")
    log_in(page, dashboard, PLATFORM, f"/health?tenant={slug}")
    expect(page.get_by_role("row", name=re.compile("w:8"))).to_contain_text("Alive")
    expect(figure(page, "Database connections")).to_contain_text("Goal: below 80 %")
    expect(page.get_by_role("heading", name=re.compile("^All tenants"))).to_be_visible()
    connection = page.get_by_role("row", name=re.compile("Service desk"))
    expect(connection).to_contain_text("Paused")
    page.get_by_role("button", name="Resume Service desk").click()
    expect(connection).to_contain_text("Not tried yet")
    dashboard.add_run(slug, "A-1", effect="confirmed")
    expect(connection).to_contain_text("Works")
    page.get_by_role("link", name="Harbor IT", exact=True).click()
    expect(page).to_have_url(f"{dashboard.url}/health?tenant={HARBOR}")
    expect(page.get_by_role("heading", name=re.compile("^Harbor IT"))).to_be_visible()


def test_plugins_tell_what_they_contribute_or_why_they_fail(dashboard: Dashboard, page: Page) -> None:
    """Name, distribution, version and contributions of each; one that fails shows its error as text."""
    log_in(page, dashboard, ANNA, "/plugins")
    jira = page.get_by_role("row", name=re.compile("aiops-jira"))
    expect(jira).to_contain_text(re.compile(r"\d+\.\d+\.\d+.*Loaded.*Ticketing tool", re.DOTALL))
    broken = page.get_by_role("row", name=re.compile("brittle"))
    expect(broken).to_contain_text("2.5")
    expect(broken).to_contain_text("Failed")
    expect(broken).to_contain_text(BROKEN)
    expect(page.get_by_text("brittle did not load. Mend or uninstall it")).to_be_visible()
    assert not page.evaluate("() => document.documentElement.dataset.ran")
