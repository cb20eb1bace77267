"""Past tickets: what is stored, found, brought up to date and forgotten."""

import asyncio
import random
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from tests.support.databases import DatabaseUrls, TwoTenants
from tests.support.search_index import broken_rules, refs, row_counts, store, ticket, write_crosswise

from aiops_core.tickets import Person, Ticket
from aiops_host.data.retrieval import history, index, ranking
from aiops_host.data.retrieval.history import UpsertCount
from aiops_host.data.session import Database

VPN = ticket(1, "VPN drops every hour\nThe tunnel to the office closes after sixty minutes.")
PRINTER = ticket(2, "Printer offline\nThe label printer in the warehouse prints nothing.")
MAIL = ticket(3, "Mailbox full\nOutlook says the mailbox has reached its quota.")

HOSTILE = {
    "empty": "",
    "spaces": " \n\t ",
    "stop words": "the of and to is der die das und",
    "NUL": "VPN\x00drops\x00",
    "lone surrogates": "VPN \ud800 drops \udfff",
    "emoji": "VPN 😱🔥 drops 👩‍💻",
    "one megabyte": "tunnel " * 150_000,
    "one endless word": "x" * 1_000_000,
    "many words": " ".join(f"word{n}" for n in range(30_000)),
    "expanding characters": "\ufdfa" * 100_000,
    "query syntax": "'; drop table past_ticket; -- & | ! ( <-> :* \\",
    "right to left": "\u202eVPN العربية עברית",
}


async def test_a_similar_ticket_is_found_with_what_fixed_it(opened: Database, two_tenants: TwoTenants) -> None:
    """The evidence carries the ticket's fields: number, category, priority, resolution, address and time."""
    tenant_id = two_tenants.a.tenant_id
    solved = datetime(2026, 3, 1, 12, tzinfo=UTC)
    full = Ticket(
        id="10001",
        number="HD-7",
        title="VPN drops every hour",
        description="The tunnel closes.",
        category="Network",
        priority="high",
        priority_word="P2",
        resolution="Raised the rekey interval.",
        url="https://desk.example/HD-7",
        requester=Person(name="Ada"),
        technician=Person(email="t@example.com"),
        created_at=datetime(2026, 2, 28, tzinfo=UTC),
        resolved_at=solved,
    )
    await store(opened, tenant_id, [full, PRINTER, MAIL])
    async with opened.tenant(tenant_id) as con:
        best = (await history.similar(con, "vpn tunnel closed", 2))[0]
        row = await con.fetchrow("select * from past_ticket where ticket_id = '10001'")
    assert (best.source, best.ref, best.title, best.text) == (
        "ticket",
        "HD-7",
        "VPN drops every hour",
        "The tunnel closes.",
    )
    assert (best.category, best.priority, best.resolution) == ("Network", "high", "Raised the rekey interval.")
    assert (best.url, best.time) == ("https://desk.example/HD-7", solved)
    assert 0 < best.score < 1
    assert (row["requester"], row["technician"], row["priority_word"], row["source"]) == (
        "Ada",
        "t@example.com",
        "P2",
        "test",
    )


async def test_best_comes_first_and_unlike_tickets_do_not_come(opened: Database, two_tenants: TwoTenants) -> None:
    """Tickets that share rarer words come first; one that shares none is not returned."""
    tenant_id = two_tenants.a.tenant_id
    await store(opened, tenant_id, [VPN, PRINTER, MAIL, ticket(4, "Tunnel slow\nThe VPN is slow today.")])
    found = await refs(opened, tenant_id, "our vpn tunnel drops each hour")
    assert found[:2] == ["1", "4"]
    assert await refs(opened, tenant_id, "zebra") == []
    assert await refs(opened, tenant_id, "vpn", limit=1) == ["4"]


