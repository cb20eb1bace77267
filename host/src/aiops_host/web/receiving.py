"""A webhook from raw bytes to a stored delivery: proof first, then what it says, then one commit."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import logging
import re
import secrets as random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any
from uuid import UUID

import msgspec

from aiops_core.config import Secret
from aiops_core.errors import AiopsError, KeyProviderUnavailable, PayloadInvalid, WebhookRejected
from aiops_core.plugins import explain
from aiops_core.registry import Registry
from aiops_core.signatures import hmac_sha256
from aiops_core.ticketing import TicketingToolPlugin, WebhookProof, WebhookRequest
from aiops_core.tickets import TicketMetadata
from aiops_host import failpoints
from aiops_host.data import intake
from aiops_host.data.faults import TRY_AGAIN
from aiops_host.data.intake import Accepted, Action, EndpointGone, EndpointRow, FirstState, NewDelivery
from aiops_host.data.intake_writer import IntakeWriter
from aiops_host.data.session import Database
from aiops_host.trust.connections import SecretReader, make_for_intake, webhook_secrets
from aiops_host.trust.vault import SecretUnreadable, Vault
from aiops_host.watch.logs import bound, scrub
from aiops_host.watch.metrics import Metrics
from aiops_host.watch.tracing import annotate, trace_id, traceparent
from aiops_host.web.endpoints import EndpointCache
from aiops_host.web.nesting import MAX_DEPTH, too_deep
from aiops_host.web.remarks import Remarks, detail_of, names_of

log = logging.getLogger(__name__)

MAX_KEY_LENGTH = 255
MAX_REASON_LENGTH = 400
MAX_HEADER_LENGTH = 256
KEPT_HEADERS = frozenset({"content-type", "user-agent", "date", "webhook-id", "webhook-timestamp"})
# What senders call their own ids, retries and event names; proofs and cookies have other names.
KEPT_HEADER = re.compile(r"x-[a-z0-9-]*-(?:id|identifier|retry|flow|event|delivery|timestamp|attempt)")
TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
ENDPOINT_ID = re.compile(r"[0-9a-f]{32}")


OTHER_TOOL = "The address names another ticketing tool than the connection's."
OTHER_NETWORK = "The sender's address is in none of the networks that may post to this endpoint."
Network = IPv4Network | IPv6Network
Address = Callable[[], str | None]


def no_address() -> None:
    """Know of no address the webhook came from."""


class IntakeUnavailable(AiopsError):
    """The endpoint is known but cannot judge webhooks just now; the sender should send again."""


@dataclass(frozen=True, slots=True)
class KnownEndpoint:
    """An endpoint with its made ticketing tool. Secrets are handles; the first of them to expire does so ``until``."""

    row: EndpointRow
    tool: TicketingToolPlugin
    secrets: tuple[Secret, ...] = field(repr=False)
    networks: tuple[Network, ...] = ()
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to become of a delivery, and why if nothing."""

    action: Action
    state: FirstState
    reason: str | None = None


