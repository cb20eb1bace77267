"""The ticketing tool: webhooks in, tickets out, notes on."""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any
from urllib.parse import quote

from aiops_core.errors import (
    AuthenticationFailed,
    EffectUnknown,
    EffectUnverifiable,
    TicketingError,
    TicketingRefused,
    TicketingUnavailable,
    TicketNotFound,
)
from aiops_core.services import TicketingServices
from aiops_core.signatures import verify_hex_hmac, verify_static
from aiops_core.ticketing import (
    EffectMarker,
    Health,
    RemoteRef,
    TicketingToolPlugin,
    WebhookProof,
    WebhookRequest,
)
from aiops_core.tickets import Enhancement, Ticket, TicketMetadata, TicketQuery
from aiops_jira import render, translate
from aiops_jira.client import JiraClient
from aiops_jira.config import JiraConfig
from aiops_jira.wire import (
    INTERNAL_PROPERTY,
    INTERNAL_VALUE,
    MARKER_PROPERTY,
    MARKER_VERSION,
    SIGNATURE_HEADER,
    SIGNATURE_PREFIX,
    account_id,
    at,
    objects,
    ticket_key,
    time,
    word,
)

PAGE = 50
MAX_PAGES = 10
MAX_CANDIDATES = 50
MAX_SEARCH_PAGE = 100
MINUTE = 60


