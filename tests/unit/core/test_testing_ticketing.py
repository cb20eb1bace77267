# ruff: noqa: D102 - the docstring of each broken class says what its one method does
"""The ticketing contract accepts sound ticketing tools and refuses broken ones."""

from __future__ import annotations

import inspect
import itertools
import socket
from collections.abc import AsyncIterator, Sequence
from typing import Any, ClassVar

import msgspec
import pytest
from tests.unit.core.paperdesk import SIGNATURE, Paperdesk, PaperdeskServer, signed

from aiops_core import (
    AiopsError,
    EffectMarker,
    EffectUnknown,
    Enhancement,
    Health,
    PayloadInvalid,
    RemoteRef,
    Ticket,
    TicketingToolPlugin,
    TicketingUnavailable,
    TicketMetadata,
    TicketNotFound,
    TicketQuery,
    WebhookProof,
    WebhookRequest,
    plain_text,
)
from aiops_core.testing.fakes import FakeHttp, FakeServices
from aiops_core.testing.ticketing import (
    Fault,
    PostedNote,
    TicketingFaultsContract,
    TicketingToolContract,
    make_enhancement,
)
from aiops_core.tickets import Block


class PaperdeskSubject(TicketingToolContract, TicketingFaultsContract):
    """Paperdesk, or a variant of it, against its other side."""

    proof_headers = (SIGNATURE,)
    proof_covers_body = True
    made: ClassVar[type[Paperdesk]] = Paperdesk

    @pytest.fixture
    def tool(self) -> TicketingToolPlugin:
        """Open the tool."""
        return self.opened()

    @pytest.fixture
    def ticket_id(self, tool: TicketingToolPlugin) -> str:
        """Return a ticket of Paperdesk."""
        return "3"

    def opened(self) -> TicketingToolPlugin:
        """Open the tool against a fresh other side."""
        self.server = PaperdeskServer()
        return self.made(FakeServices(http=FakeHttp(self.server.answer), webhook_secrets=self.secrets))

    def good_webhook(self, ticket_id: str, secret: str) -> WebhookRequest:
        """Sign a creation webhook."""
        return signed(msgspec.json.encode({"ticket": ticket_id, "kind": "new"}), secret)

    async def posted(self, ticket_id: str) -> Sequence[PostedNote]:
        """Ask the other side."""
        return self.server.posted(ticket_id)

    async def misbehave(self, fault: Fault | None) -> None:
        """Tell the other side."""
        self.server.fault = fault


class TestPaperdesk(PaperdeskSubject):
    """Paperdesk fulfils the whole contract."""


class Plain(Paperdesk):
    """Paperdesk with the required methods only."""

    find_effects = TicketingToolPlugin.find_effects
    delete_effect = TicketingToolPlugin.delete_effect
    search_tickets = TicketingToolPlugin.search_tickets  # type: ignore[assignment]
    check_health = TicketingToolPlugin.check_health


class TestPlainPaperdesk(PaperdeskSubject):
    """A tool that declares what it cannot do fulfils the contract as well."""

    made = Plain
    finds_effects = False
    deletes_effects = False
    searches_tickets = False


class Unproven(Paperdesk):
    """Accepts every webhook."""

    def validate_webhook(self, request: WebhookRequest) -> WebhookProof:
        return WebhookProof(scheme="hmac", secret_index=0)


class Stumbling(Paperdesk):
    """Raises a KeyError without its header."""

    def validate_webhook(self, request: WebhookRequest) -> WebhookProof:
        _ = request.headers[SIGNATURE]
        return super().validate_webhook(request)


class Bodiless(Paperdesk):
    """Verifies a signature of nothing but the header's presence once the secret is right."""

    def validate_webhook(self, request: WebhookRequest) -> WebhookProof:
        try:
            return super().validate_webhook(request)
        except AiopsError:
            if len(request.headers.get(SIGNATURE, "")) == 71 and b"kind" not in request.body[:40]:
                return WebhookProof(scheme="hmac", secret_index=0)
            raise


class Unread(Paperdesk):
    """Lets the decoder's error through."""

    def extract_metadata(self, request: WebhookRequest) -> TicketMetadata:
        return TicketMetadata(ticket_id=msgspec.json.decode(request.body)["ticket"], kind="opened")


class Untyped(Paperdesk):
    """Hands on whatever stands in the body."""

    def extract_metadata(self, request: WebhookRequest) -> TicketMetadata:
        try:
            body = msgspec.json.decode(request.body)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise PayloadInvalid from error
        if not isinstance(body, dict) or not body.get("ticket"):
            raise PayloadInvalid
        return TicketMetadata(ticket_id=body["ticket"], kind="opened")