class Receiver:
    """Receives webhooks for every tenant."""

    def __init__(self, database: Database, registry: Registry, vault: Vault, metrics: Metrics) -> None:
        """Take the intake's pool, the installed ticketing tools, the vault and what counts."""
        self._database = database
        self._writer = IntakeWriter(database)
        self._metrics = metrics
        self._registry = registry
        self._reader = SecretReader(vault, "webhook")
        self._endpoints: EndpointCache[KnownEndpoint] = EndpointCache()
        self._decoy = self._reader.decoy()
        self.remarks = Remarks(database)

    def forget(self, endpoint_id: str) -> None:
        """Look the endpoint up again, because it was changed."""
        self._endpoints.forget(endpoint_id)

    async def receive(
        self, ticketing_tool: str, endpoint_id: str, request: WebhookRequest, address: Address = no_address
    ) -> tuple[UUID, Accepted, bool]:
        """Prove, read and store one webhook.

        Args:
            ticketing_tool: The word in the address.
            endpoint_id: The id in the address.
            request: What was received.
            address: Finds out where from, asked only where that matters.

        Returns:
            The tenant, the delivery that keeps the webhook, and whether work is due on it.

        Raises:
            WebhookRejected: The same for an unknown endpoint, another ticketing tool's address and a wrong proof.
            IntakeUnavailable: Our fault; nothing was stored.
            DatabaseBusy, DatabaseDown: Nothing is known to be stored.
        """
        parent = traceparent() or sent_traceparent(request.headers.items()) or _new_traceparent()
        with bound(trace_id=trace_id(parent)):
            known = await self._endpoint(endpoint_id, request.received_at)
            if known is None or known.row.ticketing_tool != ticketing_tool:
                self._pretend(request.body)
                if known is not None:
                    self._note_soon(known, request, address, WebhookRejected(OTHER_TOOL, check="address"))
                # Enough to tell a mistyped address from a stranger's guesses, too little to post with.
                log.info(
                    "webhook refused: unknown address /%s/%s…",
                    _printable(ticketing_tool[:63]),
                    _printable(endpoint_id[:6]),
                )
                raise WebhookRejected(check="endpoint")
            with bound(tenant_id=known.row.tenant_id):
                try:
                    proof = self._proof(known, request, address)
                except WebhookRejected as error:
                    self._note_soon(known, request, address, error)
                    raise
                if len(known.secrets) > 1 and 0 <= proof.secret_index < len(known.secrets):
                    version = known.row.sealed_secrets[proof.secret_index][0]
                    self.remarks.secret_used(endpoint_id, version, request.received_at)
                return await self._stored(_delivery(known, request, proof, parent))

    async def _stored(self, new: NewDelivery) -> tuple[UUID, Accepted, bool]:
        failpoints.reached("intake-before-commit")
        try:
            accepted = await self._writer.accept(new)
        except EndpointGone:
            self._endpoints.forget(new.endpoint_id)
            raise WebhookRejected(check="endpoint") from None
        failpoints.reached("intake-committed")
        if accepted.fresh and new.state == "quarantined":
            self._metrics.quarantined.inc()
        annotate(tenant_id=str(new.tenant_id), delivery_id=str(accepted.delivery_id))
        with bound(delivery_id=accepted.delivery_id):
            log.info("webhook %s", f"stored as {new.state}" if accepted.fresh else "seen before")
        return new.tenant_id, accepted, accepted.fresh and new.state == "queued"

    async def _endpoint(self, endpoint_id: str, now: datetime) -> KnownEndpoint | None:
        if not ENDPOINT_ID.fullmatch(endpoint_id):
            return None
        found, known = self._endpoints.get(endpoint_id)
        if not found or (known is not None and known.until is not None and now >= known.until):
            row = await intake.endpoint(self._database, endpoint_id)
            known = await self._made(live(row, now)) if row else None
            self._endpoints.put(endpoint_id, known)
        return known

    async def _made(self, row: EndpointRow) -> KnownEndpoint:
        try:
            await self._reader.prepare(self._database, row.tenant_id, [sealed for _, sealed in row.sealed_secrets])
            tool = make_for_intake(self._registry, row, self._reader)
        except TRY_AGAIN:
            raise
        except (KeyProviderUnavailable, SecretUnreadable) as error:
            log.error("webhooks cannot be judged: %s", error)
            raise IntakeUnavailable from None
        except Exception as error:  # isolation: a plugin that cannot be made costs its own endpoints only
            with bound(tenant_id=row.tenant_id):
                log.error("%s cannot judge webhooks: %s", row.ticketing_tool, explain(error))
            raise IntakeUnavailable from None
        return KnownEndpoint(
            row,
            tool,
            webhook_secrets(row, self._reader),
            networks=tuple(ip_network(network) for network in row.networks),
            until=min((expiry for expiry in row.secret_expiries if expiry is not None), default=None),
        )

    def _proof(self, known: KnownEndpoint, request: WebhookRequest, address: Address) -> WebhookProof:
        if known.networks and not _within(address(), known.networks):
            log.info("webhook refused: network, connection %s", known.row.connection_id)
            self._pretend(request.body)
            raise WebhookRejected(OTHER_NETWORK, check="network")
        try:
            proof = known.tool.validate_webhook(request)
        except (KeyProviderUnavailable, SecretUnreadable) as error:
            log.error("webhooks cannot be judged: %s", error)
            raise IntakeUnavailable from None
        except WebhookRejected as error:
            log.info("webhook refused: %s, connection %s", error.check, known.row.connection_id)
            if error.check != "signature":
                self._pretend(request.body)
            raise
        except Exception as error:  # isolation: what a plugin cannot judge is not proven
            name, connection = known.row.ticketing_tool, known.row.connection_id
            log.warning("%s failed to judge a webhook of connection %s: %s", name, connection, explain(error))
            raise WebhookRejected(check="plugin") from None
        if not _is_proof(proof):
            log.warning("%s answered no usable proof, connection %s", known.row.ticketing_tool, known.row.connection_id)
            raise WebhookRejected(check="plugin")
        return proof

    def _note_soon(self, known: KnownEndpoint, *refused: Any) -> None:
        # After the answer, which must take as long for an address nobody has.
        asyncio.get_running_loop().call_soon(self._note, known, *refused)

    def _note(self, known: KnownEndpoint, request: WebhookRequest, address: Address, refusal: WebhookRejected) -> None:
        """Keep for the endpoint's administrators what was refused; the sender is told nothing of it."""
        with contextlib.ExitStack() as opened:
            try:
                hidden = [opened.enter_context(secret.open()) for secret in known.secrets]
            except (KeyProviderUnavailable, SecretUnreadable):
                return
            self.remarks.refused(
                known.row.endpoint_id,
                request.received_at,
                check=refusal.check,
                detail=detail_of(refusal),
                address=address(),
                names=names_of(request.headers, hidden),
            )

    def _pretend(self, body: bytes) -> None:
        """Do the work of one verification, so that a refusal takes as long whatever it was refused for."""
        with self._decoy.open() as value:
            hmac.compare_digest(hmac_sha256(value, body), bytes(32))


