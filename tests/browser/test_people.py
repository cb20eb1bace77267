"""People looked after in the dashboard, and the one-time links that lead into it."""

import re
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect
from tests.browser.conftest import OpenContext, Watch, log_in
from tests.support.dashboard import ANNA, HARBOR, PASSWORD, PLATFORM, Dashboard

NEW = "a fresh horse battery"


@pytest.fixture
def tenant(dashboard: Dashboard) -> str:
    """A tenant of its own."""
    slug = f"t-{uuid4().hex[:8]}"
    dashboard.add_tenant(slug, connected=False)
    return slug


@pytest.fixture
def admin(dashboard: Dashboard, tenant: str) -> str:
    """The tenant's administrator."""
    email = f"admin-{uuid4().hex[:8]}@msp.example"
    dashboard.add_person(email, tenant, "tenant-admin")
    return email


def link_of(page: Page, dashboard: Dashboard) -> str:
    """Return the address the dialog shows, at this dashboard."""
    shown = page.get_by_role("dialog", name="Hand on the link")
    parts = urlsplit(str(shown.get_by_role("button", name="Copy link").get_attribute("data-copy")))
    return f"{dashboard.url}{parts.path}?{parts.query}"


def test_a_click_into_a_form_sends_nothing(dashboard: Dashboard, page: Page, admin: str) -> None:
    """Fields, labels and texts of a dialog can be clicked; only its button acts."""
    log_in(page, dashboard, admin, "/people")
    page.get_by_role("button", name="Invite somebody …").click()
    dialog = page.get_by_role("dialog", name="Invite somebody")
    for field in ("Email", "Role"):
        dialog.get_by_label(field).click()
        dialog.get_by_text(field, exact=True).click()
    page.wait_for_timeout(1000)
    expect(dialog.get_by_role("alert")).to_have_count(0)
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_have_count(0)


def test_somebody_is_invited_and_comes_in(
    dashboard: Dashboard, page: Page, open_context: OpenContext, watch: Watch, admin: str, tenant: str
) -> None:
    """The administrator hands the link on; whoever follows it chooses a password and logs in; the link is spent."""
    watch.expected.append("4(22|10|01)")
    email = f"ben-{uuid4().hex[:8]}@msp.example"
    log_in(page, dashboard, admin, "/people")
    page.get_by_role("button", name="Invite somebody …").click()
    page.get_by_label("Email").fill(email)
    page.get_by_label("Role").select_option("read-only")
    page.get_by_role("button", name="Invite", exact=True).click()
    link = link_of(page, dashboard)
    page.get_by_role("button", name="Done").click()
    expect(page.get_by_role("table", name="Open invitations").get_by_text(email)).to_be_visible()

    guest = open_context().new_page()
    guest.goto(link)
    expect(guest.get_by_role("heading", name="You are invited")).to_be_visible()
    expect(guest.get_by_text("as Read only")).to_be_visible()
    guest.get_by_label("Password").fill("short")
    guest.get_by_role("button", name="Accept").click()
    expect(guest.get_by_role("alert")).to_contain_text("12 to 1024 characters")
    guest.get_by_label("Password").fill(NEW)
    guest.get_by_role("button", name="Accept").click()
    expect(guest.get_by_role("heading", name="Welcome")).to_be_visible()
    expect(guest.get_by_role("link", name="To the deliveries")).to_have_count(0)
    guest.get_by_role("link", name="Log in").click()
    expect(guest).to_have_url(f"{dashboard.url}/login")
    log_in(guest, dashboard, email, password=NEW)
    expect(guest.get_by_role("heading", name="Deliveries")).to_be_visible()
    expect(guest.get_by_role("link", name="People")).to_have_count(0)
    guest.goto(link)
    expect(guest.get_by_role("heading", name="This link does not work")).to_be_visible()
    expect(guest.get_by_role("link", name="To the deliveries")).to_be_visible()
    expect(page.get_by_role("table", name="Members by address").get_by_text(email)).to_be_visible()


def test_a_role_is_changed_and_a_member_removed(
    dashboard: Dashboard, page: Page, open_context: OpenContext, admin: str, tenant: str
) -> None:
    """A changed member is logged out at once; the last administrator stays, and the dialog says why."""
    email = f"cleo-{uuid4().hex[:8]}@msp.example"
    dashboard.add_person(email, tenant)
    theirs = open_context().new_page()
    log_in(theirs, dashboard, email)
    expect(theirs.get_by_text("Technician")).to_be_visible()
    log_in(page, dashboard, PLATFORM, f"/people?tenant={tenant}")
    members = page.get_by_role("table", name="Members by address")
    members.get_by_role("row").filter(has_text=email).get_by_role("button", name="Change …").click()
    page.get_by_label("Role").select_option("read-only")
    page.get_by_role("button", name="Save").click()
    expect(members.get_by_role("row").filter(has_text=email).get_by_text("Read only")).to_be_visible()
    expect(theirs.get_by_label("Password")).to_be_visible()
    members.get_by_role("row").filter(has_text=email).get_by_role("button", name="Change …").click()
    page.get_by_role("button", name="Take out of the tenant").click()
    expect(members.get_by_text(email)).to_have_count(0)


