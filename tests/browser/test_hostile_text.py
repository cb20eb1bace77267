"""Text that outsiders write is shown as text, whatever it looks like."""

import re
from uuid import uuid4

import msgspec
import pytest
from playwright.sync_api import Page, expect
from tests.browser.conftest import OpenContext, Watch, log_in
from tests.support.dashboard import ANNA, HARBOR, PLATFORM, Dashboard

from aiops_core.tickets import Code, Enhancement, Heading, Link, ListBlock, Paragraph

RUN = "document.documentElement.dataset.ran=1"
HOSTILE = [
    f'<img src=x onerror="{RUN}">',
    f"<svg onload={RUN}>",
    f"<script>{RUN}</script>",
    f"</script><script>{RUN}</script>",
    f'<a href="javascript:{RUN}">open</a>',
    f"javascript:{RUN}",
    f"[open](javascript:{RUN})",
    f"![x](x onerror={RUN})",
    f'"><img src=x onerror={RUN}>',
    f"'><svg/onload={RUN}>",
    f"<iframe srcdoc='<script>parent.{RUN}</script>'>",
    f"<details open ontoggle={RUN}>",
    f"<input autofocus onfocus={RUN}>",
    f"<video><source onerror={RUN}>",
    f"<math><mi xlink:href='javascript:{RUN}'>x",
    f"<style>@import 'javascript:{RUN}';</style>",
    f"<body onload={RUN}>",
    f"<template><script>{RUN}</script></template>",
    f"${{{RUN}}} {{{{constructor.constructor('{RUN}')()}}}}",
    f"&lt;img src=x onerror={RUN}&gt; &amp;",
]


def ran(page: Page) -> bool:
    """Return whether any of them did what it wanted."""
    return bool(page.evaluate("() => document.documentElement.dataset.ran"))


def note_of(texts: list[str]) -> Enhancement:
    """Return a note that has the texts in every kind of block."""
    return Enhancement(
        body=(
            *(Heading(text) for text in texts),
            *(Paragraph(text) for text in texts),
            ListBlock(tuple(texts)),
            ListBlock(tuple(Link(text, text) for text in texts)),
            *(Code(text) for text in texts),
        )
    )


@pytest.mark.parametrize("without_policy", [False, True], ids=["with the policy", "by the component alone"])
@pytest.mark.attack(26)
@pytest.mark.promise("page-runs-no-text")
def test_hostile_text_is_shown_as_text(
    dashboard: Dashboard, open_context: OpenContext, *, without_policy: bool
) -> None:
    """In tickets, reasons, notes and steps nothing runs, nothing becomes a link, and every character is readable."""
    slug = f"t{uuid4().hex[:10]}"
    dashboard.add_tenant(slug)
    dashboard.add_person(f"{slug}@msp.example", slug)
    for number, text in enumerate(HOSTILE):
        delivery_id = dashboard.send(slug, f"X-{number}")
        dashboard.change(delivery_id, ticket_id=text, reason=text, state="dead", kind=text)
        dashboard.add_note(
            slug, delivery_id, text, note_of(HOSTILE), step={text: text}, title=text, url=f"javascript:{RUN}"
        )
    page = open_context(bypass_csp=without_policy).new_page()
    log_in(page, dashboard, f"{slug}@msp.example")
    for text in HOSTILE:
        expect(page.get_by_role("link", name=text, exact=True)).to_be_visible()
        expect(page.get_by_role("cell", name=text, exact=True).first).to_be_visible()
        expect(page.get_by_role("cell", name=f"{text} {text}", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="Open the note")).to_have_count(0)
    page.get_by_role("link", name=HOSTILE[0], exact=True).click()
    sheet = page.get_by_role("dialog", name=f"Ticket {HOSTILE[0]}")
    expect(sheet.get_by_role("listitem").filter(has_text=HOSTILE[0])).to_have_count(2)
    for text in HOSTILE:
        expect(sheet.get_by_role("heading", name=text, exact=True)).to_have_count(1)
        expect(sheet.get_by_role("paragraph").get_by_text(text, exact=True).first).to_be_visible()
        expect(sheet.locator("pre").get_by_text(text, exact=True)).to_have_count(1)
    expect(sheet.get_by_role("link")).to_have_text(["Open the run with its evidence"])
    sheet.get_by_text("Gather evidence").click()
    expect(sheet.locator("details pre")).to_contain_text(RUN)
    assert not ran(page)


ALL = " ".join(HOSTILE)


