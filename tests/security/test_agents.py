"""Hostile tickets and a model that obeys them: what reaches the model, what it reaches, and what the note says."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from tests.integration.work.conftest import Board, PaperTool
from tests.support.databases import DatabaseUrls, TenantRow, TwoTenants, execute_as_superuser
from tests.support.hostile import EVIL, Hostile, Obedient, tickets
from tests.support.llm_stub import LLMStub, llm_stub, load_litellm
from tests.support.model_desk import ModelDesk, model_desk

from aiops_core import Ticket, plain_text
from aiops_host.data import connections, privacy
from aiops_host.data.privacy import Privacy
from aiops_host.data.retrieval import history
from aiops_host.data.runs import FinishedRun
from aiops_host.data.session import Database
from aiops_host.trust.connections import SystemClock
from aiops_host.work.execute import Executor

FOREIGN = "FOREIGN-CANARY-7f3a"
OWN = "OWN-CANARY-91bc"


@pytest.fixture(scope="module", autouse=True)
def _loaded() -> None:
    load_litellm()


@dataclass
class HostileDesk(PaperTool):
    """A ticketing tool whose tickets give orders."""

    texts: dict[str, str] = field(default_factory=dict)

    async def get_ticket(self, ticket_id: str) -> Ticket:
        """Return the hostile ticket."""
        return Ticket(id=ticket_id, title="VPN drops", description=self.texts[ticket_id], number=ticket_id)


@dataclass
class Office:
    """A worker's parts that run agents, with two tenants, and a model that obeys tickets."""

    desk: ModelDesk
    board: Board
    tool: HostileDesk
    model: Obedient
    stub: LLMStub
    connection: UUID
    tenant: TenantRow

    async def run(self, hostile: Hostile) -> FinishedRun:
        """Run the agent for one ticket as a worker does."""
        self.tool.texts[hostile.name] = hostile.text
        claim = await self.board.claim(
            self.tenant, await self.board.delivery(self.tenant, self.connection, hostile.name)
        )
        assert claim is not None
        async with self.desk.database.tenant(self.tenant.tenant_id) as con:
            record = await connections.get(con, self.connection)
        executor = Executor(
            settings=self.desk.settings, workshop=self.desk.workshop, clock=SystemClock(), meters=self.desk.meters
        )
        return await executor.run(claim, record, self.tool)


@pytest.fixture
async def office(opened: Database, two_tenants: TwoTenants, tmp_path: Path) -> AsyncIterator[Office]:
    """Both tenants with history of their own and a key for the obedient model."""
    model = Obedient()
    async with model_desk(opened, tmp_path) as desk, llm_stub(model) as stub:
        board = Board(opened)
        await desk.provider("obedient", stub.url)
        for tenant, canary in ((two_tenants.a, OWN), (two_tenants.b, FOREIGN)):
            await desk.use(tenant, "obedient", f"sk-{tenant.slug}", "m")
            past = [
                Ticket(
                    id=f"P-{n}",
                    title=f"VPN drops {canary}",
                    description=f"Every hour the VPN drops. {canary}",
                    state="resolved",
                    resolution=f"Lowered the MTU of the tunnel. {canary}",
                )
                for n in range(4)
            ]
            async with opened.tenant(tenant.tenant_id) as con:
                await history.upsert(con, past, connection_id=None, source="test")
        connection = await board.connection(two_tenants.a)
        yield Office(desk, board, HostileDesk(), model, stub, connection, two_tenants.a)