@pytest.mark.parametrize(
    ("stored", "asked"),
    [
        ("Passwort abgelaufen", "Benutzer hat abgelaufene Passwörter"),
        ("Drucker druckt nicht mehr", "Mehrere Drucker im Lager"),
        ("Verbindungen brechen ab", "Die Verbindung bricht immer wieder zusammen"),
        ("User cannot connect to printers", "printer connection fails"),
        ("Mailboxes are syncing slowly", "mailbox sync is slow"),
        ("Fileserver srv-files01.corp.example down", "srv-files01 antwortet nicht"),
        ("Ping auf 10.20.30.40 fehlgeschlagen", "what is 10.20.30.40?"),
        ("Update fails with 0x80070005", "Fehler 0X80070005 beim Update"),
        ("STRASSE gesperrt", "Straße"),
    ],
)
async def test_german_and_english_words_meet_their_inflections(
    opened: Database, two_tenants: TwoTenants, stored: str, asked: str
) -> None:
    """Both languages, and names of machines and errors, are found in other forms without any setting."""
    await store(opened, two_tenants.a.tenant_id, [ticket(1, stored), ticket(2, "Zebra crossing"), ticket(3, "Giraffe")])
    assert await refs(opened, two_tenants.a.tenant_id, asked) == ["1"]


async def test_words_that_only_join_others_are_not_asked_for(opened: Database, two_tenants: TwoTenants) -> None:
    """Sharing function words, English or German, makes no ticket alike, and takes nothing from a real likeness."""
    tenant_id = two_tenants.a.tenant_id
    texts = ["the tunnel is not in use and was closed", "der Tunnel ist nicht mit dem Netz verbunden", "toner"]
    await store(opened, tenant_id, [ticket(n, text) for n, text in enumerate(texts)])
    async with opened.tenant(tenant_id) as con:
        assert await history.similar(con, "is it not in the and was with der die ist mit dem") == []
        (alone,) = await history.similar(con, "toner")
        (joined,) = await history.similar(con, "is it the toner that was not with the und mit dem")
    assert joined.ref == alone.ref
    assert joined.score == pytest.approx(alone.score)


async def test_the_live_ticket_does_not_find_itself(opened: Database, two_tenants: TwoTenants) -> None:
    """The ticket at hand is left out and does not use up the limit; its namesake at another connection stays."""
    tenant_id, jira, other = two_tenants.a.tenant_id, uuid4(), uuid4()
    twin = ticket(9, VPN.text)
    await store(opened, tenant_id, [VPN, twin, PRINTER], connection_id=jira)
    assert await refs(opened, tenant_id, VPN.text, limit=1, exclude_ticket_id="1") == ["9"]
    assert await refs(opened, tenant_id, VPN.text, limit=1, exclude_ticket_id="9") == ["1"]
    await store(opened, tenant_id, [VPN], connection_id=other)
    found = await refs(opened, tenant_id, VPN.text, exclude_ticket_id="1", exclude_connection_id=other)
    assert sorted(found[:2]) == ["1", "9"]
    assert found.count("1") == 1
    await store(opened, tenant_id, [VPN], connection_id=None)
    found = await refs(opened, tenant_id, VPN.text, exclude_ticket_id="1", exclude_connection_id=other)
    assert found.count("1") == 1


async def test_importing_again_changes_nothing(opened: Database, two_tenants: TwoTenants) -> None:
    """A second import of the same tickets counts them as unchanged and leaves every row as it was."""
    tenant_id = two_tenants.a.tenant_id
    assert await store(opened, tenant_id, [VPN, PRINTER, MAIL, VPN]) == UpsertCount(added=3)
    async with opened.tenant(tenant_id) as con:
        before = await row_counts(con), await con.fetch("select * from past_ticket order by document_id")
    assert await store(opened, tenant_id, [MAIL, VPN, PRINTER]) == UpsertCount(unchanged=3)
    async with opened.tenant(tenant_id) as con:
        assert (await row_counts(con), await con.fetch("select * from past_ticket order by document_id")) == before
        assert await broken_rules(con) == []


