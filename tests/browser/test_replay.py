"""Running a delivery again from the dashboard."""

from uuid import UUID, uuid4

from playwright.sync_api import Page, expect
from tests.browser.conftest import log_in
from tests.support.dashboard import ANNA, HARBOR, Dashboard

WAYS = (("Run again", False, 0), ("Dry run", True, 0), ("Run again and post a further note", False, 1))
"""Each button, and what the delivery then has for ``dry_run`` and ``post_again``."""


def given_up(dashboard: Dashboard) -> UUID:
    """Return a delivery that was given up."""
    delivery_id = dashboard.send(HARBOR, f"T-{uuid4().int % 10**12}")
    dashboard.change(delivery_id, state="dead", reason="The model was away.", attempt=3)
    return delivery_id


def test_a_technician_runs_a_delivery_again(dashboard: Dashboard, page: Page) -> None:
    """The page asks first; each way says what it does, and the delivery waits again as it was asked."""
    delivery_id = given_up(dashboard)
    log_in(page, dashboard, ANNA, f"/deliveries?delivery={delivery_id}")
    page.get_by_role("button", name="Run again …").click()
    asked = page.get_by_role("dialog", name="Run this delivery again?")
    asked.get_by_role("button", name="Cancel").click()
    expect(asked).to_have_count(0)
    assert dashboard.column(delivery_id, "state") == "dead"
    for button, dry_run, post_again in WAYS:
        page.get_by_role("button", name="Run again …").click()
        asked.get_by_role("button", name=button, exact=True).click()
        expect(page.get_by_text("It waits for its turn.")).to_be_visible()
        expect(asked).to_have_count(0)
        found = [dashboard.column(delivery_id, name) for name in ("state", "trigger", "dry_run", "post_again")]
        assert found == ["queued", "manual", dry_run, post_again]
        dashboard.change(delivery_id, state="dead")
        expect(page.get_by_text("It was tried as often as makes sense.")).to_be_visible()


def test_a_refused_replay_says_why(dashboard: Dashboard, page: Page) -> None:
    """When a worker took the delivery up meanwhile, the question stays open with the host's reason."""
    delivery_id = given_up(dashboard)
    log_in(page, dashboard, ANNA, f"/deliveries?delivery={delivery_id}")
    page.get_by_role("button", name="Run again …").click()
    dashboard.change(delivery_id, state="running")
    page.get_by_role("button", name="Dry run").click()
    expect(page.get_by_role("alert")).to_contain_text("being worked on")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Run this delivery again?")).to_have_count(0)
    expect(page.get_by_role("button", name="Run again …")).to_have_count(0)


def test_who_may_only_read_is_offered_no_replay(dashboard: Dashboard, page: Page) -> None:
    """The delivery is shown to a reader without the button."""
    email = f"r{uuid4().hex[:10]}@msp.example"
    dashboard.add_person(email, HARBOR, "read-only")
    log_in(page, dashboard, email, f"/deliveries?delivery={given_up(dashboard)}")
    expect(page.get_by_role("dialog").get_by_text("The model was away.")).to_be_visible()
    expect(page.get_by_role("button", name="Run again …")).to_have_count(0)
