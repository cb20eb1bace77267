"""Connections and tenants looked after in the dashboard."""

import io
import json
import re
import zipfile
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect
from tests.browser.conftest import Watch, log_in
from tests.support.dashboard import ANNA, HARBOR, PLATFORM, Dashboard

SECRET = "canary-token-of-the-form"


@pytest.fixture
def admin(dashboard: Dashboard) -> str:
    """A tenant administrator of a tenant of their own."""
    email = f"a{uuid4().hex[:10]}@msp.example"
    dashboard.add_person(email, HARBOR, "tenant-admin")
    return email


def connect(page: Page, name: str) -> str:
    """Fill in the form of a Jira connection; return the webhook secret it showed."""
    page.get_by_role("button", name="Connect a ticketing tool …").click()
    page.get_by_label("Ticketing tool", exact=True).select_option("jira")
    page.get_by_role("button", name="Next").click()
    page.get_by_label("Name (needed)").fill(name)
    page.get_by_label("Address (needed)").fill("https://jira.example")
    page.get_by_label("Email").fill("bot@msp.example")
    page.get_by_label("API token").fill(SECRET)
    page.get_by_role("button", name="Connect", exact=True).click()
    shown = page.get_by_role("dialog", name="Connected")
    expect(shown.get_by_text("The secret is shown this once.")).to_be_visible()
    return str(shown.get_by_role("button", name="Copy secret").get_attribute("data-copy"))


def test_a_ticketing_tool_is_connected_by_its_form(dashboard: Dashboard, page: Page, admin: str) -> None:
    """The form is the tool's schema, a wrong field is named beside it, and the secret is shown once and never again."""
    name = f"Desk {uuid4().hex[:6]}"
    log_in(page, dashboard, admin, "/connections")
    page.get_by_role("button", name="Connect a ticketing tool …").click()
    page.get_by_label("Ticketing tool", exact=True).select_option("jira")
    page.get_by_role("button", name="Next").click()
    page.get_by_label("Name (needed)").fill(name)
    page.get_by_label("Address (needed)").fill("jira.example")
    page.get_by_role("button", name="Connect", exact=True).click()
    wrong = page.get_by_role("dialog", name="Connect Jira").get_by_role("alert")
    expect(wrong.last).to_contain_text("Must begin with http:// or https://")
    expect(wrong.first).to_contain_text("Address: must begin with http:// or https://")
    page.get_by_role("button", name="Cancel").click()
    secret = connect(page, name)
    assert len(secret) >= 40
    setup = page.get_by_role("dialog", name="Connected").get_by_text("Create a WebHook")
    assert setup.evaluate("node => node.scrollHeight <= node.clientHeight"), "the setup text scrolls by itself"
    page.get_by_role("button", name="Done").click()
    page.get_by_role("button", name=name).click()
    sheet = page.get_by_role("dialog", name=name)
    expect(sheet.get_by_text("This endpoint refused nothing so far.")).to_be_visible()
    expect(sheet.get_by_text("bot@msp.example")).to_have_count(0)
    expect(sheet.get_by_text("api_token")).to_be_visible()
    page.reload()
    expect(sheet.get_by_text("/webhooks/jira/")).to_be_visible()
    expect(page.get_by_text(secret)).to_have_count(0)
    expect(page.get_by_text(SECRET)).to_have_count(0)