async def test_a_reworded_ticket_is_found_by_its_new_words_only(opened: Database, two_tenants: TwoTenants) -> None:
    """An update replaces the old words without a trace; one of other fields keeps the index as it is."""
    tenant_id = two_tenants.a.tenant_id
    await store(opened, tenant_id, [VPN, PRINTER])
    reworded = ticket(1, "Monitor flickers", resolution="New cable.")
    assert await store(opened, tenant_id, [reworded, PRINTER]) == UpsertCount(changed=1, unchanged=1)
    assert await refs(opened, tenant_id, "vpn tunnel") == []
    assert await refs(opened, tenant_id, "flickering monitor") == ["1"]
    async with opened.tenant(tenant_id) as con:
        document = await con.fetchval("select document_id from past_ticket where ticket_id = '1'")
    assert await store(
        opened, tenant_id, [ticket(1, "Monitor flickers", resolution="New graphics card.")]
    ) == UpsertCount(changed=1)
    async with opened.tenant(tenant_id) as con:
        assert (await history.similar(con, "monitor"))[0].resolution == "New graphics card."
        assert await con.fetchval("select document_id from past_ticket where ticket_id = '1'") == document
        assert await con.fetchval("select count(*) from search_lexeme where lexeme = 'tunnel'") == 0
        assert await broken_rules(con) == []


async def test_a_ticket_of_two_connections_is_two_tickets(opened: Database, two_tenants: TwoTenants) -> None:
    """Ids are compared within a connection, never across two."""
    tenant_id, one, two = two_tenants.a.tenant_id, uuid4(), uuid4()
    for connection_id in (one, two):
        assert await store(opened, tenant_id, [VPN], connection_id=connection_id) == UpsertCount(added=1)
        assert await store(opened, tenant_id, [VPN], connection_id=connection_id) == UpsertCount(unchanged=1)
    async with opened.tenant(tenant_id) as con:
        assert await history.delete(con, ["1"], connection_id=two) == 1
        assert await history.delete(con, ["1"]) == 1
        assert await history.delete(con, ["1"]) == 0


@pytest.mark.parametrize("file_first", [True, False])
async def test_a_ticket_from_a_file_and_a_connection_is_one(
    opened: Database, two_tenants: TwoTenants, file_first: bool
) -> None:
    """Whichever comes first, the ticket is kept once, belongs to the connection and loses nothing the other told."""
    tenant_id, jira = two_tenants.a.tenant_id, uuid4()
    from_file = ticket(1, VPN.text, resolution="Raised the rekey interval.", priority="high")
    from_tool = ticket(1, "VPN drops\nEvery hour, says Ada.", url="https://desk.example/1", category="Network")
    sides = [([from_file, PRINTER], None, "file"), ([from_tool, MAIL], jira, "search")]
    for tickets, connection_id, source in sides if file_first else sides[::-1]:
        await store(opened, tenant_id, tickets, connection_id=connection_id, source=source)
        again = await store(opened, tenant_id, tickets, connection_id=connection_id, source=source)
        assert again == UpsertCount(unchanged=2)
    async with opened.tenant(tenant_id) as con:
        (kept,) = await con.fetch("select * from past_ticket where ticket_id = '1'")
        assert (await row_counts(con))["past_ticket"] == 3
        assert await broken_rules(con) == []
    assert (kept["connection_id"], kept["body"]) == (jira, (from_tool if file_first else from_file).description)
    assert (kept["resolution"], kept["priority"]) == ("Raised the rekey interval.", "high")
    assert (kept["url"], kept["category"]) == ("https://desk.example/1", "Network")
    found = await refs(opened, tenant_id, VPN.text, exclude_ticket_id="1", exclude_connection_id=jira)
    assert "1" not in found


async def test_a_file_is_matched_by_title_where_two_connections_share_an_id(
    opened: Database, two_tenants: TwoTenants
) -> None:
    """A row of a file goes to the namesake whose title it has, and to neither when it has another."""
    tenant_id, one, two = two_tenants.a.tenant_id, uuid4(), uuid4()
    await store(opened, tenant_id, [ticket(1, VPN.text)], connection_id=one)
    await store(opened, tenant_id, [ticket(1, PRINTER.text)], connection_id=two)
    fixed = ticket(1, PRINTER.title, resolution="New cable.")
    assert await store(opened, tenant_id, [fixed]) == UpsertCount(changed=1)
    assert await store(opened, tenant_id, [ticket(1, MAIL.text)]) == UpsertCount(added=1)
    async with opened.tenant(tenant_id) as con:
        rows = await con.fetch("select connection_id, resolution from past_ticket where ticket_id = '1'")
    assert {row["connection_id"]: row["resolution"] for row in rows} == {one: None, two: "New cable.", None: None}