class Dialling(Paperdesk):
    """Looks something up while reading a body."""

    def extract_metadata(self, request: WebhookRequest) -> TicketMetadata:
        with socket.socket() as connection:
            connection.connect_ex(("127.0.0.1", 9))
        return super().extract_metadata(request)


class Fickle(Paperdesk):
    """Reads a body differently every time."""

    count = itertools.count()

    def extract_metadata(self, request: WebhookRequest) -> TicketMetadata:
        return msgspec.structs.replace(super().extract_metadata(request), revision=str(next(self.count)))


class Naive(Paperdesk):
    """Drops the timezone."""

    async def get_ticket(self, ticket_id: str) -> Ticket:
        ticket = await super().get_ticket(ticket_id)
        assert ticket.updated_at is not None
        return msgspec.structs.replace(ticket, updated_at=ticket.updated_at.replace(tzinfo=None))


class Optimistic(Paperdesk):
    """Makes a ticket up where there is none."""

    async def get_ticket(self, ticket_id: str) -> Ticket:
        try:
            return await super().get_ticket(ticket_id)
        except TicketNotFound:
            return Ticket(id=ticket_id, title="?")


class Twice(Paperdesk):
    """Posts two notes."""

    async def update_ticket(self, ticket_id: str, enhancement: Enhancement, marker: EffectMarker) -> RemoteRef:
        await super().update_ticket(ticket_id, enhancement, marker)
        return await super().update_ticket(ticket_id, enhancement, marker)


class Public(Paperdesk):
    """Posts notes that requesters see."""

    async def _call(self, method: str, path: str, body: Any = None, params: Any = None) -> Any:
        return await super()._call(method, path, {**body, "internal": False} if body else None, params)


class Interpreting(Paperdesk):
    """Takes angle brackets in the note for markup."""

    async def _call(self, method: str, path: str, body: Any = None, params: Any = None) -> Any:
        body = {**body, "text": body["text"].replace("<script>", "")} if body else None
        return await super()._call(method, path, body, params)


class Greedy(Paperdesk):
    """Takes every note for its own."""

    async def find_effects(self, ticket_id: str, marker: EffectMarker) -> Sequence[RemoteRef]:
        notes = msgspec.json.decode((await self._call("GET", f"tickets/{ticket_id}/notes")).content)
        return [RemoteRef(id=n["id"]) for n in notes]


class Searching(Paperdesk):
    """Searches for the reference anywhere in the notes."""

    async def find_effects(self, ticket_id: str, marker: EffectMarker) -> Sequence[RemoteRef]:
        notes = msgspec.json.decode((await self._call("GET", f"tickets/{ticket_id}/notes")).content)
        return [RemoteRef(id=n["id"]) for n in notes if marker.reference in str(n)]


class Guessing(Paperdesk):
    """Says there is no note when it cannot look."""

    async def find_effects(self, ticket_id: str, marker: EffectMarker) -> Sequence[RemoteRef]:
        try:
            return await super().find_effects(ticket_id, marker)
        except AiopsError:
            return []


class Undeleting(Paperdesk):
    """Fails to delete what is gone."""

    async def delete_effect(self, ticket_id: str, ref: RemoteRef) -> None:
        notes = msgspec.json.decode((await self._call("GET", f"tickets/{ticket_id}/notes")).content)
        if ref.id not in [n["id"] for n in notes]:
            raise TicketNotFound
        await super().delete_effect(ticket_id, ref)


class Repeating(Paperdesk):
    """Yields the first page twice."""

    async def search_tickets(self, query: TicketQuery) -> AsyncIterator[Ticket]:
        for ticket in await self._page(0, query.page_size):
            yield ticket
        async for ticket in super().search_tickets(query):
            yield ticket


class FirstPage(Paperdesk):
    """Yields the first page only."""

    async def search_tickets(self, query: TicketQuery) -> AsyncIterator[Ticket]:
        for ticket in await self._page(0, query.page_size):
            yield ticket


class Unfiltered(Paperdesk):
    """Yields everything, whatever is asked."""

    async def search_tickets(self, query: TicketQuery) -> AsyncIterator[Ticket]:
        async for ticket in super().search_tickets(TicketQuery(resolved_only=False)):
            yield ticket


class Retrying(Paperdesk):
    """Posts again when the answer is lost."""

    async def update_ticket(self, ticket_id: str, enhancement: Enhancement, marker: EffectMarker) -> RemoteRef:
        try:
            return await super().update_ticket(ticket_id, enhancement, marker)
        except EffectUnknown:
            return await super().update_ticket(ticket_id, enhancement, marker)


class Safe(Paperdesk):
    """Takes a lost answer for nothing done."""

    async def update_ticket(self, ticket_id: str, enhancement: Enhancement, marker: EffectMarker) -> RemoteRef:
        try:
            return await super().update_ticket(ticket_id, enhancement, marker)
        except EffectUnknown as error:
            raise TicketingUnavailable(str(error)) from None