def test_a_connection_is_looked_after(dashboard: Dashboard, page: Page, admin: str) -> None:
    """Paused and resumed, its secret made anew with an overlap, its networks set, and deleted by who types its name."""
    name = f"Desk {uuid4().hex[:6]}"
    log_in(page, dashboard, admin, "/connections")
    first = connect(page, name)
    page.get_by_role("button", name="Done").click()
    page.get_by_role("button", name=name).click()
    sheet = page.get_by_role("dialog", name=name)
    sheet.get_by_role("button", name="Pause").click()
    expect(sheet.get_by_text("Webhooks are kept and wait until it is resumed.")).to_be_visible()
    sheet.get_by_role("button", name="Resume").click()
    expect(sheet.get_by_text("Active", exact=True)).to_be_visible()

    sheet.get_by_role("button", name="New secret …").click()
    page.get_by_label("The secrets before stay valid").select_option("for a day")
    page.get_by_role("button", name="Make it").click()
    made = page.get_by_role("dialog", name="The new webhook secret")
    assert made.get_by_role("button", name="Copy secret").get_attribute("data-copy") != first
    made.get_by_role("button", name="Done").click()
    expect(sheet.get_by_text("2 (newest)")).to_be_visible()
    sheet.get_by_role("button", name="Refuse replaced secrets now").click()
    expect(sheet.get_by_role("button", name="Refuse replaced secrets now")).to_have_count(0)

    sheet.get_by_role("button", name="Networks …").click()
    asked = page.get_by_role("dialog", name="Who may post?")
    asked.get_by_label("Networks that may post").fill("192.0.2.0/24\nexample.com")
    asked.get_by_role("button", name="Save").click()
    expect(asked.get_by_role("alert")).to_contain_text("example.com")
    asked.get_by_label("Networks that may post").fill("192.0.2.0/24\n2001:db8::/32")
    asked.get_by_role("button", name="Save").click()
    expect(sheet.get_by_text("192.0.2.0/24, 2001:db8::/32")).to_be_visible()

    sheet.get_by_role("button", name="Change …").click()
    changing = page.get_by_role("dialog", name=f"Change {name}")
    changing.get_by_label("Address (needed)").fill("https://elsewhere.example")
    changing.get_by_role("button", name="Save").click()
    expect(changing.get_by_role("alert").first).to_contain_text("API token: give it again")
    changing.get_by_label("API token").fill("another token")
    changing.get_by_role("button", name="Save").click()
    expect(changing).to_have_count(0)
    expect(sheet.get_by_text("https://elsewhere.example")).to_be_visible()

    sheet.get_by_role("button", name="Delete …").click()
    page.get_by_label(f"Type {name}").fill("something else")
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("cannot be undone")
    page.get_by_label(f"Type {name}").fill(name)
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_role("button", name=name)).to_have_count(0)


def test_a_test_is_asked_for_and_its_answer_appears(dashboard: Dashboard, page: Page, admin: str) -> None:
    """The page says that a worker tests, then what it found, in the worker's own words."""
    name = f"Desk {uuid4().hex[:6]}"
    log_in(page, dashboard, admin, "/connections")
    connect(page, name)
    page.get_by_role("button", name="Test connection").click()
    sheet = page.get_by_role("dialog", name=name)
    expect(sheet.get_by_text("A worker is testing the connection …")).to_be_visible()
    dashboard.answer_probes(ok=False, result="jira.example is a name that DNS does not know here.")
    said = sheet.get_by_text("jira.example is a name that DNS does not know here.")
    expect(said).to_be_visible()
    page.reload()
    expect(said).to_be_visible()
    sheet.get_by_role("button", name="Change …").click()
    page.get_by_label("Email").fill("bot@msp.example")
    page.get_by_label("API token").fill("another token")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("dialog", name=f"Change {name}")).to_have_count(0)
    expect(said).to_have_count(0)
    expect(sheet.get_by_text("A worker is testing the connection …")).to_be_visible()
    dashboard.answer_probes(ok=True, result="Connected to https://jira.example as bot@msp.example.")
    expect(sheet.get_by_text("Connected to https://jira.example as bot@msp.example.")).to_be_visible()


def test_refusals_are_explained_on_the_page(dashboard: Dashboard, page: Page, admin: str, watch: Watch) -> None:
    """A webhook signed with a wrong secret is there with its check, its headers' names and what to change."""
    name = f"Desk {uuid4().hex[:6]}"
    log_in(page, dashboard, admin, "/connections")
    connect(page, name)
    shown = page.get_by_role("dialog", name="Connected")
    url = str(shown.get_by_role("button", name="Copy address").get_attribute("data-copy"))
    page.get_by_role("button", name="Done").click()
    assert dashboard.post_forged(url) == 401
    page.get_by_role("button", name=name).click()
    sheet = page.get_by_role("dialog", name=name)
    expect(sheet.get_by_text("matches no live secret of this endpoint")).to_be_visible()
    expect(sheet.get_by_text("Enter the newest secret at the ticketing tool").first).to_be_visible()
    expect(sheet.get_by_text("x-hub-signature", exact=False).first).to_be_visible()
    assert watch.unexpected() == []