async def test_a_file_and_a_connection_imported_at_once(opened: Database, two_tenants: TwoTenants) -> None:
    """Imports that run at the same time keep each ticket once; another tenant's tickets of the same ids stay apart."""
    tenant_id, other, jira = two_tenants.a.tenant_id, two_tenants.b.tenant_id, uuid4()
    tickets = [ticket(n, f"shared words and number{n}") for n in range(30)]
    batches = [tickets[start : start + 5] for start in range(0, 30, 5)]
    await store(opened, other, tickets)

    async def import_all(connection_id: UUID | None) -> None:
        for batch in batches:
            await store(opened, tenant_id, batch, connection_id=connection_id)

    await asyncio.gather(import_all(None), import_all(jira), import_all(None))
    for whose, belongs in ((tenant_id, jira), (other, None)):
        async with opened.tenant(whose) as con:
            rows = await con.fetch("select ticket_id, connection_id from past_ticket")
            assert sorted(row["ticket_id"] for row in rows) == sorted(t.id for t in tickets)
            assert {row["connection_id"] for row in rows} == {belongs}
            assert await broken_rules(con) == []


async def test_a_deleted_ticket_leaves_nothing_behind(opened: Database, two_tenants: TwoTenants) -> None:
    """Deleting everything empties every table but the row of counts."""
    tenant_id = two_tenants.a.tenant_id
    await store(opened, tenant_id, [VPN, PRINTER, MAIL])
    async with opened.tenant(tenant_id) as con:
        assert await history.delete(con, ["1", "nobody"]) == 1
        assert await broken_rules(con) == []
        everything = " ".join(t.text for t in (VPN, PRINTER, MAIL))
        assert sorted(e.ref for e in await history.similar(con, everything)) == ["2", "3"]
        assert await history.delete(con, ["2", "3"]) == 2
        counts = await row_counts(con)
    assert counts.pop("search_corpus") == 1
    assert set(counts.values()) == {0}


async def test_a_grown_index_equals_one_built_at_once(opened: Database, two_tenants: TwoTenants) -> None:
    """Additions, rewordings and deletions in any order find the same with the same scores as a fresh import."""
    rng = random.Random(7)  # noqa: S311 - test data
    words = [f"{stem}{n}" for n in range(12) for stem in ("vpn", "print", "mail", "disk", "login")]

    def text() -> str:
        return " ".join(rng.choices(words, k=rng.randint(3, 30)))

    grown, fresh = two_tenants.a.tenant_id, two_tenants.b.tenant_id
    final: dict[str, Ticket] = {}
    for _ in range(12):
        batch = [ticket(rng.randint(1, 80), text()) for _ in range(rng.randint(1, 20))]
        await store(opened, grown, batch)
        final.update({t.id: t for t in batch})
        gone = rng.sample(sorted(final), 3)
        async with opened.tenant(grown) as con:
            await history.delete(con, gone)
        for ticket_id in gone:
            del final[ticket_id]
    await store(opened, fresh, list(final.values()))
    for _ in range(20):
        query = text()
        answers = []
        for tenant_id in (grown, fresh):
            async with opened.tenant(tenant_id) as con:
                answers.append({e.ref: e.score for e in await history.similar(con, query, 80)})
                assert await broken_rules(con) == []
        assert answers[0] == pytest.approx(answers[1])


