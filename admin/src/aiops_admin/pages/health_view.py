"""Health as a tree; nothing here knows a server."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from aiops_admin import words
from aiops_admin.pages.bits import cells, chip, heading, no_tenant, skeleton, table, when
from aiops_admin.safe import Node, h
from aiops_admin.wire import (
    ConnectionHealth,
    Figure,
    InstallationFigures,
    Part,
    Readiness,
    TenantFigures,
    TenantLine,
    Worker,
)

CONNECTION_COLUMNS = ("Connection", "State", "Why", "Last webhook", "Last note", "Waiting", "Needs a person")
WORKER_COLUMNS = ("Worker", "State", "Works on", "Database connections", "Started")
TENANT_COLUMNS = ("Tenant", "Notes posted", "95 of 100 within", "Waiting", "Needs a person")
MET: dict[bool | None, tuple[str, str]] = {
    True: ("Goal met", "success"),
    False: ("Goal missed", "error"),
    None: ("Nothing to judge yet", "neutral"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What is known, ``None`` where it was not fetched yet. ``troubled`` gives a state's deliveries' address."""

    readiness: Readiness | None
    tenant: str | None
    figures: TenantFigures | None
    connections: tuple[ConnectionHealth, ...] | None
    installation: InstallationFigures | None
    operator: bool
    may_manage: bool
    live: bool
    troubled: Callable[[str], str]
    unknown_tenant: str | None = None


def health_view(seen: Seen) -> Node:
    """Return the whole page."""
    if seen.readiness is None:
        return h("div", heading("Health"), skeleton(), class_="list", aria_busy="true")
    name, tone = words.READINESS.get(seen.readiness.status, (seen.readiness.status, "neutral"))
    return h(
        "div",
        heading("Health", chip(name, tone), live=seen.live),
        *(_installation(seen.installation) if seen.installation else ()),
        *(
            _tenant(seen)
            if seen.tenant
            else (no_tenant(seen.unknown_tenant),)
            if seen.unknown_tenant or not seen.operator
            else ()
        ),
        _section("Parts of the host", _parts(seen.readiness.parts)),
        class_="list health",
    )


def _installation(found: InstallationFigures) -> Iterable[Node]:
    yield _section(f"All tenants, last {found.hours} hours", _cards(found.figures))
    yield _section("Workers", _workers(found.workers))
    if len(found.tenants) > 1:
        rows = [_tenant_row(tenant) for tenant in found.tenants]
        yield _section("Tenants", table("Tenants and how their work goes", TENANT_COLUMNS, rows, "tenants"))


def _tenant(seen: Seen) -> Iterable[Node]:
    if seen.figures is not None:
        title = (
            f"{_name(seen)}, last {seen.figures.hours} hours" if seen.operator else (f"Last {seen.figures.hours} hours")
        )
        yield _section(title, _attention(seen), _cards(seen.figures.figures))
    if seen.connections is not None:
        yield _section("Connections", _connections(seen))


def _name(seen: Seen) -> str:
    known = seen.installation.tenants if seen.installation else ()
    return next((tenant.name for tenant in known if tenant.slug == seen.tenant), f"Tenant {seen.tenant}")


def _section(title: str, *contents: Node | None) -> Node:
    return h("section", h("h2", title), *contents, class_="part", key=title)


def _attention(seen: Seen) -> Node | None:
    count = seen.figures.needs_attention if seen.figures else 0
    if not count:
        return None
    links = [
        part
        for state in ("dead", "parked", "quarantined")
        for part in (h("a", words.STATES[state][0].lower(), href=seen.troubled(state)), ", ")
    ]
    several = f"{count} deliveries need a person: see " if count > 1 else "One delivery needs a person: see "
    return h("p", several, *links[:-1], ".", class_="notice tone-warning")


def _cards(figures: Iterable[Figure]) -> Node:
    return h("div", *(_card(figure) for figure in figures), class_="cards")


def _card(figure: Figure) -> Node:
    name = words.FIGURES.get(figure.name, figure.name)
    state, tone = MET[figure.met]
    return h(
        "article",
        h("h3", name),
        h("div", h("strong", words.quantity(figure.value, figure.unit)), chip(state, tone), class_="top"),
        h("small", f"Goal: {words.RULES.get(figure.rule, figure.rule)} {words.quantity(figure.goal, figure.unit)}"),
        h("p", figure.detail, class_="quiet"),
        class_=f"figure tone-{tone}",
        key=figure.name,
    )


