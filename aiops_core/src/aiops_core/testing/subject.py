"""What a subclass of the ticketing contracts supplies, and the notes and markers they post."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Literal

import pytest

from aiops_core.config import Secret
from aiops_core.markers import new_reference
from aiops_core.testing.contract import Contract
from aiops_core.ticketing import EffectMarker, TicketingToolPlugin, WebhookRequest
from aiops_core.tickets import Block, Code, Enhancement, Heading, Link, ListBlock, Paragraph

Fault = Literal["drop_after_apply", "error_after_apply", "throttle", "unauthorised"]
"""How the other side misbehaves: applies a write and cuts the connection, applies it and answers 500; answers
429 with ``Retry-After: 7`` and applies nothing; refuses the credentials."""

RETRY_AFTER = 7.0
UNREADABLE_BODIES = (
    b"",
    b" ",
    b"null",
    b"[]",
    b"{}",
    b"0",
    b'"text"',
    b"{",
    b"not json",
    b"\xff\xfe\x00",
    b'{"a":' * 64 + b"0" + b"}" * 64,
)
HOSTILE_TEXTS = (
    "<script>alert('x')</script><img src=x onerror=alert(1)> &amp; &lt;b&gt; \"quoted\"",
    "h1. not a heading {code}not code{code} {color:red}red{color} [text|http://evil.example] !image.png! *b* _i_ {{m}}",
    "# no heading **bold** [text](http://evil.example) ![image](http://evil.example/i.png) `code` ~~~ ---",
    '{"note": {"text": "x", "public": true}} %7B%22a%22%3A1%7D a=b&c=d+e',
    "@everyone [~admin] $requester ${title} {0} %s \\n \\u0041 日本語 ünïcödé 🛠",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class PostedNote:
    """A note as the other side holds it: the text a technician reads there, and whether requesters cannot see it."""

    text: str
    internal: bool


class TicketingSubject(Contract):
    """What a subclass says about its ticketing tool."""

    webhook_secrets: ClassVar[tuple[str, ...]] = ("contract-newest-secret-1f0c", "contract-older-secret-9b7e")
    """The endpoint's live webhook secrets, newest first, that ``tool`` is opened with."""

    missing_ticket_id: ClassVar[str] = "999999999"
    """An id of the right shape that no ticket has."""

    proof_headers: ClassVar[tuple[str, ...]]
    """The lower-case headers of the proof, such as ``("x-desk-signature",)``."""

    proof_covers_body: ClassVar[bool]
    """Whether the proof is a signature of the body, so that a changed body is refused."""

    finds_effects: ClassVar[bool] = True
    deletes_effects: ClassVar[bool] = True
    searches_tickets: ClassVar[bool] = True

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """``webhook_secrets`` as the services hand them to the factory."""
        return tuple(Secret.of(secret) for secret in self.webhook_secrets)

    @pytest.fixture
    def tool(self) -> TicketingToolPlugin:
        """Return the ticketing tool, opened with ``webhook_secrets`` against a simulator or a test instance."""
        raise NotImplementedError("override the fixture `tool`")

    @pytest.fixture
    def ticket_id(self, tool: TicketingToolPlugin) -> str:
        """Return the id of a ticket that exists and may be written to."""
        raise NotImplementedError("override the fixture `ticket_id`")

    def good_webhook(self, ticket_id: str, secret: str) -> WebhookRequest:
        """Return the webhook the product sends when the ticket is created, proven with ``secret``."""
        raise NotImplementedError("override `good_webhook`")

    def forged_webhooks(self, ticket_id: str) -> Iterable[WebhookRequest]:
        """Return further webhooks that must be refused, beyond those the contract makes itself."""
        return ()

    def unreadable_webhooks(self, ticket_id: str) -> Iterable[WebhookRequest]:
        """Return webhooks whose body is not what the product sends."""
        good = self.good_webhook(ticket_id, self.webhook_secrets[0])
        return [replace(good, body=body) for body in UNREADABLE_BODIES]

    async def posted(self, ticket_id: str) -> Sequence[PostedNote]:
        """Return the notes on the ticket as the other side holds them, oldest first."""
        raise NotImplementedError("override `posted`")


def make_marker(installation: str = "contract") -> EffectMarker:
    """Return a fresh marker."""
    since = datetime.now(UTC) - timedelta(minutes=5)
    return EffectMarker(reference=new_reference(), installation=installation, since=since)


def make_enhancement(*texts: str) -> Enhancement:
    """Return a note with every kind of block; each text stands in a paragraph, a list and a code block."""
    blocks: list[Block] = [Heading("AI Ops: first findings", level=1), Heading("What this is about")]
    blocks += [Paragraph(text) for text in texts or ("The VPN client disconnects.",)]
    blocks += [ListBlock(("Restart the client.", Link("Article KB-12", "https://kb.example.com/12"), *texts))]
    blocks += [ListBlock(("First step.", "Second step."), ordered=True)]
    blocks += [Code(text) for text in texts or ("netsh interface ipv4 show subinterfaces",)]
    return Enhancement(body=(*blocks, Link("Runbook", "https://kb.example.com/runbook")))