class JiraTicketingTool(TicketingToolPlugin):
    """One tenant's Jira."""

    def __init__(self, config: JiraConfig, services: TicketingServices) -> None:
        """Take the configuration and what the host hands in; nothing is called yet."""
        self._config = config
        self._services = services
        self._client = JiraClient(config, services.http, services.clock)
        self._api = self._client.api
        self._account: str | None = None

    def validate_webhook(self, request: WebhookRequest) -> WebhookProof:
        """Verify ``X-Hub-Signature`` over the raw body, or the fixed header of an Automation rule."""
        secrets = self._services.webhook_secrets
        if self._config.webhook_proof == "signature":
            header = request.headers.get(SIGNATURE_HEADER)
            index = verify_hex_hmac(request.body, header, secrets, name="X-Hub-Signature", prefix=SIGNATURE_PREFIX)
            return WebhookProof(scheme="jira-signature", secret_index=index)
        name = self._config.webhook_header
        index = verify_static(_presented(request.headers.get(name.lower()), name), secrets, name=name)
        return WebhookProof(scheme="static-header", secret_index=index)

    def extract_metadata(self, request: WebhookRequest) -> TicketMetadata:
        """Read Jira's own body, or an Automation rule's by the mapping."""
        return translate.metadata(request, self._config)

    async def get_ticket(self, ticket_id: str) -> Ticket:
        """Fetch an issue with its comments."""
        params = {"fields": translate.wanted_fields(self._config)}
        return translate.ticket(await self._client.read(self._issue(ticket_id), params), self._config)

    async def update_ticket(self, ticket_id: str, enhancement: Enhancement, marker: EffectMarker) -> RemoteRef:
        """Add one comment whose properties make it internal and carry the marker, in one request.

        The service desk's own route takes no properties, so it could not carry the marker.
        """
        body = render.adf(enhancement) if self._config.edition == "cloud" else render.wiki(enhancement)
        properties = [
            {"key": INTERNAL_PROPERTY, "value": INTERNAL_VALUE},
            {"key": MARKER_PROPERTY, "value": _marker_value(marker)},
        ]
        path = f"{self._issue(ticket_id)}/comment"
        answer = await self._client.write("POST", path, {"body": body, "properties": properties})
        if word(answer, "id") is None:
            raise EffectUnknown("Jira accepted the comment without naming it.")
        return self._ref(ticket_id, answer)

    async def find_effects(self, ticket_id: str, marker: EffectMarker) -> Sequence[RemoteRef]:
        """Read our own comments since ``marker.since``, newest first, and return those with the marker's property."""
        account = await self._own_account()
        candidates = [c for c in await self._comments_since(ticket_id, marker.since) if _by(c) == account]
        found = []
        for comment in candidates[:MAX_CANDIDATES]:
            if _carries(await self._marker_of(comment), marker):
                found.append(self._ref(ticket_id, comment))
        if not found and len(candidates) > MAX_CANDIDATES:
            raise EffectUnverifiable(
                f"{ticket_id} has more than {MAX_CANDIDATES} own comments since the first attempt."
            )
        return found[::-1]

    async def delete_effect(self, ticket_id: str, ref: RemoteRef) -> None:
        """Delete a comment; one that is gone is fine."""
        if not (ref.id.isascii() and ref.id.isdigit()):
            raise TicketingRefused(f"{ref.id!r} is no Jira comment's id.")
        try:
            await self._client.write("DELETE", f"{self._issue(ticket_id)}/comment/{ref.id}")
        except TicketNotFound:
            return

    async def search_tickets(self, query: TicketQuery) -> AsyncIterator[Ticket]:
        """Yield issues of the configured projects, oldest update first."""
        if query.updated_since is not None and query.updated_since > self._services.clock.now():
            return
        params = {
            "jql": self._jql(query),
            "fields": translate.wanted_fields(self._config),
            "maxResults": str(max(1, min(query.page_size, MAX_SEARCH_PAGE))),
        }
        more: dict[str, str] | None = {}
        while more is not None:
            page = await self._search({**params, **more})
            for issue in _listed(page, "issues"):
                ticket = translate.ticket(issue, self._config)
                if not _before(ticket, query.updated_since):
                    yield ticket
            following = self._next_page(page)
            if following is not None and following == more:
                raise TicketingUnavailable("Jira answers the same page of its search again and again.")
            more = following

    async def check_health(self) -> Health:
        """Ask Jira who we are."""
        site = self._config.base_url
        try:
            me = await self._client.read(f"{self._api}/myself")
        except AuthenticationFailed as error:
            return Health(status="failed", detail=f"{error} {self._credentials_hint()}")
        except (TicketNotFound, TicketingRefused) as error:
            return Health(status="failed", detail=f"{error} Check that {site} is a Jira {self._config.edition} site.")
        except TicketingError as error:
            return Health(status="failed", detail=str(error))
        account = account_id(me)
        if account is None:
            return Health(status="failed", detail=f"{site} did not say whose credentials these are.")
        name = word(me, "displayName") or account
        if at(me, "active") is False:
            return Health(status="failed", detail=f"The account {name} is deactivated in Jira.", account_id=account)
        return Health(status="ok", detail=f"Connected to {site} as {name}.", account_id=account)

    def _credentials_hint(self) -> str:
        if self._config.edition == "cloud":
            return "Jira Cloud takes the account's email with an API token made at id.atlassian.com."
        return "Jira Data Center takes a personal access token, or user name and password."

    def _issue(self, ticket_id: str) -> str:
        key = ticket_key(ticket_id)
        if key is None:
            raise TicketNotFound(f"{ticket_id!r} is neither a Jira key nor an id.")
        return f"{self._api}/issue/{key}"

    def _ref(self, ticket_id: str, comment: Any) -> RemoteRef:
        number = word(comment, "id") or ""
        site = (self._config.browse_url or self._config.base_url).rstrip("/")
        url = f"{site}/browse/{ticket_id}?focusedCommentId={quote(number, safe='')}"
        return RemoteRef(id=number, url=url, created_at=time(at(comment, "created")))

    async def _own_account(self) -> str:
        if self._account is None:
            self._account = account_id(await self._client.read(f"{self._api}/myself"))
        if self._account is None:
            raise EffectUnverifiable("Jira did not say whose credentials these are.")
        return self._account

    async def _comments_since(self, ticket_id: str, since: datetime | None) -> list[dict[str, Any]]:
        """Return the comments not older than ``since``, newest first.

        Jira is asked for them newest first; should it not obey, all pages are read.
        """
        found: dict[str, dict[str, Any]] = {}
        start = 0
        for _ in range(MAX_PAGES):
            params = {"orderBy": "-created", "maxResults": str(PAGE), "startAt": str(start), "expand": "properties"}
            answer = await self._client.read(f"{self._issue(ticket_id)}/comment", params)
            comments = _listed(answer, "comments")
            found |= {number: comment for comment in comments if (number := word(comment, "id"))}
            start += len(comments)
            total = at(answer, "total")
            complete = not comments or (isinstance(total, int) and start >= total)
            if complete or (_descending(comments) and _older(comments[-1], since)):
                break
        else:
            raise EffectUnverifiable(f"{ticket_id} has more than {MAX_PAGES * PAGE} comments since the first attempt.")
        return sorted((c for c in found.values() if not _older(c, since)), key=_moment, reverse=True)

    async def _marker_of(self, comment: dict[str, Any]) -> Any:
        """Return the value of a comment's marker property, ``None`` when it has none.

        The list's expansion of properties is not documented; where it brings none, each comment is asked.
        """
        listed = objects(comment, "properties")
        if listed:
            return next((at(p, "value") for p in listed if at(p, "key") == MARKER_PROPERTY), None)
        number = quote(word(comment, "id") or "", safe="")
        try:
            return at(await self._client.read(f"{self._api}/comment/{number}/properties/{MARKER_PROPERTY}"), "value")
        except TicketNotFound:
            return None

    async def _search(self, params: dict[str, str]) -> Any:
        route = "/search/jql" if self._config.edition == "cloud" else "/search"
        return await self._client.read(f"{self._api}{route}", params)

    def _next_page(self, page: Any) -> dict[str, str] | None:
        if self._config.edition == "cloud":
            token = at(page, "nextPageToken")
            return {"nextPageToken": token} if isinstance(token, str) and at(page, "isLast") is not True else None
        start, total, count = at(page, "startAt"), at(page, "total"), len(objects(page, "issues"))
        if not isinstance(start, int) or not isinstance(total, int) or not count or start + count >= total:
            return None
        return {"startAt": str(start + count)}

    def _jql(self, query: TicketQuery) -> str:
        """Return a bounded query. Ages in minutes, because JQL reads dates in the account's own time zone."""
        clauses = []
        if self._config.projects:
            clauses.append("project in ({})".format(", ".join(f'"{key}"' for key in self._config.projects)))
        if query.resolved_only:
            clauses.append("statusCategory = Done")
        if query.updated_since is not None:
            age = (self._services.clock.now() - query.updated_since).total_seconds()
            clauses.append(f'updated >= "-{max(1, int(age // MINUTE) + 1)}m"')
        return f"{' AND '.join(clauses) or 'created is not EMPTY'} ORDER BY updated ASC, key ASC"


