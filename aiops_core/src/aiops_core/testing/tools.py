"""The contract of an agent tool as tests."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, ClassVar

import msgspec
import pytest

from aiops_core.config import NoConfig, PluginConfig
from aiops_core.errors import ToolFailed
from aiops_core.specs import ToolSpec
from aiops_core.testing.checks import assert_typed, no_io, within_patience
from aiops_core.testing.contract import Contract
from aiops_core.testing.fakes import FakeServices, RecordingLog, SystemClock, make_ticket
from aiops_core.tickets import Ticket
from aiops_core.tools import Tool, ToolContext, ToolResult

ODD_TICKETS = (
    make_ticket(title="", description=""),
    make_ticket(title="\x00\u202e\ufeff ", description="[" * 5000),
    make_ticket(description="999.999.999.999 ::1 :::::: fe80::%eth0 10.0.0.1/33 " * 200),
    make_ticket(title="'; DROP TABLE tickets; --", description="% _ \\ & | ! ( ) <-> :* '' \" $$ {} ${x}"),
)


class ToolContract(Contract):
    """Standard tests of every tool."""

    spec: ClassVar[ToolSpec]
    """The record the plugin's hook returns."""

    config: ClassVar[PluginConfig] = NoConfig()

    @pytest.fixture
    def services(self) -> FakeServices:
        """Return services among whose data the tool finds something for :meth:`ticket`."""
        raise NotImplementedError("override the fixture `services`")

    def ticket(self) -> Ticket:
        """Return a ticket for which the tool has something to do."""
        return make_ticket()

    def args(self, tool: Tool[Any]) -> Any:
        """Return the arguments for :meth:`ticket`; override where ``args_for`` leaves the choice to the model."""
        return tool.args_for(self.ticket())

    def test_record_is_complete(self) -> None:
        """The record names the tool, says what it is for and has an arguments Struct with a JSON schema."""
        assert self.spec.name.replace("-", "_").isidentifier()
        assert self.spec.title.strip()
        assert self.spec.description.strip()
        assert self.spec.effect in {"read", "write"}
        assert msgspec.json.schema(self.spec.args)

    def test_args_are_typed_repeatable_and_pure(self, services: FakeServices) -> None:
        """args_for returns the declared Struct or None, the same every time, without I/O, for any ticket."""
        tool = self._made(services)
        with no_io():
            for ticket in (self.ticket(), *ODD_TICKETS):
                first, second = tool.args_for(ticket), tool.args_for(ticket)
                assert first == second
                assert first is None or type(first) is self.spec.args

    def test_args_survive_storing(self, services: FakeServices) -> None:
        """The arguments can be stored as JSON and read back unchanged."""
        args = self.args(self._made(services))
        assert type(args) is self.spec.args
        assert msgspec.json.decode(msgspec.json.encode(args), type=self.spec.args) == args

    async def test_result_is_evidence(self, services: FakeServices) -> None:
        """Invoke answers typed evidence that names its source, reference and title."""
        tool = self._made(services)
        result = await within_patience(tool.invoke(self.args(tool), self._context()), "invoke")
        assert_typed(result, ToolResult)
        assert result.evidence or self.spec.effect == "write"
        assert result.summary.strip()
        for item in result.evidence:
            assert item.source.strip()
            assert item.ref.strip()
            assert item.title.strip()

    async def test_odd_tickets_do_not_break_it(self, services: FakeServices) -> None:
        """For empty, huge and hostile tickets the tool answers or raises ToolFailed."""
        tool = self._made(services)
        for ticket in ODD_TICKETS:
            args = tool.args_for(ticket)
            if args is not None:
                await self._settled(tool, args, self._context(ticket))

    async def test_nothing_found_is_a_result(self) -> None:
        """Where there is nothing to find the tool answers an empty result or raises ToolFailed."""
        tool = self._made(FakeServices())
        await self._settled(tool, self.args(tool), self._context())

    async def test_deadline_is_obeyed(self) -> None:
        """When what the tool asks never answers, it ends by the deadline: with what it has or with ToolFailed."""
        tool = self._made(FakeServices.hanging())
        await self._settled(tool, self.args(tool), self._context(seconds=0.05))

    async def test_failing_services_are_told(self) -> None:
        """When what the tool asks fails, it answers what it has or raises ToolFailed."""
        tool = self._made(FakeServices.failing())
        await self._settled(tool, self.args(tool), self._context())

    def _made(self, services: FakeServices) -> Tool[Any]:
        tool = self.spec.factory(self.config, services)
        assert isinstance(tool, Tool)
        return tool

    def _context(self, ticket: Ticket | None = None, *, seconds: float = 5.0) -> ToolContext:
        clock = SystemClock()
        deadline = clock.monotonic() + seconds
        return ToolContext(ticket=ticket or self.ticket(), deadline=deadline, clock=clock, log=RecordingLog())

    async def _settled(self, tool: Tool[Any], args: Any, context: ToolContext) -> None:
        with suppress(ToolFailed):
            assert_typed(await within_patience(tool.invoke(args, context), "invoke"), ToolResult)
