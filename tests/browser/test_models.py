"""Keys, budgets and usage in the dashboard."""

from __future__ import annotations

from uuid import uuid4

from playwright.sync_api import Page, expect
from tests.browser.conftest import log_in
from tests.support.dashboard import HARBOR, PLATFORM, Dashboard

KEY = "sk-canary-1618033988"
REFUSED = "OpenAI: gpt-4o-mini refused the API key (HTTP 401). The key was not saved."
AWAY = "OpenAI: gpt-4o-mini could not be reached: api.openai.com refuses connections. The key was not saved."
ACCEPTED = "OpenAI accepted the key: gpt-4o-mini answers."


def administrator(dashboard: Dashboard) -> tuple[str, str]:
    """Return a tenant of its own and its administrator's address."""
    slug = f"m{uuid4().hex[:10]}"
    dashboard.add_tenant(slug, connected=False)
    email = f"a{uuid4().hex[:10]}@msp.example"
    dashboard.add_person(email, slug, "tenant-admin")
    return slug, email


def test_a_key_is_entered_and_tested(dashboard: Dashboard, page: Page) -> None:
    """A wrong key, and a provider that is away, are explained in a sentence; a right one is in use; none is ever shown."""
    _, email = administrator(dashboard)
    log_in(page, dashboard, email, "/models")
    row = page.get_by_role("row").filter(has=page.get_by_text("OpenAI", exact=True))
    row.get_by_role("button", name="Enter key …").click()
    asked = page.get_by_role("dialog", name="Key for OpenAI")
    states = {"refused": ("Refused", REFUSED), "unreached": ("Not reached", AWAY), "live": ("In use", ACCEPTED)}
    for state, (called, told) in states.items():
        if state != "refused":
            row.get_by_role("button", name="Enter key …").click()
        asked.get_by_label("API key").fill(KEY)
        asked.get_by_label("Models").fill("gpt-4o-mini")
        asked.get_by_role("button", name="Test and save").click()
        expect(asked).to_have_count(0)
        expect(row.get_by_text("A worker is trying the key …")).to_be_visible()
        dashboard.answer_key_test(email, state=state, result=told)
        expect(row.get_by_text(told)).to_be_visible()
        expect(row.get_by_text(called, exact=True)).to_be_visible()
    assert KEY not in page.content()


def test_a_refused_entry_keeps_what_was_entered(dashboard: Dashboard, page: Page) -> None:
    """What the host refuses is said in the form, in which everything stays as it was entered."""
    _, email = administrator(dashboard)
    log_in(page, dashboard, email, "/models")
    page.get_by_role("row").filter(has_text="Azure OpenAI").get_by_role("button", name="Enter key …").click()
    asked = page.get_by_role("dialog", name="Key for Azure OpenAI")
    asked.get_by_label("API key").fill(KEY)
    asked.get_by_label("Models").fill("gpt-4o\ngpt-4o-mini")
    asked.get_by_label("Address of your resource").fill("https://evil.example")
    asked.get_by_role("button", name="Test and save").click()
    expect(asked.get_by_role("alert")).to_contain_text("The operator's catalogue has https://*.openai.azure.com")
    expect(asked.get_by_label("Models")).to_have_value("gpt-4o\ngpt-4o-mini")
    asked.get_by_role("button", name="Cancel").click()
    expect(asked).to_have_count(0)


def test_budgets_and_usage(dashboard: Dashboard, page: Page) -> None:
    """A budget is set and removed; nearly used up it is a warning in plain words; usage is added up by model."""
    slug, email = administrator(dashboard)
    log_in(page, dashboard, email, "/models")
    expect(page.get_by_text("There is no budget")).to_be_visible()
    page.get_by_role("button", name="Set a budget …").click()
    asked = page.get_by_role("dialog", name="Set a budget")
    asked.get_by_label("Most money, in USD").fill("20")
    asked.get_by_role("button", name="Set", exact=True).click()
    expect(page.get_by_text("20.00 USD a month")).to_be_visible()
    expect(page.get_by_text("In bounds")).to_be_visible()
    for calls, cost, level in ((7, 17.0, "Nearly used up"), (1, 3.5, "Used up")):
        dashboard.use_model(slug, calls=calls, cost=cost)
        expect(page.get_by_text(level, exact=True)).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="notes are made without AI text")).to_be_visible()
    used = page.get_by_role("row").filter(has_text="openai: gpt-4o-mini")
    expect(used).to_contain_text("20.5000 USD")
    expect(used).to_contain_text("8")
    page.get_by_role("button", name="Remove", exact=True).click()
    expect(page.get_by_text("There is no budget")).to_be_visible()


def test_models_without_a_price_are_named(dashboard: Dashboard, page: Page) -> None:
    """Once a budget is in USD the page names each model it keeps from being asked, with the command; without, none."""
    slug, email = administrator(dashboard)
    for provider, model in (("openai", "in-house-7b"), ("anthropic", "claude-sonnet-4-5")):
        dashboard.add_key(slug, provider, model)
    log_in(page, dashboard, email, "/models")
    told = page.get_by_role("status").filter(has_text="No price is known for")
    expect(page.get_by_text("There is no budget")).to_be_visible()
    expect(told).to_have_count(0)
    dashboard.use_model(slug, calls=1, cost=1.0, budget=20.0)
    expect(told).to_have_count(1)
    expect(told).to_contain_text("in-house-7b of openai")
    expect(told.locator("code")).to_have_text("aiops providers price openai in-house-7b --input USD --output USD")


def test_who_may_only_read_changes_nothing(dashboard: Dashboard, page: Page) -> None:
    """A reader sees providers, budgets and usage, and is offered no button."""
    email = f"r{uuid4().hex[:10]}@msp.example"
    dashboard.add_person(email, HARBOR, "read-only")
    log_in(page, dashboard, email, "/models")
    expect(page.get_by_text("Anthropic", exact=True)).to_be_visible()
    for name in ("Enter key …", "Set a budget …", "Remove …"):
        expect(page.get_by_role("button", name=name)).to_have_count(0)


def test_the_platform_sees_all_budgets(dashboard: Dashboard, page: Page) -> None:
    """A platform administrator reads which tenants' budgets are used furthest."""
    slug, _ = administrator(dashboard)
    dashboard.use_model(slug, calls=1, cost=9.0, budget=10.0)
    log_in(page, dashboard, PLATFORM, f"/models?tenant={HARBOR}")
    row = page.get_by_role("row").filter(has_text=slug)
    expect(row).to_contain_text("Nearly used up")
