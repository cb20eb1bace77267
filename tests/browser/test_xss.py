"""A hundred strings that would run, in every text of a tenant, on every page of the dashboard: none does."""

from __future__ import annotations

import re
from itertools import islice, product
from urllib.parse import quote, urlsplit
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest
from playwright.sync_api import Page, expect
from tests.browser.conftest import OpenContext, Watch, log_in
from tests.browser.test_hostile_text import note_of
from tests.support.dashboard import PLATFORM, Dashboard
from tests.support.databases import run_apart
from tests.support.rows import tables

from aiops_admin.app import PAGES

RUN = "top.ran=1"  # in small letters, because addresses of people are stored in small letters
EVENTS = ("onerror", "onload", "onfocus", "ontoggle", "onmouseover", "onanimationstart", "onbegin", "onpageshow")
SHELLS = (
    "<img src=x {on}={run}>",
    "<svg {on}={run}>",
    "<svg><animate {on}={run} attributename=x dur=1s>",
    "<details open {on}={run}>",
    "<input autofocus {on}={run}>",
    "<video src=x {on}={run}></video>",
    "<iframe src=about:blank {on}={run}></iframe>",
    "<body {on}={run}>",
    "<style>@keyframes x{{}}</style><b style='animation-name:x' {on}={run}>",
    '"><img src=x {on}="{run}">',
    "'><img src=x {on}='{run}'>",
    "</textarea></title></style><img src=x {on}={run}>",
)
OTHERS = (
    f"<script>{RUN}</script>",
    f"</script><script>{RUN}</script>",
    f"<scr<script>ipt>{RUN}</scr</script>ipt>",
    f"<iframe srcdoc='<script>{RUN}</script>'></iframe>",
    f"<a href=javascript:{RUN}>x</a>",
    f"<object data=javascript:{RUN}></object>",
    f"<embed src=javascript:{RUN}>",
    f"<form action=javascript:{RUN}><button>x</button></form>",
    f"<math><a xlink:href=javascript:{RUN}>x</a></math>",
    f"<meta http-equiv=refresh content='0;url=javascript:{RUN}'>",
    f"<base href=javascript:{RUN}//>",
    f"<link rel=stylesheet href=javascript:{RUN}>",
    f"<img src=x one\u0000rror={RUN}><!-- {RUN} -->",
    f"\uff1cscript\uff1e{RUN}\uff1c/script\uff1e",
    f"&lt;script&gt;{RUN}&lt;/script&gt;",
    f"&#60;script&#62;{RUN}&#60;/script&#62;",
    f"\\u003cscript\\u003e{RUN}\\u003c/script\\u003e",
    f"%3Cscript%3E{RUN}%3C/script%3E",
    f"javascript:{RUN}//http://x",
    f"data:text/html,<script>{RUN}</script>",
    f"[x](javascript:{RUN})",
    f'![x](x" onerror="{RUN})',
    f"${{{RUN}}}",
    f"{{{{constructor.constructor('{RUN}')()}}}}",
    f"<%= {RUN} %>",
    f"`${{{RUN}}}`",
    f"';{RUN};//",
    f'";{RUN};//',
)
STRINGS = [
    *OTHERS,
    *islice(
        (shell.format(on=event, run=RUN) for event, shell in product(EVENTS, SHELLS)), 100 - len(OTHERS)
    ),
]  # fmt: skip
CLEAN = [text.replace("\0", "") for text in STRINGS]
ALL = " ".join(CLEAN)
KEPT = {"ticketing_tool", "agent", "traceparent", "reference", "endpoint_id"}


LISTING = ("/deliveries", "/runs", "/connections")
WANTED = {"/deliveries": 60, "/runs": 1, "/connections": 1}
"""How many texts with a string a page shows at least, once it is drawn."""
SEEN = """text => {
    const count = root => [...root.querySelectorAll('*')].reduce(
        (n, e) => n + (e.shadowRoot ? count(e.shadowRoot) : 0)
            + [...e.childNodes].filter(c => c.nodeType === 3 && c.data.includes(text)).length, 0);
    return count(document);
}"""


def _ran(page: Page) -> bool:
    return bool(page.evaluate("() => window.ran === 1"))


async def _poison(dashboard: Dashboard, tenant: UUID) -> None:
    """Put all strings into every text of the tenant's rows that may hold any text, and into a member's address."""
    con = await asyncpg.connect(dashboard.urls.superuser)
    try:
        user = uuid4()
        hashed = "insert into app_user (user_id, email, password_hash) values ($1, $2, '')"
        await con.execute(hashed, user, f"{ALL}{user}@x".lower())
        await con.execute("insert into membership values ($1, $2, 'read-only')", tenant, user)
        for table in (await tables(con)).values():
            linked = {column for columns, _, _ in table.links for column in columns}
            free = [
                name
                for name, column in table.columns.items()
                if column["type"] == "text"
                and name not in linked | set(table.key) | KEPT
                and not any(re.search(rf"\b{name}\b", check) for check in table.checks)
            ]
            for name in free if table.scoped else ():
                try:
                    await con.execute(
                        f'update "{table.name}" set "{name}" = $2 where tenant_id = $1 and "{name}" is distinct from $2 '  # noqa: S608
                        f'and ("{name}" is null or length("{name}") < 4000)',
                        tenant,
                        ALL,
                    )
                except asyncpg.PostgresError:  # unique, generated or append-only
                    continue
    finally:
        await con.close()