def live(row: EndpointRow, now: datetime) -> EndpointRow:
    """Return the endpoint without the secrets that have expired by our own clock."""
    expiries = row.secret_expiries or (None,) * len(row.sealed_secrets)
    kept = [
        (secret, expiry)
        for secret, expiry in zip(row.sealed_secrets, expiries, strict=True)
        if expiry is None or expiry > now
    ]
    return replace(
        row,
        sealed_secrets=tuple(secret for secret, _ in kept),
        secret_expiries=tuple(expiry for _, expiry in kept),
    )


def _within(address: str | None, networks: Iterable[Network]) -> bool:
    """Return whether an address is in one of the networks; one that is not known is in none."""
    try:
        found = ip_address(address or "")
    except ValueError:
        return False
    return any(found in network for network in networks)


def decide(metadata: TicketMetadata, row: EndpointRow) -> Decision:
    """Return what a readable webhook starts: a run, learning from a resolved ticket, or nothing."""
    by_us = metadata.actor_id is not None and metadata.actor_id == row.account_id
    if by_us or metadata.effect_reference is not None:
        return Decision("none", "ignored", "This is our own note coming back.")
    if metadata.kind in row.run_on:
        return Decision("run", "queued")
    if metadata.kind == "resolved":
        return Decision("learn", "queued")
    starts = ", ".join(row.run_on) or "nothing"
    return Decision(
        "none", "ignored", f"A ticket that was {metadata.kind} starts no run here; this connection runs on: {starts}."
    )


