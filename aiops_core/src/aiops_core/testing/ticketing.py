"""The contract of a ticketing tool as tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import pytest

from aiops_core.errors import (
    AuthenticationFailed,
    EffectUnknown,
    EffectUnverifiable,
    PayloadInvalid,
    TicketingRefused,
    TicketingUnavailable,
    TicketNotFound,
    WebhookRejected,
)
from aiops_core.markers import shown
from aiops_core.testing.checks import assert_aware, assert_typed, mutated_bodies, no_io, within_patience
from aiops_core.testing.subject import (
    HOSTILE_TEXTS,
    RETRY_AFTER,
    Fault,
    PostedNote,
    TicketingSubject,
    make_enhancement,
    make_marker,
)
from aiops_core.ticketing import Health, RemoteRef, TicketingToolPlugin, WebhookProof
from aiops_core.tickets import Ticket, TicketMetadata, TicketQuery

__all__ = [
    "Fault",
    "PostedNote",
    "TicketingFaultsContract",
    "TicketingToolContract",
    "make_enhancement",
    "make_marker",
]


class TicketingToolContract(TicketingSubject):
    """Standard tests of every ticketing tool."""

    def test_good_webhook_is_accepted(self, tool: TicketingToolPlugin, ticket_id: str) -> None:
        """A webhook proven with any live secret is accepted, and the proof says with which."""
        for index, secret in enumerate(self.webhook_secrets):
            with no_io():
                proof = tool.validate_webhook(self.good_webhook(ticket_id, secret))
            assert isinstance(proof, WebhookProof)
            assert proof.scheme
            assert proof.secret_index == index
            assert_aware(proof.sent_at)

    def test_unknown_secret_is_refused(self, tool: TicketingToolPlugin, ticket_id: str) -> None:
        """A webhook proven with another secret is refused with WebhookRejected."""
        for secret in ("not-a-live-secret-5d2a", self.webhook_secrets[0][:-1], self.webhook_secrets[0] + "x"):
            with pytest.raises(WebhookRejected):
                tool.validate_webhook(self.good_webhook(ticket_id, secret))

    def test_damaged_proof_is_refused(self, tool: TicketingToolPlugin, ticket_id: str) -> None:
        """A proof that is missing, empty, cut, lengthened, oversized or not ASCII is refused with WebhookRejected."""
        good = self.good_webhook(ticket_id, self.webhook_secrets[0])
        assert self.proof_headers
        for name in self.proof_headers:
            value = good.headers[name]
            damaged = ["", " ", value[:-1], value[1:], value[: len(value) // 2], value + "0", value * 200]
            damaged += ["\x00", "é" + value[1:], "A" * 5000, ",".join([value] * 1000)]
            for header in damaged:
                with pytest.raises(WebhookRejected):
                    tool.validate_webhook(replace(good, headers={**good.headers, name: header}))
            without = {other: v for other, v in good.headers.items() if other != name}
            with pytest.raises(WebhookRejected):
                tool.validate_webhook(replace(good, headers=without))
        with pytest.raises(WebhookRejected):
            tool.validate_webhook(replace(good, headers={}))

    def test_forged_webhooks_are_refused(self, tool: TicketingToolPlugin, ticket_id: str) -> None:
        """The tool's own list of forgeries, and a signed body that was changed, are refused with WebhookRejected."""
        good = self.good_webhook(ticket_id, self.webhook_secrets[0])
        forged = list(self.forged_webhooks(ticket_id))
        if self.proof_covers_body:
            forged += [replace(good, body=body) for body in (good.body + b" ", good.body[:-1], b"", b" " + good.body)]
        else:
            tool.validate_webhook(replace(good, body=b"{}"))  # refused: declare proof_covers_body = True
        for webhook in forged:
            with pytest.raises(WebhookRejected):
                tool.validate_webhook(webhook)

    def test_metadata_is_typed_repeatable_and_pure(self, tool: TicketingToolPlugin, ticket_id: str) -> None:
        """extract_metadata names the ticket of a creation webhook, the same every time, without I/O."""
        webhook = self.good_webhook(ticket_id, self.webhook_secrets[0])
        with no_io():
            first, second = tool.extract_metadata(webhook), tool.extract_metadata(webhook)
        assert_typed(first, TicketMetadata)
        assert first == second
        assert first.kind == "opened"
        assert first.ticket_id

    def test_unreadable_body_is_payload_invalid(self, tool: TicketingToolPlugin, ticket_id: str) -> None:
        """A body that is not what the product sends raises PayloadInvalid."""
        webhooks = list(self.unreadable_webhooks(ticket_id))
        assert webhooks
        for webhook in webhooks:
            with pytest.raises(PayloadInvalid):
                tool.extract_metadata(webhook)

    def test_damaged_body_raises_nothing_else(self, tool: TicketingToolPlugin, ticket_id: str) -> None:
        """A damaged body is read or raises PayloadInvalid, never another exception."""
        good = self.good_webhook(ticket_id, self.webhook_secrets[0])
        for body in mutated_bodies(good.body, seed=20260302):
            try:
                metadata = tool.extract_metadata(replace(good, body=body))
            except PayloadInvalid:
                continue
            assert_typed(metadata, TicketMetadata)
            assert metadata.ticket_id

    async def test_ticket_is_normalised(self, tool: TicketingToolPlugin, ticket_id: str) -> None:
        """get_ticket returns the ticket with the declared types and timezone-aware times."""
        ticket = await tool.get_ticket(ticket_id)
        assert_typed(ticket, Ticket)
        assert ticket.id == ticket_id
        assert ticket.title.strip()

    async def test_webhook_leads_to_its_ticket(self, tool: TicketingToolPlugin, ticket_id: str) -> None:
        """The id a webhook's metadata names is one that get_ticket takes."""
        metadata = tool.extract_metadata(self.good_webhook(ticket_id, self.webhook_secrets[0]))
        assert (await tool.get_ticket(metadata.ticket_id)).id == ticket_id

    async def test_missing_ticket_is_not_found(self, tool: TicketingToolPlugin, ticket_id: str) -> None:
        """A ticket that does not exist raises TicketNotFound, on reading and on writing."""
        with pytest.raises(TicketNotFound):
            await tool.get_ticket(self.missing_ticket_id)
        with pytest.raises(TicketNotFound):
            await tool.update_ticket(self.missing_ticket_id, make_enhancement(), make_marker())

    async def test_hostile_ticket_id_stays_in_its_place(self, tool: TicketingToolPlugin, ticket_id: str) -> None:
        """An id with characters of URLs reaches no other address: it is not found or refused."""
        for hostile in (f"{ticket_id}/../{ticket_id}", f"{ticket_id}?a=b", f"{ticket_id}#x", "..", f"{ticket_id}%2F.."):
            with pytest.raises((TicketNotFound, TicketingRefused)):
                await tool.get_ticket(hostile)

    async def test_update_posts_one_internal_note(self, tool: TicketingToolPlugin, ticket_id: str) -> None:
        """update_ticket posts exactly one note, internal, with the enhancement's words."""
        before = await self.posted(ticket_id)
        ref = await tool.update_ticket(ticket_id, make_enhancement(), make_marker())
        assert_typed(ref, RemoteRef)
        after = await self.posted(ticket_id)
        assert len(after) == len(before) + 1
        note = after[-1]
        assert note.internal
        for words in ("What this is about", "The VPN client disconnects.", "Article KB-12", "Second step.", "netsh"):
            assert words in _folded(note.text)

    async def test_hostile_text_stays_text(self, tool: TicketingToolPlugin, ticket_id: str) -> None:
        """Markup of any kind in the enhancement reaches the ticket as the text it is."""
        for hostile in HOSTILE_TEXTS:
            await tool.update_ticket(ticket_id, make_enhancement(hostile), make_marker())
            note = (await self.posted(ticket_id))[-1]
            assert note.internal
            assert _folded(note.text).count(_folded(hostile)) == 3, f"not thrice as text: {hostile}"

    async def test_effects_are_found_by_their_marker(self, tool: TicketingToolPlugin, ticket_id: str) -> None:
        """find_effects returns exactly the note that carries the marker, or raises EffectUnverifiable."""
        marker, other, unused = make_marker(), make_marker(), make_marker()
        if not self.finds_effects:
            with pytest.raises(EffectUnverifiable):
                await tool.find_effects(ticket_id, marker)
            return
        assert list(await tool.find_effects(ticket_id, marker)) == []
        ref = await tool.update_ticket(ticket_id, make_enhancement(), marker)
        await tool.update_ticket(ticket_id, make_enhancement(), other)
        (found,) = await tool.find_effects(ticket_id, marker)
        assert_typed(found, RemoteRef)
        assert found.id == ref.id
        assert list(await tool.find_effects(ticket_id, unused)) == []

    async def test_quoted_marker_is_not_an_effect(self, tool: TicketingToolPlugin, ticket_id: str) -> None:
        """A later note that quotes another note's reference in its text is not taken for that note."""
        if not self.finds_effects:
            return
        marker = make_marker()
        ref = await tool.update_ticket(ticket_id, make_enhancement(), marker)
        await tool.update_ticket(ticket_id, make_enhancement(f"See {shown(marker.reference)}"), make_marker())
        assert [found.id for found in await tool.find_effects(ticket_id, marker)] == [ref.id]

    async def test_deleting_an_effect_twice_is_fine(self, tool: TicketingToolPlugin, ticket_id: str) -> None:
        """delete_effect removes the note and may be repeated, or raises TicketingRefused where nothing is deleted."""
        marker = make_marker()
        before = len(await self.posted(ticket_id))
        ref = await tool.update_ticket(ticket_id, make_enhancement(), marker)
        if not self.deletes_effects:
            with pytest.raises(TicketingRefused):
                await tool.delete_effect(ticket_id, ref)
            return
        await tool.delete_effect(ticket_id, ref)
        await tool.delete_effect(ticket_id, ref)
        assert len(await self.posted(ticket_id)) == before
        if self.finds_effects:
            assert list(await tool.find_effects(ticket_id, marker)) == []

    async def test_search_yields_every_ticket_once(self, tool: TicketingToolPlugin, ticket_id: str) -> None:
        """search_tickets yields typed tickets page after page, oldest update first, each once."""
        query = TicketQuery(resolved_only=False, page_size=2)
        if not self.searches_tickets:
            with pytest.raises(TicketingRefused):
                await _first(tool.search_tickets(query), 1)
            return
        tickets = await within_patience(_first(tool.search_tickets(query), 500), "search_tickets")
        for ticket in tickets:
            assert_typed(ticket, Ticket)
        ids = [ticket.id for ticket in tickets]
        assert len(ids) == len(set(ids))
        times = [ticket.updated_at for ticket in tickets if ticket.updated_at is not None]
        assert times == sorted(times)
        assert ticket_id in ids or len(ids) == 500

    async def test_search_respects_its_query(self, tool: TicketingToolPlugin, ticket_id: str) -> None:
        """search_tickets yields only resolved tickets when asked, and none from before ``updated_since``."""
        if not self.searches_tickets:
            return
        for ticket in await _first(tool.search_tickets(TicketQuery(page_size=2)), 500):
            assert ticket.state == "resolved"
        later = TicketQuery(resolved_only=False, updated_since=datetime.now(UTC) + timedelta(days=2))
        assert await _first(tool.search_tickets(later), 1) == []

    async def test_calls_may_overlap(self, tool: TicketingToolPlugin, ticket_id: str) -> None:
        """Several calls on one object at a time do not disturb each other."""
        results = await asyncio.gather(*(tool.get_ticket(ticket_id) for _ in range(5)))
        assert {ticket.id for ticket in results} == {ticket_id}

    async def test_health_is_told(self, tool: TicketingToolPlugin, ticket_id: str) -> None:
        """check_health answers a Health with a sentence; a working connection has not failed."""
        health = await tool.check_health()
        assert_typed(health, Health)
        assert health.status != "failed"
        assert health.detail.strip()

    async def test_close_may_be_repeated(self, tool: TicketingToolPlugin, ticket_id: str) -> None:
        """Closing may be called after use and again."""
        await tool.get_ticket(ticket_id)
        await tool.aclose()
        await tool.aclose()