def test_who_may_not_manage_is_offered_nothing(dashboard: Dashboard, page: Page) -> None:
    """A technician reads connections without a button that changes one, and sees no page of tenants."""
    log_in(page, dashboard, ANNA, "/connections")
    page.get_by_role("button", name="Service desk").first.click()
    sheet = page.get_by_role("dialog", name="Service desk")
    expect(sheet.get_by_text("/webhooks/jira/")).to_be_visible()
    expect(sheet.get_by_role("button", name="Pause")).to_have_count(0)
    expect(page.get_by_role("button", name="Connect a ticketing tool …")).to_have_count(0)
    expect(page.get_by_role("link", name="Tenants")).to_have_count(0)
    page.goto(f"{dashboard.url}/tenants")
    expect(page.get_by_text("Not for your role")).to_be_visible()


def test_a_tenant_lives_and_ends_in_the_dashboard(dashboard: Dashboard, page: Page) -> None:
    """Created, changed, suspended, resumed, exported and deleted by who types its slug."""
    slug = f"t{uuid4().hex[:8]}"
    log_in(page, dashboard, PLATFORM, "/tenants")
    page.get_by_role("button", name="Create a tenant …").click()
    asked = page.get_by_role("dialog", name="Create a tenant")
    asked.get_by_label("Name (needed)").fill("Quayside Dental")
    asked.get_by_label("Slug (needed)").fill("Not A Slug")
    asked.get_by_role("button", name="Create").click()
    expect(asked.get_by_role("alert")).to_contain_text("must be 2 to 63 of a-z")
    asked.get_by_label("Slug (needed)").fill(slug)
    asked.get_by_role("button", name="Create").click()
    sheet = page.get_by_role("dialog", name="Quayside Dental")
    sheet.get_by_role("button", name="Change …").click()
    changed = page.get_by_role("dialog", name="Change Quayside Dental")
    changed.get_by_label("Name").fill("")
    changed.get_by_role("button", name="Save").click()
    expect(changed.get_by_role("alert").first).to_have_text("Name: must not be empty.")
    expect(changed.get_by_label("Name")).to_have_attribute("aria-invalid", "true")
    changed.get_by_label("Name").fill("Quayside Dental")
    page.get_by_label("Contact").fill("sam@quayside.example")
    page.get_by_role("button", name="Save").click()
    expect(sheet.get_by_text("sam@quayside.example")).to_be_visible()
    sheet.get_by_role("button", name="Suspend").click()
    expect(sheet.get_by_text("webhooks are stored and wait")).to_be_visible()
    sheet.get_by_role("button", name="Resume").click()
    expect(sheet.get_by_text("Active", exact=True)).to_be_visible()
    expect(sheet.get_by_text(re.compile(r"^Active since \d{1,2} \w+ \d{4}, \d\d:\d\d"))).to_be_visible()

    with page.expect_download() as download:
        sheet.get_by_role("link", name="Export").click()
    with zipfile.ZipFile(io.BytesIO(Path(download.value.path()).read_bytes())) as bundle:
        manifest = json.loads(bundle.read(f"{slug}/manifest.json"))
    assert manifest["name"] == "Quayside Dental"
    assert download.value.suggested_filename.startswith(slug)

    sheet.get_by_role("button", name="Delete …").click()
    page.get_by_label(f"Type {slug}").fill("quayside")
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("cannot be undone")
    page.get_by_label(f"Type {slug}").fill(slug)
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_role("dialog", name="The deletion has begun")).to_be_visible()
    page.get_by_role("button", name="Done").click()
    expect(page.get_by_role("button", name="Quayside Dental")).to_have_count(0)