@pytest.fixture
def poisoned(dashboard: Dashboard) -> tuple[str, UUID, UUID]:
    """A tenant with each string as a ticket of its own, and all of them in every other text; a delivery and a run."""
    slug = f"x{uuid4().hex[:10]}"
    dashboard.add_tenant(slug)
    note = note_of(CLEAN)
    evidence = [{"source": t, "ref": t, "title": t, "text": t, "url": t, "category": t, "resolution": t} for t in CLEAN]
    steps = [{"name": t, "inputs": {t: t}, "outputs": {"found": [t]}, "error": t, "model": t} for t in CLEAN]
    delivery_id, run_id = dashboard.add_run(
        slug,
        "X-1",
        effect="dead",
        reason=ALL,
        steps=steps,
        ticket={"id": ALL, "title": ALL, "number": ALL, "url": f"javascript:{RUN}", "description": ALL},
        draft={"evidence": evidence},
        enhancement=msgspec.to_builtins(note),
        **dict.fromkeys(("agent", "agent_version", "model", "error"), ALL),
    )
    dashboard.add_note(slug, delivery_id, ALL, note, step={ALL: ALL}, title=ALL, url=f"javascript:{RUN}")
    run_apart(_poison(dashboard, dashboard.tenant_ids[slug]))
    dashboard.change_connection(slug, name=" ".join(CLEAN[::10]))  # in every row of the lists
    for number in range(0, 100, 2):
        other = dashboard.send(slug, f"X-{number + 2}")
        dashboard.change(other, ticket_id=CLEAN[number], reason=CLEAN[number + 1], state="dead")
    return slug, delivery_id, run_id


@pytest.mark.promise("page-runs-no-text", figure="100 strings on every page, with the policy and without")
@pytest.mark.attack(26, figure="100 strings on every page, with the policy and without")
def test_no_string_runs_on_any_page(
    dashboard: Dashboard, open_context: OpenContext, watch: Watch, poisoned: tuple[str, UUID, UUID]
) -> None:
    """On each page, in each list, detail and address, a hundred strings of markup and script stay text."""
    slug, delivery_id, run_id = poisoned
    watch.expected += ["status 4", "console Failed to load resource"]
    connection = dashboard.connections[slug].connection_id
    asked = quote(ALL[:1500])
    pages = [f"{place}?tenant={slug}" for place in PAGES]
    details = [
        f"/deliveries?tenant={slug}&delivery={delivery_id}",
        f"/runs?tenant={slug}&run={run_id}",
        f"/connections?tenant={slug}&connection={connection}",
    ]
    wild = [f"{place}?tenant={asked}&ticket={asked}&state={asked}&cursor={asked}" for place in LISTING]
    shown = _visited(dashboard, open_context(bypass_csp=True).new_page(), [*pages, *details, *wild, f"/{asked}"])
    _visited(dashboard, open_context().new_page(), pages)
    assert shown > 100


def _visited(dashboard: Dashboard, page: Page, addresses: list[str]) -> int:
    """Open each address as the platform's administrator; nothing may run. Return how many of the strings were seen."""
    page.on("dialog", lambda dialog: pytest.fail(f"a dialog: {dialog.message}"))
    log_in(page, dashboard, PLATFORM, addresses[0])
    expect(page.get_by_text(RUN).first).to_be_visible()
    shown = 0
    for address in addresses:
        page.goto(dashboard.url + address, wait_until="domcontentloaded")
        expect(page.get_by_role("heading").first).to_be_visible()
        wanted = WANTED.get(urlsplit(address).path, 0) if "cursor" not in address else 0
        for _ in range(100):  # until the live connection has drawn the rows
            seen = page.evaluate(SEEN, RUN)
            if seen >= wanted:
                break
            page.wait_for_timeout(300)
        assert seen >= wanted, f"{address} shows {seen} of the strings"
        shown += seen
        assert not _ran(page), address
    return shown


def test_most_of_the_strings_would_run(open_context: OpenContext, watch: Watch) -> None:
    """Put into a page as markup, without policy and component, they do run: the test above can fail."""
    watch.expected.append(".*")
    page = open_context(bypass_csp=True).new_page()
    dangerous: set[str] = set()
    for pause in (60, 2_000):
        for text in STRINGS if len(dangerous) < 15 else ():
            page.goto("about:blank")
            page.set_content(f"<p>{text}</p>", wait_until="domcontentloaded")
            page.wait_for_timeout(pause)
            dangerous |= {text} if _ran(page) else set()
    assert len(STRINGS) == 100
    assert len(dangerous) >= 15
