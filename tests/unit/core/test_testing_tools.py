# ruff: noqa: D102 - the docstring of each broken class says what its one method does
"""The contract of tools accepts a sound tool and refuses broken ones."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import socket
from typing import Any, ClassVar

import msgspec
import pytest

from aiops_core import AiopsError, Evidence, Ticket, Tool, ToolContext, ToolFailed, ToolResult, ToolServices, ToolSpec
from aiops_core.testing import checks
from aiops_core.testing.fakes import FakeServices, InMemoryHistory, make_evidence
from aiops_core.testing.tools import ToolContract


class Args(msgspec.Struct, frozen=True):
    """What to look for."""

    text: str


class Lookup(Tool[Args]):
    """Finds past tickets."""

    def __init__(self, services: ToolServices) -> None:
        """Take what the host hands in."""
        self.services = services

    def args_for(self, ticket: Ticket) -> Args | None:
        return Args(ticket.text) if ticket.text else None

    async def invoke(self, args: Args, context: ToolContext) -> ToolResult:
        try:
            async with asyncio.timeout(max(0.0, context.deadline - context.clock.monotonic())):
                found = await self.services.history.similar(args.text)
        except TimeoutError:
            raise ToolFailed("The history took too long.") from None
        except AiopsError as error:
            raise ToolFailed(str(error)) from error
        return self.result(tuple(found))

    def result(self, found: tuple[Evidence, ...]) -> ToolResult:
        return ToolResult(evidence=found, summary=f"{len(found)} similar tickets.")


def spec_of(tool: type[Lookup]) -> ToolSpec:
    """Return the record of a tool."""
    return ToolSpec(
        name="lookup",
        title="Lookup",
        description="Finds past tickets.",
        args=Args,
        factory=lambda _config, services: tool(services),
    )


class LookupSubject(ToolContract):
    """The tool, or a variant of it, on a history of two tickets."""

    spec = spec_of(Lookup)

    @pytest.fixture
    def services(self) -> FakeServices:
        """Return services with something to find."""
        return self.provided()

    def provided(self) -> FakeServices:
        """Return services with something to find."""
        return FakeServices(history=InMemoryHistory(make_evidence()))


class TestLookup(LookupSubject):
    """The sound tool fulfils the contract."""


class Impure(Lookup):
    """Dials while choosing its arguments."""

    def args_for(self, ticket: Ticket) -> Args | None:
        with socket.socket() as connection:
            connection.connect_ex(("127.0.0.1", 9))
        return super().args_for(ticket)


class Fickle(Lookup):
    """Chooses differently every time."""

    count: ClassVar[Any] = itertools.count()

    def args_for(self, ticket: Ticket) -> Args | None:
        return Args(str(next(self.count)))


class Loose(Lookup):
    """Chooses arguments of another type."""

    def args_for(self, ticket: Ticket) -> Any:
        return {"text": ticket.text}


class Silent(Lookup):
    """Says nothing about what it found."""

    def result(self, found: tuple[Evidence, ...]) -> ToolResult:
        return ToolResult(evidence=found)


class Nameless(Lookup):
    """Finds items without a title."""

    def result(self, found: tuple[Evidence, ...]) -> ToolResult:
        return ToolResult(evidence=(Evidence(source="ticket", ref="1", title=" ", text=""),), summary="One.")


class Untyped(Lookup):
    """Answers a list where a tuple of evidence is declared."""

    def result(self, found: tuple[Evidence, ...]) -> ToolResult:
        return ToolResult(evidence=("VPN",), summary="One.")  # type: ignore[arg-type]


class Patient(Lookup):
    """Knows no deadline."""

    async def invoke(self, args: Args, context: ToolContext) -> ToolResult:
        return self.result(tuple(await self.services.history.similar(args.text)))


class Strict(Lookup):
    """Fails with an error of its own on text it does not expect."""

    async def invoke(self, args: Args, context: ToolContext) -> ToolResult:
        if not args.text.isprintable() and "[" in args.text:
            raise ValueError(args.text)
        return await super().invoke(args, context)


@pytest.mark.parametrize(
    ("broken", "test"),
    [
        (Impure, "test_args_are_typed_repeatable_and_pure"),
        (Fickle, "test_args_are_typed_repeatable_and_pure"),
        (Loose, "test_args_are_typed_repeatable_and_pure"),
        (Loose, "test_args_survive_storing"),
        (Silent, "test_result_is_evidence"),
        (Nameless, "test_result_is_evidence"),
        (Untyped, "test_result_is_evidence"),
        (Patient, "test_deadline_is_obeyed"),
        (Patient, "test_failing_services_are_told"),
        (Strict, "test_odd_tickets_do_not_break_it"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
async def test_broken_tool_is_refused(broken: type[Lookup], test: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each way to break the contract makes the standard test meant for it fail."""
    monkeypatch.setattr(checks, "PATIENCE", 0.2)
    subject = type("Subject", (LookupSubject,), {"spec": spec_of(broken)})()
    with pytest.raises((Exception, pytest.fail.Exception)):
        await run(subject, test)


async def run(subject: LookupSubject, test: str) -> None:
    """Run one standard test."""
    method = getattr(subject, test)
    result = method(subject.provided()) if "services" in inspect.signature(method).parameters else method()
    if inspect.isawaitable(result):
        await result


def test_incomplete_record_is_refused() -> None:
    """A record without a title, a description or a proper name fails its standard test."""
    good = spec_of(Lookup)
    for change in ({"title": " "}, {"description": ""}, {"name": "no name"}, {"effect": "both"}):
        fields = {name: getattr(good, name) for name in ("name", "title", "description", "args", "factory")}
        subject = type("Subject", (LookupSubject,), {"spec": ToolSpec(**{**fields, **change})})()
        with pytest.raises(AssertionError):
            subject.test_record_is_complete()
