"""A tool whose factory fails is named to agents, and costs the others nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.support.databases import TenantRow
from tests.support.model_desk import ModelDesk, model_desk

from aiops_core import ToolFailed, ToolSpec, hookimpl
from aiops_core.testing.fakes import RecordingLog, SystemClock, make_ticket
from aiops_core.testing.runs import FakeRun
from aiops_host.data.session import Database
from aiops_host.work.context import BoundTool


class Shelf(msgspec.Struct, frozen=True):
    """What the tools would be asked."""

    board: int


def refused(config: object, services: object) -> object:
    """Fail with an error of ours."""
    raise ToolFailed("The shelf has no address.")


FACTORIES: dict[str, Any] = {"broken": lambda: None, "refused": refused, "empty": lambda config, services: None}


class Shelves:
    """A plugin of tools that do not start."""

    @hookimpl
    def aiops_register_tools(self) -> Iterable[ToolSpec]:
        """Contribute them."""
        for name, factory in FACTORIES.items():
            yield ToolSpec(name=name, title=name.title(), description="Broken.", args=Shelf, factory=factory)


@pytest.fixture
async def desk(opened: Database, tmp_path: Path) -> AsyncIterator[ModelDesk]:
    """A worker with the three tools beside the agents' own."""
    async with model_desk(opened, tmp_path) as made:
        record = made.workshop.plugins.load("shelves", Shelves, distribution="shelves", version="1")
        assert record.error is None
        yield made


async def test_a_tool_that_does_not_start_fails_by_name(desk: ModelDesk, tenant: TenantRow) -> None:
    """Asked as agents ask it, it says that it did not start; the other tools are there as ever."""
    ticket, told = make_ticket(), {}
    kit = await desk.workshop.agent_kit(tenant.tenant_id, "enhance", 0)
    for name in FACTORIES:
        tool = BoundTool(*kit.tools[name], ticket, SystemClock(), RecordingLog())
        with pytest.raises(ToolFailed) as failed:
            await tool.invoke(tool.args_for(ticket), timeout=5)
        told[tool.title] = str(failed.value)

    assert told == {
        "Broken": "did not start (TypeError)",
        "Refused": "did not start: The shelf has no address.",
        "Empty": "did not start (TypeError)",
    }
    assert {"similar_tickets", "knowledge_base", "asset_lookup"} <= set(kit.tools)


async def test_the_note_names_it(desk: ModelDesk, tenant: TenantRow) -> None:
    """The enhancing agent says of each what could not be searched."""
    kit = await desk.workshop.agent_kit(tenant.tenant_id, "enhance", 0)
    run = FakeRun(make_ticket(), tools={name: kit.tools[name][1] for name in FACTORIES})

    draft = await kit.agent.run(make_ticket(), run)

    assert "broken could not be searched: did not start (TypeError)." in draft.notices