def test_hostile_text_is_text_in_runs(dashboard: Dashboard, open_context: OpenContext) -> None:
    """By the component alone, in the list and in every part of one run, nothing runs and nothing becomes a link."""
    slug = f"t{uuid4().hex[:10]}"
    dashboard.add_tenant(slug)
    dashboard.add_person(f"{slug}@msp.example", slug)
    evidence = [
        {"source": text, "ref": text, "title": text, "text": text, "url": text, "category": text, "resolution": text}
        for text in HOSTILE
    ]
    written = {
        "ticket_id": ALL,
        "ticket": {"id": ALL, "title": ALL, "number": ALL, "url": f"javascript:{RUN}", "description": ALL},
        "draft": {"evidence": evidence},
        "enhancement": msgspec.to_builtins(note_of(HOSTILE)),
        **dict.fromkeys(("agent", "agent_version", "model", "error"), ALL),
    }
    steps = [
        {"name": text, "inputs": {text: text}, "outputs": {"found": [text]}, "error": text, "model": text}
        for text in HOSTILE
    ]
    _, run_id = dashboard.add_run(slug, "X-1", effect="dead", reason=ALL, steps=steps, **written)
    page = open_context(bypass_csp=True).new_page()
    log_in(page, dashboard, f"{slug}@msp.example", "/runs")
    expect(page.get_by_role("link", name=ALL, exact=True)).to_be_visible()
    expect(page.get_by_role("cell", name=ALL, exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="Open ticket")).to_have_count(0)
    assert not ran(page)
    page.goto(f"{dashboard.url}/runs?id={run_id}")
    expect(page.get_by_role("heading", name=f"Ticket {ALL}")).to_be_visible()
    for text in HOSTILE:
        expect(page.get_by_role("listitem").get_by_text(text, exact=True).first).to_be_visible()
        expect(page.locator("summary").get_by_text(shown_as(text), exact=True)).to_be_visible()
    for summary in page.locator("summary").all():
        summary.click()
    expect(page.locator("pre").filter(has_text=RUN).first).to_be_visible()
    links = page.get_by_role("link")
    pages = ["Account", "Deliveries", "Runs", "Connections", "Models", "Health", "Plugins"]
    expect(links).to_have_text(["", "AI Ops", *pages, "← All runs", "Delivery", "All runs of this ticket"])
    assert not ran(page)


def shown_as(step: str) -> str:
    """Return a step's name as the page writes it."""
    return step.replace("_", " ").replace("-", " ").capitalize()


def test_hostile_text_is_text_in_health(dashboard: Dashboard, open_context: OpenContext) -> None:
    """By the component alone, names and reasons of connections, workers and tenants are text."""
    slug = f"t{uuid4().hex[:10]}"
    dashboard.add_tenant(slug, ALL)
    dashboard.change_connection(slug, name=ALL, ticketing_tool=ALL, state="paused", state_reason=ALL)
    dashboard.beat(ALL)
    page = open_context(bypass_csp=True).new_page()
    log_in(page, dashboard, PLATFORM, f"/health?tenant={slug}")
    expect(page.get_by_role("cell", name=ALL, exact=True).first).to_be_visible()
    expect(page.get_by_role("cell", name=f"{ALL} {ALL}", exact=True)).to_be_visible()
    expect(page.get_by_role("cell", name=f"{ALL} Resume {ALL}", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name=ALL, exact=True)).to_be_visible()
    expect(page.get_by_role("heading", name=f"{ALL}, last 24 hours")).to_be_visible()
    assert not ran(page)


@pytest.mark.attack(26)
def test_the_policy_stops_what_slipped_through(dashboard: Dashboard, page: Page, watch: Watch) -> None:
    """Markup that is put into a page as markup still runs nothing."""
    watch.expected += ["Content Security Policy", "csp$", "javascript:", "status 404", "Failed to load resource"]
    log_in(page, dashboard, ANNA)
    expect(page.get_by_role("heading", name="Deliveries")).to_be_visible()
    insert_all(page)
    assert not ran(page)
    assert [problem for problem in watch.problems if "Content Security Policy" in problem]


def test_the_hostile_text_would_run(dashboard: Dashboard, open_context: OpenContext, watch: Watch) -> None:
    """Without policy and component the same strings do run: the tests above can fail."""
    watch.expected += ["javascript:", "status 404", "Failed to load resource", "error"]
    page = open_context(bypass_csp=True).new_page()
    page.goto(dashboard.url + "/login")
    insert_all(page)
    assert ran(page)


def insert_all(page: Page) -> None:
    """Put the strings into the page as markup, follow their links, and give them time to act."""
    page.evaluate(
        """async (texts) => {
          for (const text of texts) {
            const box = document.createElement("div")
            document.body.append(box)
            box.innerHTML = text
            for (const link of box.querySelectorAll("a")) { link.click() }
          }
          await new Promise(resolve => setTimeout(resolve, 500))
        }""",
        HOSTILE,
    )


def test_titles_are_constants(dashboard: Dashboard, page: Page) -> None:
    """A title made of a ticket would be given the policy's nonce, so no title holds any."""
    ticket = f"T-{uuid4().int % 10**12}"
    delivery_id = dashboard.send(HARBOR, ticket)
    log_in(page, dashboard, ANNA, f"/deliveries?delivery={delivery_id}")
    expect(page.get_by_role("dialog", name=re.compile(ticket))).to_be_visible()
    assert page.title() == "AI Ops"