class TicketingFaultsContract(TicketingSubject):
    """Standard tests against an other side that misbehaves on request."""

    lost_answers: ClassVar[int] = 25
    """How often each kind of lost answer is tried, all on one ticket: enough to need a second page of notes."""

    async def misbehave(self, fault: Fault | None) -> None:
        """Make the other side misbehave from now on; ``None`` ends it.

        The two ``…_after_apply`` faults concern writes only, the others every request.
        """
        raise NotImplementedError("override `misbehave`")

    async def test_lost_answer_is_effect_unknown(self, tool: TicketingToolPlugin, ticket_id: str) -> None:
        """A write that was applied but not confirmed raises EffectUnknown, and its note is found, exactly one."""
        faults: tuple[Fault, ...] = ("drop_after_apply", "error_after_apply")
        for fault in faults * self.lost_answers:
            marker = make_marker()
            before = len(await self.posted(ticket_id))
            async with self._fault(fault):
                with pytest.raises(EffectUnknown):
                    await tool.update_ticket(ticket_id, make_enhancement(), marker)
            assert len(await self.posted(ticket_id)) == before + 1, "one attempt, no retry inside"
            if self.finds_effects:
                assert len(await tool.find_effects(ticket_id, marker)) == 1

    async def test_request_to_wait_is_unavailable(self, tool: TicketingToolPlugin, ticket_id: str) -> None:
        """A 429 raises TicketingUnavailable with the wait that was asked for, and nothing is posted."""
        before = len(await self.posted(ticket_id))
        async with self._fault("throttle"):
            with pytest.raises(TicketingUnavailable) as reading:
                await tool.get_ticket(ticket_id)
            with pytest.raises(TicketingUnavailable) as writing:
                await tool.update_ticket(ticket_id, make_enhancement(), make_marker())
        assert reading.value.retry_after == RETRY_AFTER
        assert writing.value.retry_after == RETRY_AFTER
        assert len(await self.posted(ticket_id)) == before

    async def test_refused_credentials_are_named(self, tool: TicketingToolPlugin, ticket_id: str) -> None:
        """Refused credentials raise AuthenticationFailed, and check_health reports them without raising."""
        before = len(await self.posted(ticket_id))
        async with self._fault("unauthorised"):
            with pytest.raises(AuthenticationFailed):
                await tool.get_ticket(ticket_id)
            with pytest.raises(AuthenticationFailed):
                await tool.update_ticket(ticket_id, make_enhancement(), make_marker())
            health = await tool.check_health()
        assert_typed(health, Health)
        assert health.status != "ok"
        assert len(await self.posted(ticket_id)) == before

    async def test_reading_back_never_guesses(self, tool: TicketingToolPlugin, ticket_id: str) -> None:
        """find_effects raises when the notes cannot be read; it never answers that there are none."""
        marker = make_marker()
        await tool.update_ticket(ticket_id, make_enhancement(), marker)
        faults: tuple[Fault, ...] = ("throttle", "unauthorised")
        for fault in faults:
            async with self._fault(fault):
                with pytest.raises((TicketingUnavailable, AuthenticationFailed, EffectUnverifiable)):
                    await tool.find_effects(ticket_id, marker)

    async def test_works_again_afterwards(self, tool: TicketingToolPlugin, ticket_id: str) -> None:
        """After the fault has passed, the same object reads and writes."""
        async with self._fault("drop_after_apply"):
            with pytest.raises(EffectUnknown):
                await tool.update_ticket(ticket_id, make_enhancement(), make_marker())
        before = len(await self.posted(ticket_id))
        await tool.update_ticket(ticket_id, make_enhancement(), make_marker())
        assert len(await self.posted(ticket_id)) == before + 1

    @asynccontextmanager
    async def _fault(self, fault: Fault) -> AsyncIterator[None]:
        await self.misbehave(fault)
        try:
            yield
        finally:
            await self.misbehave(None)


async def _first(tickets: AsyncIterator[Ticket], limit: int) -> list[Ticket]:
    found: list[Ticket] = []
    async for ticket in tickets:
        found.append(ticket)
        if len(found) == limit:
            break
    return found


def _folded(text: str) -> str:
    return " ".join(text.split())