def _workers(workers: Iterable[Worker]) -> Node:
    rows = [_worker(worker) for worker in workers]
    if not rows:
        text = "No worker has said in the last ten minutes that it lives. Webhooks are kept and wait. Start one with "
        return h("p", text, h("code", "aiops worker"), ".", class_="notice tone-error")
    return table("Worker processes of the last ten minutes", WORKER_COLUMNS, rows, "workers")


def _worker(worker: Worker) -> Node:
    seen = h("small", "seen ", when(worker.seen_at))
    values = (
        h("b", worker.name),
        h("div", chip("Alive", "success") if worker.alive else chip("Silent", "error"), seen),
        f"{worker.running} of {worker.slots}",
        f"{worker.pool_in_use} of {worker.pool_size}",
        when(worker.started_at, show="exact"),
    )
    return h("tr", *cells(WORKER_COLUMNS, values), key=worker.name)


def _tenant_row(tenant: TenantLine) -> Node:
    link = h("a", tenant.name, href=f"?tenant={tenant.slug}", data_action="tenant", data_value=tenant.slug)
    paused = h("small", "suspended") if tenant.state == "suspended" else None
    slowest = words.quantity(tenant.slowest_seconds, "seconds")
    waiting = (
        f"{tenant.waiting}, the oldest {words.quantity(tenant.oldest_seconds, 'seconds')}" if tenant.waiting else "0"
    )
    values = (
        h("div", link, paused),
        f"{tenant.posted} of {tenant.ended}",
        slowest,
        waiting,
        chip(str(tenant.needs_attention), "warning") if tenant.needs_attention else "0",
    )
    return h("tr", *cells(TENANT_COLUMNS, values), key=tenant.slug)


def _connections(seen: Seen) -> Node:
    if not seen.connections:
        text = "This tenant has no connection to a ticketing tool yet. Its administrator makes one on the page Connections."
        return h("p", text, class_="notice tone-neutral")
    rows = [_connection(connection, may_manage=seen.may_manage) for connection in seen.connections]
    return table("Connections to ticketing tools by name", CONNECTION_COLUMNS, rows, "connections")


def _connection(connection: ConnectionHealth, *, may_manage: bool) -> Node:
    name, tone, sentence = words.CONNECTIONS.get(connection.status, (connection.status, "neutral", ""))
    values = (
        h("div", h("b", connection.name), h("small", connection.ticketing_tool)),
        chip(name, tone, sentence),
        _why(connection, may_manage=may_manage),
        _moment(connection.last_webhook_at is not None, when(connection.last_webhook_at)),
        _moment(connection.last_note_at is not None, when(connection.last_note_at)),
        str(connection.waiting),
        chip(str(connection.given_up), "warning") if connection.given_up else "0",
    )
    return h("tr", *cells(CONNECTION_COLUMNS, values), key=str(connection.id))


def _why(connection: ConnectionHealth, *, may_manage: bool) -> Node:
    _, _, sentence = words.CONNECTIONS.get(connection.status, ("", "", ""))
    resume = None
    if connection.status == "paused" and may_manage:
        label = f"Resume {connection.name}"
        resume = h("button", "Resume", type="button", data_action="resume", data_value=connection.id, aria_label=label)
    until = h("p", "It goes on at ", when(connection.wait_until, show="exact"), ".") if connection.wait_until else None
    text = connection.reason or (sentence if connection.status != "ok" else "")
    return h("div", h("p", text) if text else None, until, resume, class_="why")


def _moment(known: bool, moment: Node) -> Node:
    return moment if known else h("span", "not in the last day", class_="quiet")


def _parts(parts: Iterable[Part]) -> Node:
    return h("ul", *(_part(part) for part in parts), class_="parts")


def _part(part: Part) -> Node:
    name, tone = words.PARTS.get(part.status, (part.status, "neutral"))
    title = words.PART_NAMES.get(part.name, part.name)
    return h("li", h("b", title), chip(name, tone), h("span", part.detail, class_="quiet"), key=part.name)