async def test_pruning_finds_what_reading_everything_finds(
    opened: Database, two_tenants: TwoTenants, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When common words are not read to find candidates, the candidates still get their full scores."""
    tenant_id = two_tenants.a.tenant_id
    rng = random.Random(3)  # noqa: S311 - test data
    tickets = [ticket(n, f"common shared words rare{n % 9} {rng.choice('abc')}bit {'filler ' * n}") for n in range(60)]
    await store(opened, tenant_id, tickets)
    async with opened.tenant(tenant_id) as con:
        query = "common shared words rare4 and rare5 with abit bbit"
        whole = await history.similar(con, query, 8)
        monkeypatch.setattr(ranking, "POSTING_BUDGET", 15)
        pruned = await history.similar(con, query, 8)
    assert [e.ref for e in pruned] == [e.ref for e in whole]
    assert [e.score for e in pruned] == pytest.approx([e.score for e in whole])


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
async def test_hostile_texts_are_stored_and_searched(opened: Database, two_tenants: TwoTenants, text: str) -> None:
    """No text stops the import or a search; what PostgreSQL cannot hold is replaced, what is endless is cut."""
    tenant_id = two_tenants.a.tenant_id
    weird = Ticket(
        id="w", title=text, description=text, resolution=text, category=text, url=text, requester=Person(name=text)
    )
    assert await store(opened, tenant_id, [weird, VPN]) == UpsertCount(added=2)
    assert await store(opened, tenant_id, [weird, VPN]) == UpsertCount(unchanged=2)
    async with opened.tenant(tenant_id) as con:
        found = await history.similar(con, text, 5)
        assert all(len(e.title) <= 500 and len(e.text) <= 1_200 for e in found)
        assert "1" in [e.ref for e in await history.similar(con, "vpn " + VPN.text, 5)]
        assert await con.fetchval("select max(cardinality(lexeme_ids)) from search_document") <= 12_000
        assert await broken_rules(con) == []


async def test_importers_of_one_tenant_take_turns(opened: Database, two_tenants: TwoTenants) -> None:
    """Importers with the same tickets in opposite order neither wait for each other for ever nor count twice."""
    tenant_id = two_tenants.a.tenant_id
    tickets = [ticket(n, f"shared words and number{n}") for n in range(40)]

    async def import_all(order: list[Ticket]) -> None:
        for start in range(0, len(order), 10):
            await store(opened, tenant_id, order[start : start + 10])
            async with opened.tenant(tenant_id) as con:
                await history.delete(con, [order[start].id])

    await asyncio.wait_for(asyncio.gather(import_all(tickets), import_all(tickets[::-1]), import_all(tickets)), 60)
    async with opened.tenant(tenant_id) as con:
        assert await broken_rules(con) == []


async def test_importers_cannot_wait_for_each_other(
    opened: Database, two_tenants: TwoTenants, database: DatabaseUrls
) -> None:
    """Of two sessions that write the same words crosswise, the later one waits before it writes anything."""

    async def tunnel(con: Any) -> None:
        await history.upsert(con, [ticket(1, "tunnel")], connection_id=uuid4(), source="test")

    async def toner(con: Any) -> None:
        await history.upsert(con, [ticket(1, "toner")], connection_id=uuid4(), source="test")

    tenant_id = two_tenants.a.tenant_id
    await store(opened, tenant_id, [ticket(0, "tunnel toner")])
    await write_crosswise(opened, database.superuser, tenant_id, tunnel, toner)
    async with opened.tenant(tenant_id) as con:
        assert (await row_counts(con))["past_ticket"] == 5
        assert await broken_rules(con) == []


async def test_concepts_are_learnt_as_the_history_grows(opened: Database, two_tenants: TwoTenants) -> None:
    """From a hundred tickets on, one about the same things is preferred over one that only shares the words."""
    tenant_id = two_tenants.a.tenant_id
    rng = random.Random(5)  # noqa: S311 - test data
    topics = (["tunnel", "gateway", "remote", "token", "client"], ["toner", "paper", "tray", "label", "jam"])
    tickets = [ticket(n, " ".join(rng.sample(topics[n % 2], 4)) + " please help") for n in range(120)]
    near, far = ticket("near", "please help token remote urgent"), ticket("far", "please help toner paper urgent")
    async with opened.tenant(tenant_id) as con:
        await history.upsert(con, [*tickets[:90], near, far], connection_id=None, source="test")
        assert await con.fetchval("select count(*) from search_concept") == 0
        scores = {e.ref: e.score for e in await history.similar(con, "urgent tunnel gateway", 90)}
        assert scores["near"] == pytest.approx(scores["far"])
        await history.upsert(con, tickets[90:], connection_id=None, source="test")
        assert await con.fetchval("select count(*) from search_concept") > 10
        assert not await index.learn_if_grown(con, "tickets")
        scores = {e.ref: e.score for e in await history.similar(con, "urgent tunnel gateway", 120)}
        assert scores["near"] > 2 * scores["far"]
