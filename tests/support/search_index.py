"""What must hold of a tenant's search index whatever was done to it, and a way to fill one."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

import asyncpg

from aiops_core.tickets import Ticket
from aiops_host.data.retrieval import history
from aiops_host.data.retrieval.history import UpsertCount
from aiops_host.data.session import Database

TABLES = (
    "search_corpus",
    "search_lexeme",
    "search_document",
    "search_posting",
    "search_concept",
    "past_ticket",
    "article",
    "article_passage",
    "asset",
    "asset_key",
)

# Each query returns a row for everything that contradicts the rule.
RULES = {
    "a posting stands for a lexeme of a document": """
        (select lexeme_id, document_id, frequency, words from search_posting
         except select f.lexeme_id, d.document_id, f.frequency, d.words
         from search_document d cross join unnest(d.lexeme_ids, d.frequencies) f(lexeme_id, frequency))
    """,
    "a lexeme of a document has its posting": """
        (select f.lexeme_id, d.document_id, f.frequency, d.words
         from search_document d cross join unnest(d.lexeme_ids, d.frequencies) f(lexeme_id, frequency)
         except select lexeme_id, document_id, frequency, words from search_posting)
    """,
    "a lexeme knows in how many documents it is": """
        select lexeme, documents from search_lexeme l
        where documents <> (select count(*) from search_posting p where p.lexeme_id = l.lexeme_id)
    """,
    "the corpus knows its documents": """
        select c.collection, c.documents, c.words
        from search_corpus c left join search_document d on d.collection = c.collection
        group by c.collection, c.documents, c.words
        having c.documents <> count(d.document_id) or c.words <> coalesce(sum(d.words::float8), 0)
    """,
    "a document is a past ticket or a passage": """
        select document_id from search_document where collection = 'tickets'
            and document_id not in (select document_id from past_ticket)
        union all
        select document_id from search_document where collection = 'articles'
            and document_id not in (select document_id from article_passage)
    """,
}


async def broken_rules(con: Any) -> list[str]:
    """Return the rules the current tenant's index breaks."""
    return [rule for rule, query in RULES.items() if await con.fetch(query)]


async def row_counts(con: Any) -> dict[str, int]:
    """Count the current tenant's rows of every table of retrieval."""
    return {table: await con.fetchval(f"select count(*) from {table}") for table in TABLES}  # noqa: S608 - names above


def ticket(number: int | str, text: str, **fields: Any) -> Ticket:
    """Make a past ticket whose first line is its title."""
    title, _, description = text.partition("\n")
    return Ticket(id=str(number), title=title, description=description, **fields)


async def store(
    database: Database,
    tenant_id: UUID,
    tickets: Sequence[Ticket],
    *,
    connection_id: UUID | None = None,
    source: str = "test",
) -> UpsertCount:
    """Put tickets into the history in a session of their own."""
    async with database.tenant(tenant_id) as con:
        return await history.upsert(con, tickets, connection_id=connection_id, source=source)


async def refs(database: Database, tenant_id: UUID, text: str, **options: Any) -> list[str]:
    """Return the ids of the past tickets found for ``text``, best first."""
    async with database.tenant(tenant_id) as con:
        return [item.ref for item in await history.similar(con, text, **options)]


SOMEBODY_WAITS = """
select exists(select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')
"""


async def write_crosswise(
    database: Database,
    superuser_url: str,
    tenant_id: UUID,
    one: Callable[[Any], Awaitable[Any]],
    two: Callable[[Any], Awaitable[Any]],
) -> None:
    """Write ``one`` then ``two`` in a session, and ``two`` then ``one`` in another that starts in between.

    Writers that lock row by row wait for each other then, and PostgreSQL ends one of them.
    """
    first_wrote, second_wrote = asyncio.Event(), asyncio.Event()

    async def other_way() -> None:
        await first_wrote.wait()
        async with database.tenant(tenant_id) as con:
            await two(con)
            second_wrote.set()
            await one(con)

    superuser = await asyncpg.connect(superuser_url)
    second = asyncio.create_task(other_way())  # outside the session, which a task started in it would join
    try:
        async with database.tenant(tenant_id) as con:
            await one(con)
            first_wrote.set()
            while not (second_wrote.is_set() or await superuser.fetchval(SOMEBODY_WAITS)):
                pass
            await two(con)
        await second
    finally:
        second.cancel()
        await superuser.close()
