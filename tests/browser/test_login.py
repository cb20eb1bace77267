"""Logging in and out, as a person sees it."""

import re
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect
from tests.browser.conftest import OpenContext, Watch, log_in
from tests.support.dashboard import ANNA, HARBOR, PASSWORD, Dashboard

IN_THE_BACKGROUND = """() => {
  Object.defineProperty(document, "hidden", {value: true})
  document.dispatchEvent(new Event("visibilitychange"))
}"""


def heading(page: Page) -> None:
    """Wait for the list of deliveries."""
    expect(page.get_by_role("heading", name="Deliveries")).to_be_visible()


def test_the_right_password_opens_the_list(dashboard: Dashboard, page: Page) -> None:
    """Whoever logs in sees the deliveries, their own address and role."""
    log_in(page, dashboard, ANNA)
    heading(page)
    expect(page).to_have_url(dashboard.url + "/deliveries")
    expect(page.get_by_text(ANNA)).to_be_visible()
    expect(page.get_by_text("Technician")).to_be_visible()


@pytest.mark.parametrize("email", [ANNA, "nobody@harbor.example"], ids=["wrong password", "unknown person"])
def test_a_refused_login_says_what_to_do(dashboard: Dashboard, page: Page, watch: Watch, email: str) -> None:
    """The message is the same whether or not the person exists, and the address need not be typed again."""
    watch.expected.append("401")
    log_in(page, dashboard, email, password="not the password")
    expect(page.get_by_role("alert")).to_contain_text("Email or password is not right.")
    expect(page.get_by_label("Email")).to_have_value(email)
    expect(page.get_by_label("Password")).to_have_value("")
    expect(page.get_by_label("Password")).to_be_focused()
    page.get_by_label("Password").fill(PASSWORD)
    if email == ANNA:
        page.get_by_role("button", name="Log in").click()
        heading(page)


def test_a_locked_person_is_told_to_wait(dashboard: Dashboard, page: Page, watch: Watch) -> None:
    """After five wrong passwords the right one is refused too, and the page says why that may be."""
    watch.expected.append("401")
    email = f"{uuid4().hex}@harbor.example"
    dashboard.add_person(email, HARBOR)
    for _ in range(5):
        log_in(page, dashboard, email, password="not the password")
    log_in(page, dashboard, email)
    expect(page.get_by_role("alert")).to_contain_text("After five wrong tries an account is locked for a while")


def test_a_deep_link_survives_the_login(dashboard: Dashboard, page: Page) -> None:
    """The link in a ticket leads to its delivery, through the login and after a reload."""
    ticket = f"DEEP-{uuid4().int % 10**6}"
    delivery_id = dashboard.send(HARBOR, ticket)
    path = f"/deliveries?delivery={delivery_id}"
    log_in(page, dashboard, ANNA, path)
    expect(page.get_by_role("dialog", name=f"Ticket {ticket}")).to_be_visible()
    expect(page).to_have_url(dashboard.url + path)
    page.reload()
    expect(page.get_by_role("dialog", name=f"Ticket {ticket}")).to_be_visible()


@pytest.mark.parametrize(
    "target", ["//evil.example/", "https://evil.example/", "/\\evil.example", "/login?next=/login"]
)
def test_a_login_never_leads_away(dashboard: Dashboard, page: Page, target: str) -> None:
    """An address of another site in ``next`` is not followed."""
    log_in(page, dashboard, ANNA, f"/login?next={target}")
    heading(page)
    expect(page).to_have_url(dashboard.url + "/deliveries")


def test_logging_out_closes_every_page_of_the_person(dashboard: Dashboard, open_context: OpenContext) -> None:
    """A tab in the background, which asks the host for nothing, goes to the login too, and going back shows nothing."""
    context = open_context()
    first, second = context.new_page(), context.new_page()
    log_in(first, dashboard, ANNA)
    heading(first)
    second.goto(dashboard.url + "/deliveries?state=done")
    heading(second)
    second.wait_for_load_state("networkidle")
    second.evaluate(IN_THE_BACKGROUND)
    # What was on its way is answered before the session ends.
    second.wait_for_timeout(1000)
    first.get_by_role("button", name="Log out").click()
    expect(first.get_by_label("Password")).to_be_visible()
    expect(second.get_by_label("Password")).to_be_visible()
    expect(second).to_have_url(re.compile(r"/login\?next=%2Fdeliveries%3Fstate%3Ddone"))
    first.go_back()
    expect(first.get_by_label("Password")).to_be_visible()


def test_an_ended_session_leads_to_the_login(dashboard: Dashboard, page: Page) -> None:
    """A page that is open while its session ends at the host asks for a login by itself."""
    email = f"{uuid4().hex}@harbor.example"
    dashboard.add_person(email, HARBOR)
    log_in(page, dashboard, email)
    heading(page)
    dashboard.end_sessions(email)
    expect(page.get_by_label("Password")).to_be_visible()


def test_the_login_works_without_a_mouse(dashboard: Dashboard, page: Page) -> None:
    """The address has the focus; Tab and Enter do the rest."""
    page.goto(dashboard.url + "/login")
    page.keyboard.type(ANNA)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    heading(page)
