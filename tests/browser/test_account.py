"""A person's own account in the dashboard, and the ways into it beside a password."""

import base64
import re
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect
from tests.browser.conftest import PATIENCE_MS, OpenContext, Watch, log_in
from tests.support.dashboard import ANNA, HARBOR, PASSWORD, PLATFORM, Dashboard, running_dashboard
from tests.support.databases import execute_as_superuser, run_apart, urls_of
from tests.support.provider import CLIENT, SECRET, Provider, running_provider
from tests.support.smtp import Letterbox, mail_server

from aiops_host.cli.installation import free_port
from aiops_host.embedded import EmbeddedPostgres
from aiops_host.trust.totp import STEP_SECONDS, code_at

NEW = "a fresh horse battery"


@pytest.fixture
def person(dashboard: Dashboard) -> str:
    """A technician of their own."""
    email = f"p-{uuid4().hex[:10]}@harbor.example"
    dashboard.add_person(email, HARBOR)
    return email


def code_of(page: Page, key: str, offset: int = 0) -> str:
    """Return the code a device shows, with some seconds left to enter it."""
    while time.time() % STEP_SECONDS > STEP_SECONDS - 6:
        page.wait_for_timeout(500)
    return code_at(base64.b32decode(key), int(time.time() // STEP_SECONDS) + offset)


def account(page: Page, dashboard: Dashboard) -> None:
    """Open the account from any page."""
    page.get_by_role("link", name="Account", exact=True).click()
    expect(page.get_by_role("heading", name="Your account")).to_be_visible()


def test_the_password_is_changed(
    dashboard: Dashboard, page: Page, watch: Watch, open_context: OpenContext, person: str
) -> None:
    """With the old one and the new one twice; this browser stays logged in, others do not."""
    watch.expected.append("4(01|22)")
    other = open_context().new_page()
    log_in(other, dashboard, person)
    expect(other.get_by_role("heading", name="Deliveries")).to_be_visible()
    log_in(page, dashboard, person)
    account(page, dashboard)

    def change(current: str, new: str, again: str) -> None:
        page.get_by_label("Current password").fill(current)
        page.get_by_label("New password", exact=True).fill(new)
        page.get_by_label("New password, once more").fill(again)
        page.get_by_role("button", name="Change password").click()

    change(PASSWORD, NEW, NEW + "x")
    expect(page.get_by_role("alert")).to_contain_text("not the same")
    change("not the password", NEW, NEW)
    expect(page.get_by_role("alert")).to_contain_text("The password is wrong")
    change(PASSWORD, NEW, NEW)
    expect(page.get_by_role("status")).to_contain_text("Your password is changed")
    expect(other.get_by_label("Password")).to_be_visible()
    page.get_by_role("link", name="To the deliveries").click()
    expect(page.get_by_role("heading", name="Deliveries")).to_be_visible()


def test_a_device_is_enrolled_and_asked_for(
    dashboard: Dashboard, page: Page, watch: Watch, open_context: OpenContext, person: str
) -> None:
    """By picture or key; then a login has a second step, in which a recovery code helps when the device is lost."""
    watch.expected.append("401")
    log_in(page, dashboard, person)
    account(page, dashboard)
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Enrol a device").click()
    picture = page.get_by_role("img", name="QR code for an authenticator app")
    assert picture.evaluate("image => image.complete && image.naturalWidth > 0")
    key = page.get_by_label("Key").inner_text()
    page.get_by_label("Code", exact=True).fill(code_of(page, key, -1))
    page.get_by_role("button", name="Confirm").click()
    codes = page.get_by_label("Recovery codes").get_by_role("listitem").all_inner_texts()
    assert len(codes) == 10

    other = open_context().new_page()
    log_in(other, dashboard, person, "/runs")
    expect(other.get_by_role("heading", name="One more step")).to_be_visible()
    other.get_by_label("Code").fill("000000")
    other.get_by_role("button", name="Log in").click()
    expect(other.get_by_role("alert")).to_contain_text("This code is not right")
    other.get_by_label("Code").fill(code_of(other, key))
    other.get_by_role("button", name="Log in").click()
    expect(other).to_have_url(re.compile("/runs"))
    expect(other.get_by_role("heading", name="Runs")).to_be_visible()

    third = open_context().new_page()
    log_in(third, dashboard, person)
    third.get_by_label("Code").fill(codes[0])
    third.get_by_role("button", name="Log in").click()
    account(third, dashboard)
    expect(third.get_by_text("9 recovery codes are left")).to_be_visible()
    third.get_by_label("Password", exact=True).fill(PASSWORD)
    third.get_by_label("Code", exact=True).fill(codes[1])
    third.get_by_role("button", name="Remove").click()
    expect(third.get_by_role("status")).to_contain_text("your password only")


def test_the_second_step_leads_nowhere_by_itself(dashboard: Dashboard, page: Page) -> None:
    """Without a right password before it, the page for the code is the login."""
    page.goto(dashboard.url + "/login/code")
    expect(page).to_have_url(dashboard.url + "/login")


def test_sessions_are_seen_and_ended(dashboard: Dashboard, page: Page, open_context: OpenContext, person: str) -> None:
    """Another browser's session is listed and ended; logging out everywhere ends this one too."""
    other = open_context(user_agent="Another browser").new_page()
    log_in(other, dashboard, person)
    expect(other.get_by_role("heading", name="Deliveries")).to_be_visible()
    log_in(page, dashboard, person)
    account(page, dashboard)
    sessions = page.get_by_role("table", name="Sessions")
    row = sessions.get_by_role("row").filter(has_text="Another browser")
    expect(row).to_contain_text("127.0.0.1")
    expect(sessions.get_by_text("This one")).to_be_visible()
    row.get_by_role("button", name="End").click()
    expect(row).to_have_count(0)
    expect(other.get_by_label("Password")).to_be_visible()
    page.get_by_role("button", name="Log out everywhere").click()
    expect(page.get_by_label("Password")).to_be_visible()


def test_a_token_is_made_shown_once_and_revoked(dashboard: Dashboard, page: Page, watch: Watch, person: str) -> None:
    """The token works at the API until it is revoked, and is not shown again."""
    log_in(page, dashboard, person)
    account(page, dashboard)
    page.get_by_label("Name").fill("nightly")
    page.get_by_role("button", name="Make a token").click()
    token = page.get_by_label("The new token").inner_text()
    headers = {"Authorization": f"Bearer {token}"}
    assert httpx.get(f"{dashboard.api}/api/v1/deliveries", headers=headers, trust_env=False).status_code == 200
    page.goto(dashboard.url + "/account")
    row = page.get_by_role("table", name="API tokens").get_by_role("row").filter(has_text="nightly")
    expect(row).to_contain_text(token[:14])
    assert token not in page.content()
    row.get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("status")).to_contain_text("The token is revoked.")
    assert httpx.get(f"{dashboard.api}/api/v1/deliveries", headers=headers, trust_env=False).status_code == 401


def test_the_account_needs_a_login_and_a_form_of_its_own(dashboard: Dashboard, page: Page, watch: Watch) -> None:
    """Without a session it is the login page; a form without its token is refused."""
    watch.expected.append("403")
    page.goto(dashboard.url + "/account")
    expect(page.get_by_label("Password")).to_be_visible()
    answer = page.request.post(dashboard.url + "/account", form={"act": "everywhere"})
    assert answer.status == 403


@pytest.fixture
def provider() -> Iterator[Provider]:
    """A provider that vouches for Anna."""
    with running_provider() as found:
        found.claims = {"sub": "anna", "email": ANNA, "email_verified": True}
        yield found


@pytest.fixture
def letterbox() -> Iterator[Letterbox]:
    """A mail server."""
    with mail_server() as box:
        yield box


@pytest.fixture
def own_dashboard(
    pg: EmbeddedPostgres, template: str, tmp_path: Path, provider: Provider, letterbox: Letterbox
) -> Iterator[Dashboard]:
    """A dashboard with a login provider and a mail server, where administrators need a second factor."""
    name = f"b_{uuid4().hex[:16]}"
    run_apart(execute_as_superuser(pg.superuser_url, f"create database {name} template {template} strategy file_copy"))
    settings = {
        "AIOPS_ADMIN_PORT": str(free_port()),
        "AIOPS_OIDC_ISSUER": provider.url,
        "AIOPS_OIDC_CLIENT_ID": CLIENT,
        "AIOPS_OIDC_CLIENT_SECRET": SECRET,
        "AIOPS_OIDC_NAME": "Harbor SSO",
        "AIOPS_SMTP_URL": f"smtp+plain://localhost:{letterbox.port}",
        "AIOPS_MAIL_FROM": "ops@msp.example",
        "AIOPS_REQUIRE_TOTP": "true",
    }
    with running_dashboard(urls_of(pg, name), tmp_path, **settings) as running:
        yield running
    run_apart(execute_as_superuser(pg.superuser_url, f"drop database {name} with (force)"))


def test_the_other_ways_in(
    own_dashboard: Dashboard, chromium: Browser, provider: Provider, letterbox: Letterbox
) -> None:
    """Through the provider, by a mailed link after a lost password, and for an administrator only with a device."""
    context = chromium.new_context(locale="en-GB")
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto(own_dashboard.url + "/runs")
    page.get_by_role("link", name="Continue with Harbor SSO").click()
    expect(page.get_by_role("heading", name="Runs")).to_be_visible()
    expect(page.get_by_text(ANNA)).to_be_visible()
    page.get_by_role("button", name="Log out").click()

    provider.claims = {"sub": "stranger", "email": "stranger@x.example", "email_verified": True}
    page.get_by_role("link", name="Continue with Harbor SSO").click()
    expect(page.get_by_role("heading", name="You are not logged in")).to_be_visible()
    expect(page.get_by_text("ask for an invitation")).to_be_visible()
    page.goto(own_dashboard.url + "/login/oidc?code=theirs&state=theirs")
    expect(page.get_by_text("The provider did not log you in")).to_be_visible()

    page.goto(own_dashboard.url + "/login")
    page.get_by_role("link", name="Lost your password?").click()
    page.get_by_label("Email").fill(ANNA)
    page.get_by_role("button", name="Send the link").click()
    expect(page.get_by_role("heading", name="Look into your mail")).to_be_visible()
    while not letterbox.mails:
        page.wait_for_timeout(100)
    (link,) = re.findall(r"http\S+", letterbox.mails[0].get_content())
    assert link.startswith(own_dashboard.url)
    page.goto(link)
    page.get_by_label("New password").fill(NEW)
    page.get_by_label("Once more").fill(NEW)
    page.get_by_role("button", name="Set password").click()
    log_in(page, own_dashboard, ANNA, password=NEW)
    expect(page.get_by_role("heading", name="Deliveries")).to_be_visible()

    root = chromium.new_context(locale="en-GB").new_page()
    log_in(root, own_dashboard, PLATFORM)
    expect(root.get_by_role("heading", name="Your account")).to_be_visible()
    expect(root.get_by_text("Enrol an authenticator app below")).to_be_visible()
    root.get_by_label("Your password").fill(PASSWORD)
    root.get_by_role("button", name="Enrol a device").click()
    root.get_by_label("Code", exact=True).fill(code_of(root, root.get_by_label("Key").inner_text()))
    root.get_by_role("button", name="Confirm").click()
    root.get_by_role("link", name="To the deliveries").click()
    expect(root.get_by_role("heading", name="Deliveries")).to_be_visible()
    for opened in (page, root):
        opened.context.close()