async def _listener() -> tuple[asyncio.Server, str, list[int]]:
    """Start a server that notes every connection; nobody may make one."""
    heard: list[int] = []

    async def hear(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(1)
        writer.close()

    server = await asyncio.start_server(hear, "127.0.0.1", 0)
    return server, f"127.0.0.1:{server.sockets[0].getsockname()[1]}", heard


def _all_of(run: FinishedRun) -> str:
    """Return everything a run keeps, as text."""
    kept: list[Any] = [
        msgspec.to_builtins(run.enhancement),
        msgspec.to_builtins(run.steps),
        msgspec.to_builtins(run.draft),
    ]
    return json.dumps(kept, ensure_ascii=False, default=str)


def _steps_of(run: FinishedRun) -> list[str]:
    return [step.name for step in run.steps]


@pytest.mark.promise("model-has-no-hands", figure="200 tickets in 12 languages and 10 encodings")
@pytest.mark.attack(23, figure="200 tickets in 12 languages and 10 encodings")
@pytest.mark.attack(24, figure="200 tickets in 12 languages and 10 encodings")
@pytest.mark.attack(25, figure="200 tickets in 12 languages and 10 encodings")
async def test_two_hundred_orders_are_given_in_vain(office: Office) -> None:
    """No other tenant's word is read, no tool beyond the usual is called, and nothing leaves but the ticket's own note."""
    server, listener, heard = await _listener()
    usual = _steps_of(await office.run(Hostile("usual", "The VPN drops every hour.", "none")))
    everyone = list(tickets(listener, "tenant-b"))
    assert len(everyone) == 200
    async with server:
        for hostile in everyone:
            before = len(office.stub.asked)
            run = await office.run(hostile)
            sent = json.dumps([asked.body for asked in office.stub.asked[before:]], ensure_ascii=False)
            kept = _all_of(run)
            shown = plain_text(run.enhancement) if run.enhancement else ""

            assert run.error is None, hostile.name
            assert FOREIGN not in sent + kept, hostile.name
            assert OWN in sent, hostile.name
            assert _steps_of(run) == usual, hostile.name
            assert EVIL not in re.sub(r"\s", "", shown).lower(), f"{hostile.name}: {shown}"
            assert listener not in shown, f"{hostile.name}: {shown}"
            assert not re.search(r"i have (reset|closed)", shown, re.I), f"{hostile.name}: {shown}"
            others = [other.canary for other in everyone if other.canary != hostile.canary]
            assert not [canary for canary in others if canary in sent + kept], hostile.name
        assert heard == []
    assert office.model.obeyed == 200, "the model understood every order"
    assert office.model.calls > 100


@pytest.mark.attack(23)
async def test_without_the_wall_the_other_tenants_words_would_be_read(office: Office, database: DatabaseUrls) -> None:
    """With row-level security off the same oracle sees the other tenant's canary, so its silence means something."""
    await execute_as_superuser(
        database.superuser,
        "do $$ declare t text; begin for t in select relname from pg_class where relnamespace = 'public'::regnamespace "
        "and relkind = 'r' loop execute format('alter table %I disable row level security', t); end loop; end $$",
    )
    run = await office.run(Hostile("open", "The VPN drops every hour.", "none"))
    assert FOREIGN in json.dumps([asked.body for asked in office.stub.asked]) + _all_of(run)


@pytest.mark.promise("personal-data", figure="one run through a real model server")
async def test_a_model_is_not_told_who_it_is_about(office: Office, opened: Database) -> None:
    """Where the tenant asks for it, no address of a person reaches the model's server, and the note still names them."""
    chosen = Privacy(kinds=("email", "phone"), regions=("DE",))
    async with opened.tenant(office.tenant.tenant_id) as con:
        await privacy.write(con, office.tenant.tenant_id, chosen)
    text = "Kim (kim@customer.example, 030 / 901820) cannot connect.\nSAY>call kim@customer.example<END"
    run = await office.run(Hostile("person", text, "none"))
    sent = json.dumps([asked.body for asked in office.stub.asked])

    assert "kim@customer.example" not in sent
    assert "901820" not in sent
    assert re.search(r"EMAIL_1_[A-Z]{4}", sent)
    assert run.enhancement is not None
    assert "call kim@customer.example" in plain_text(run.enhancement)
    assert office.desk.figure("redaction_hits_total", kind="email") == 2

    async with opened.tenant(office.tenant.tenant_id) as con:
        await privacy.write(con, office.tenant.tenant_id, Privacy())
    await office.run(Hostile("open", text, "none"))
    assert "kim@customer.example" in json.dumps(office.stub.asked[-1].body)
