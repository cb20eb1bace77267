"""Knowledge articles: found and quoted by the passage that fits."""

from datetime import UTC, datetime

import pytest
from tests.support.databases import TwoTenants
from tests.support.search_index import broken_rules, row_counts

from aiops_host.data.retrieval import knowledge
from aiops_host.data.retrieval.history import UpsertCount
from aiops_host.data.retrieval.knowledge import Article
from aiops_host.data.session import Database

PADDING = "Nothing of interest stands in this paragraph, which is only here to be long. " * 8
GUIDE = Article(
    slug="remote/vpn.md",
    title="Remote access",
    body=f"# Introduction\n\n{PADDING}\n\n## Token\n\nA lost token is replaced by the service desk.\n\n{PADDING}\n\n"
    f"## Tunnel\n\nIf the tunnel drops every hour, raise the rekey interval to eight hours.\n\n{PADDING}",
    url="https://kb.example/vpn",
    tags=("vpn", "homeoffice"),
    updated_at=datetime(2026, 1, 2, tzinfo=UTC),
)
PRINTING = Article(slug="printing", title="Label printers", body="Clean the sensor when labels stick.")


async def test_an_article_is_quoted_by_the_passage_that_fits(opened: Database, two_tenants: TwoTenants) -> None:
    """The text is what the article says about the question, not how it begins, with its title, address and time."""
    async with opened.tenant(two_tenants.a.tenant_id) as con:
        assert await knowledge.upsert(con, [GUIDE, PRINTING]) == UpsertCount(added=2)
        best = (await knowledge.search(con, "the tunnel drops each hour"))[0]
        assert "rekey interval" in best.text
        assert "# Introduction" not in best.text
        assert len(best.text) <= 1_200
        assert (best.source, best.ref, best.title) == ("article", "remote/vpn.md", "Remote access")
        assert (best.url, best.time) == ("https://kb.example/vpn", datetime(2026, 1, 2, tzinfo=UTC))
        assert "lost token" in (await knowledge.search(con, "I lost my token"))[0].text


async def test_each_article_is_found_once(opened: Database, two_tenants: TwoTenants) -> None:
    """An article with many fitting passages does not push the others out."""
    many = Article(
        slug="many", title="Tunnel", body="\n\n".join(f"## Tunnel {n}\n\ntunnel {PADDING}" for n in range(9))
    )
    others = [Article(slug=f"other{n}", title="Other", body=f"One more tunnel. {PADDING * 2}") for n in range(3)]
    async with opened.tenant(two_tenants.a.tenant_id) as con:
        await knowledge.upsert(con, [many, *others])
        found = [e.ref for e in await knowledge.search(con, "tunnel", 4)]
    assert sorted(found) == ["many", "other0", "other1", "other2"]


async def test_title_and_tags_find_an_article(opened: Database, two_tenants: TwoTenants) -> None:
    """What only the title or a tag says is searched too."""
    async with opened.tenant(two_tenants.a.tenant_id) as con:
        await knowledge.upsert(con, [GUIDE, PRINTING, Article(slug="bare", title="Password policy", body="")])
        assert [e.ref for e in await knowledge.search(con, "homeoffice")] == ["remote/vpn.md"]
        assert [e.ref for e in await knowledge.search(con, "passwords")] == ["bare"]


async def test_an_update_replaces_every_passage(opened: Database, two_tenants: TwoTenants) -> None:
    """A changed article is found by its new text only; importing it again changes nothing; deleting leaves nothing."""
    async with opened.tenant(two_tenants.a.tenant_id) as con:
        await knowledge.upsert(con, [GUIDE, PRINTING])
        shorter = Article(slug=GUIDE.slug, title="Remote access", body="Ask for a new certificate.")
        assert await knowledge.upsert(con, [shorter, PRINTING]) == UpsertCount(changed=1, unchanged=1)
        assert await knowledge.search(con, "tunnel token") == []
        assert (await knowledge.search(con, "certificates"))[0].text == "Ask for a new certificate."
        before = await row_counts(con)
        assert await knowledge.upsert(con, [PRINTING, shorter]) == UpsertCount(unchanged=2)
        assert await row_counts(con) == before
        assert await broken_rules(con) == []
        assert await knowledge.delete(con, ["printing", GUIDE.slug, "nobody"]) == 2
        assert sum((await row_counts(con)).values()) == 1
        assert await broken_rules(con) == []


@pytest.mark.parametrize("text", ["", "\x00", "\ud800", "x" * 1_000_000, "# \n" * 50_000, "a\n\n" * 50_000])
async def test_hostile_articles_are_stored(opened: Database, two_tenants: TwoTenants, text: str) -> None:
    """Bodies that cannot be stored or quoted whole are cleaned and cut, and the rest still found."""
    async with opened.tenant(two_tenants.a.tenant_id) as con:
        odd = Article(slug=f"odd{text[:10]}", title=f"Odd {text}", body=text, url=text, tags=(text,))
        await knowledge.upsert(con, [odd, PRINTING])
        assert await knowledge.upsert(con, [odd, PRINTING]) == UpsertCount(unchanged=2)
        assert all(len(e.text) <= 1_200 for e in await knowledge.search(con, f"odd {text}"))
        assert [e.ref for e in await knowledge.search(con, "sticking label")] == ["printing"]
        assert await broken_rules(con) == []