def read_metadata(tool: TicketingToolPlugin, name: str, request: WebhookRequest) -> TicketMetadata:
    """Ask the ticketing tool what the webhook says, and check that it can be stored.

    Raises:
        PayloadInvalid: It cannot be read; the message says why.
    """
    if too_deep(request.body):
        raise PayloadInvalid(f"The body is nested deeper than {MAX_DEPTH} levels.")
    try:
        metadata = tool.extract_metadata(request)
        checked = msgspec.convert(msgspec.to_builtins(metadata), TicketMetadata)
    except PayloadInvalid:
        raise
    except Exception as error:  # isolation: the proof was valid, so the webhook is kept whatever its reader does
        log.warning("%s failed to read a webhook: %s", name, explain(error))
        raise PayloadInvalid(f"{name} failed to read the body: {explain(error)}") from None
    if not checked.ticket_id or len(checked.ticket_id) > MAX_KEY_LENGTH or not _storable(checked.ticket_id):
        raise PayloadInvalid("The ticket's id is empty, too long or not printable.")
    return checked


def _delivery(known: KnownEndpoint, request: WebhookRequest, proof: WebhookProof, parent: str) -> NewDelivery:
    body_hash = hashlib.sha256(request.body).hexdigest()
    metadata: TicketMetadata | None = None
    try:
        metadata = read_metadata(known.tool, known.row.ticketing_tool, request)
        decision = decide(metadata, known.row)
    except PayloadInvalid as error:
        decision = Decision("none", "quarantined", _printable(str(error))[:MAX_REASON_LENGTH])
    revision = _key(metadata.revision) if metadata and metadata.revision else body_hash
    return NewDelivery(
        tenant_id=known.row.tenant_id,
        connection_id=known.row.connection_id,
        endpoint_id=known.row.endpoint_id,
        external_id=_key(metadata.delivery_id) if metadata and metadata.delivery_id else body_hash,
        dedup_key=_second_key(metadata, revision) if metadata else None,
        headers=_kept_headers(request.headers, known.secrets),
        body=request.body,
        proof_scheme=proof.scheme,
        signed_at=proof.sent_at,
        ticket_id=metadata.ticket_id if metadata else None,
        kind=metadata.kind if metadata else None,
        actor_id=_key(metadata.actor_id) if metadata and metadata.actor_id else None,
        revision=revision if metadata else None,
        traceparent=parent,
        action=decision.action,
        state=decision.state,
        reason=decision.reason,
    )


def _second_key(metadata: TicketMetadata, revision: str) -> str:
    parts = (metadata.ticket_id, metadata.kind, revision)
    return hashlib.sha256(b"".join(len(p.encode()).to_bytes(4, "big") + p.encode() for p in parts)).hexdigest()


def _key(value: str) -> str:
    """Return a sender's identifier as it can be stored and indexed; an unusable one by its hash."""
    if len(value) <= MAX_KEY_LENGTH and _storable(value):
        return value
    return "sha256:" + hashlib.sha256(value.encode(errors="surrogatepass")).hexdigest()


def _storable(text: str) -> bool:
    return text.isprintable()


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in scrub(text))


def _kept_headers(headers: Mapping[str, str], secrets: tuple[Secret, ...]) -> dict[str, str]:
    """Return the headers worth keeping: none that may carry a proof, none whose value holds a webhook secret."""
    kept = {
        name: value
        for name, value in headers.items()
        if (name in KEPT_HEADERS or KEPT_HEADER.fullmatch(name))
        and len(value) <= MAX_HEADER_LENGTH
        and value.isprintable()
    }
    for secret in secrets:
        with secret.open() as plaintext:
            kept = {name: value for name, value in kept.items() if plaintext not in value}
    return kept


def sent_traceparent(headers: Iterable[tuple[str | bytes, str | bytes]]) -> str | None:
    """Return the sender's ``traceparent``, if it is a valid one."""
    for name, value in headers:
        if name in ("traceparent", b"traceparent"):
            given = value.decode("latin-1") if isinstance(value, bytes) else value
            return given if TRACEPARENT.fullmatch(given) else None
    return None


def _new_traceparent() -> str:
    return f"00-{random.token_hex(16)}-{random.token_hex(8)}-01"


def _is_proof(proof: object) -> bool:
    if not isinstance(proof, WebhookProof):
        return False
    scheme: object = proof.scheme
    sent_at: object = proof.sent_at
    timed = sent_at is None or (isinstance(sent_at, datetime) and sent_at.tzinfo is not None)
    return timed and isinstance(scheme, str) and _storable(scheme)