def _presented(header: str | None, name: str) -> str | None:
    """Return the secret in the header; ``Authorization`` may carry it as Bearer or as a Basic password."""
    if header is None or name.lower() != "authorization":
        return header
    scheme, _, rest = header.partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(rest.strip(), validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return None
    return header


def _marker_value(marker: EffectMarker) -> dict[str, Any]:
    return {"reference": marker.reference, "installation": marker.installation, "version": MARKER_VERSION}


def _carries(value: Any, marker: EffectMarker) -> bool:
    return (word(value, "reference"), word(value, "installation")) == (marker.reference, marker.installation)


def _by(comment: dict[str, Any]) -> str | None:
    return account_id(at(comment, "author"))


def _listed(answer: Any, name: str) -> list[dict[str, Any]]:
    """Return the objects of a list that must be there: what cannot be read is not empty."""
    if not isinstance(at(answer, name), list):
        raise TicketingUnavailable(f"Jira's answer has no list of {name}.")
    return objects(answer, name)


def _before(ticket: Ticket, since: datetime | None) -> bool:
    """Return whether a ticket is older than asked; JQL counts in whole minutes."""
    return since is not None and ticket.updated_at is not None and ticket.updated_at < since


def _moment(comment: dict[str, Any]) -> float:
    created = time(at(comment, "created"))
    return created.timestamp() if created else 0.0


def _older(comment: dict[str, Any], since: datetime | None) -> bool:
    """Return whether a comment was surely made before ``since``."""
    created = time(at(comment, "created"))
    return since is not None and created is not None and created < since


def _descending(comments: list[dict[str, Any]]) -> bool:
    moments = [_moment(comment) for comment in comments]
    return all(a >= b for a, b in pairwise(moments))