class Impatient(Paperdesk):
    """Forgets how long to wait."""

    async def get_ticket(self, ticket_id: str) -> Ticket:
        try:
            return await super().get_ticket(ticket_id)
        except TicketingUnavailable:
            raise TicketingUnavailable from None


class Sickly(Paperdesk):
    """Raises from its health check."""

    async def check_health(self) -> Health:
        await self._page(0, 1)
        return Health(status="ok", detail="Fine.")


class Wordless(Paperdesk):
    """Leaves half the note out."""

    async def _call(self, method: str, path: str, body: Any = None, params: Any = None) -> Any:
        return await super()._call(method, path, {**body, "text": body["text"][:60]} if body else None, params)


class Once(Paperdesk):
    """Can be closed once."""

    closed = False

    async def aclose(self) -> None:
        if self.closed:
            raise RuntimeError("closed")
        self.closed = True


BROKEN: list[tuple[type[Paperdesk], str]] = [
    (Unproven, "test_unknown_secret_is_refused"),
    (Unproven, "test_damaged_proof_is_refused"),
    (Unproven, "test_good_webhook_is_accepted"),
    (Stumbling, "test_damaged_proof_is_refused"),
    (Bodiless, "test_forged_webhooks_are_refused"),
    (Unread, "test_unreadable_body_is_payload_invalid"),
    (Unread, "test_damaged_body_raises_nothing_else"),
    (Untyped, "test_damaged_body_raises_nothing_else"),
    (Dialling, "test_metadata_is_typed_repeatable_and_pure"),
    (Fickle, "test_metadata_is_typed_repeatable_and_pure"),
    (Naive, "test_ticket_is_normalised"),
    (Optimistic, "test_missing_ticket_is_not_found"),
    (Optimistic, "test_hostile_ticket_id_stays_in_its_place"),
    (Twice, "test_update_posts_one_internal_note"),
    (Public, "test_update_posts_one_internal_note"),
    (Wordless, "test_update_posts_one_internal_note"),
    (Interpreting, "test_hostile_text_stays_text"),
    (Greedy, "test_effects_are_found_by_their_marker"),
    (Plain, "test_effects_are_found_by_their_marker"),
    (Searching, "test_quoted_marker_is_not_an_effect"),
    (Undeleting, "test_deleting_an_effect_twice_is_fine"),
    (Plain, "test_deleting_an_effect_twice_is_fine"),
    (Repeating, "test_search_yields_every_ticket_once"),
    (FirstPage, "test_search_yields_every_ticket_once"),
    (Unfiltered, "test_search_respects_its_query"),
    (Plain, "test_search_yields_every_ticket_once"),
    (Retrying, "test_lost_answer_is_effect_unknown"),
    (Safe, "test_lost_answer_is_effect_unknown"),
    (Impatient, "test_request_to_wait_is_unavailable"),
    (Guessing, "test_reading_back_never_guesses"),
    (Sickly, "test_refused_credentials_are_named"),
    (Once, "test_close_may_be_repeated"),
]


async def run(subject: PaperdeskSubject, test: str) -> None:
    """Run one standard test on a freshly opened tool."""
    result = getattr(subject, test)(subject.opened(), "3")
    if inspect.isawaitable(result):
        await result


@pytest.mark.parametrize(("broken", "test"), BROKEN, ids=lambda value: getattr(value, "__name__", value))
async def test_broken_tool_is_refused(broken: type[Paperdesk], test: str) -> None:
    """Each way to break the contract makes the standard test meant for it fail."""
    subject = type("Subject", (PaperdeskSubject,), {"made": broken})()
    with pytest.raises((Exception, pytest.fail.Exception)):
        await run(subject, test)


async def test_wrong_declaration_is_refused() -> None:
    """A tool that can do what its subject denies does not pass for one that cannot."""
    for declared, test in (
        ("finds_effects", "test_effects_are_found_by_their_marker"),
        ("deletes_effects", "test_deleting_an_effect_twice_is_fine"),
        ("searches_tickets", "test_search_yields_every_ticket_once"),
    ):
        subject = type("Subject", (PaperdeskSubject,), {declared: False})()
        with pytest.raises(pytest.fail.Exception):
            await run(subject, test)
    subject = type("Subject", (PaperdeskSubject,), {"proof_covers_body": False})()
    with pytest.raises(AiopsError):
        await run(subject, "test_forged_webhooks_are_refused")


def test_note_of_the_contract_uses_every_block() -> None:
    """What the contract posts has every kind of block, so that each is rendered once."""
    assert {type(block) for block in make_enhancement().body} == set(Block.__args__)
    assert "x <y>" in plain_text(make_enhancement("x <y>"))