def test_the_last_administrator_is_kept(
    dashboard: Dashboard, page: Page, watch: Watch, admin: str, tenant: str
) -> None:
    """The dialog says why nothing was changed."""
    log_in(page, dashboard, admin, "/people")
    row = page.get_by_role("table", name="Members by address").get_by_role("row").filter(has_text=admin)
    row.get_by_role("button", name="Change …").click()
    page.get_by_role("button", name="Take out of the tenant").click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("only administrator")
    page.get_by_role("button", name="Cancel").click()
    expect(row).to_be_visible()


def test_everybody_is_for_platform_administrators(
    dashboard: Dashboard, page: Page, watch: Watch, open_context: OpenContext
) -> None:
    """They add people, keep them out and let them choose a new password; a technician sees no such page."""
    watch.expected.append("401")
    email = f"dora-{uuid4().hex[:8]}@msp.example"
    log_in(page, dashboard, PLATFORM, "/people")
    page.get_by_role("button", name="Add a person …").click()
    page.get_by_label("Email").fill(email)
    page.get_by_role("button", name="Add", exact=True).click()
    link = link_of(page, dashboard)
    page.get_by_role("button", name="Done").click()

    guest = open_context().new_page()
    guest.goto(link)
    expect(guest.get_by_text(f"For {email}")).to_be_visible()
    guest.get_by_label("New password").fill(NEW)
    guest.get_by_label("Once more").fill(NEW)
    guest.get_by_role("button", name="Set password").click()
    expect(guest.get_by_role("heading", name="Done")).to_be_visible()

    row = page.get_by_role("table", name="Everybody by address").get_by_role("row").filter(has_text=email)
    row.get_by_role("button", name="Change …").click()
    page.get_by_role("button", name="Keep out").click()
    expect(row.get_by_text("Kept out")).to_be_visible()
    log_in(guest, dashboard, email, password=NEW)
    expect(guest.get_by_role("alert")).to_contain_text("Email or password is not right")
    row.get_by_role("button", name="Change …").click()
    page.get_by_role("button", name="Make platform administrator").click()
    expect(row.get_by_text("Platform administrator")).to_be_visible()

    other = open_context().new_page()
    log_in(other, dashboard, ANNA, "/people")
    expect(other.get_by_text("People are for administrators.")).to_be_visible()
    expect(other.get_by_text(email)).to_have_count(0)


@pytest.mark.parametrize("path", ["/invitation?token=nothing", "/password?token=nothing", "/invitation", "/password"])
def test_a_link_that_leads_nowhere_says_so(dashboard: Dashboard, page: Page, watch: Watch, path: str) -> None:
    """A spent, mistyped or empty link is explained, and shows no form."""
    watch.expected.append("410")
    page.goto(dashboard.url + path)
    expect(page.get_by_role("heading", name="This link does not work")).to_be_visible()
    expect(page.get_by_text("ask for a new one")).to_be_visible()
    expect(page.get_by_role("link", name="Log in")).to_have_attribute("href", "/login")
    expect(page.get_by_label(re.compile("password", re.I))).to_have_count(0)


def test_an_invitation_of_somebody_known_asks_for_their_password(
    dashboard: Dashboard, page: Page, watch: Watch, open_context: OpenContext, admin: str
) -> None:
    """A stranger who follows it gets nowhere; its owner accepts with the password they have."""
    watch.expected.append("401")
    email = f"eva-{uuid4().hex[:8]}@harbor.example"
    dashboard.add_person(email, HARBOR)
    log_in(page, dashboard, admin, "/people")
    page.get_by_role("button", name="Invite somebody …").click()
    page.get_by_label("Email").fill(email)
    page.get_by_role("button", name="Invite", exact=True).click()
    guest = open_context().new_page()
    guest.goto(link_of(page, dashboard))
    guest.get_by_label("Password").fill(NEW)
    guest.get_by_role("button", name="Accept").click()
    expect(guest.get_by_role("alert")).to_contain_text("Wrong email or password")
    guest.get_by_label("Password").fill(PASSWORD)
    guest.get_by_role("button", name="Accept").click()
    expect(guest.get_by_role("heading", name="Welcome")).to_be_visible()
