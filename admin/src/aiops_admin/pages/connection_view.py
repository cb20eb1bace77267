"""Connections as trees: the list, one with its webhook address, and the dialogs; nothing here knows a server."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from aiops_admin import words
from aiops_admin.pages.bits import cells, chip, empty, facts, heading, no_tenant, skeleton, table, when
from aiops_admin.pages.forms import Asked, fields_of, form_fields, labelled, problem, send_or_cancel
from aiops_admin.safe import Node, h
from aiops_admin.wire_doors import (
    Connection,
    CreatedConnection,
    Endpoint,
    Explanation,
    Probe,
    Refusal,
    RotatedSecret,
    SecretVersion,
    TicketingTool,
)

COLUMNS = ("Connection", "State", "Why", "Since")
SECRET_COLUMNS = ("Secret", "Made", "Valid until", "Last used")
OVERLAPS = {
    "": "as the tenant's settings say",
    "0": "not at all",
    "24": "for a day",
    "72": "for three days",
    "168": "for a week",
}
KEPT = "Webhooks are kept and wait until it is resumed."


def connection_list(
    connections: tuple[Connection, ...] | None, *, may_manage: bool, tenant: str | None, unknown: str | None
) -> Node:
    """Return the whole list."""
    new = h("button", "Connect a ticketing tool …", type="button", data_action="new", class_="primary")
    offered = new if may_manage and tenant else None
    if tenant is None:
        return h("div", heading("Connections"), no_tenant(unknown), class_="list")
    if connections is None:
        return h("div", heading("Connections"), skeleton(), class_="list", aria_busy="true")
    if not connections:
        text = "Connect the tenant's ticketing tool: its webhooks then start work, and notes are posted to its tickets."
        return h("div", heading("Connections"), empty("No connection yet", text, offered), class_="list")
    rows = [_row(connection) for connection in connections]
    listed = table("Connections by name", COLUMNS, rows, "doors")
    return h("div", heading("Connections", offered), listed, class_="list")


def _row(connection: Connection) -> Node:
    name, tone, sentence = words.CONNECTIONS["paused" if connection.state == "paused" else "ok"]
    values = (
        h("div", h("b", connection.name), h("small", connection.ticketing_tool)),
        chip(name if connection.state == "paused" else "Active", tone, sentence),
        connection.state_reason or h("span", "—", class_="quiet"),
        when(connection.created_at, show="date"),
    )
    shown = str(connection.id)
    return h(
        "tr", *cells(COLUMNS, values), key=shown, data_action="open", data_value=shown, tabindex="0", role="button"
    )


def connection_sheet(connection: Connection, explained: Explanation | None, *, may_manage: bool) -> Node:
    """Return the sheet beside the list."""
    return sheet(
        connection.name,
        _state(connection, may_manage=may_manage),
        *(_endpoint(explained, may_manage=may_manage) if explained else (h("div", class_="bone"),)),
        h(
            "section",
            h("h3", "Configuration"),
            facts(
                [
                    ("Ticketing tool", connection.ticketing_tool),
                    ("Address", str(connection.config.get("base_url", "")) or None),
                    ("Our account there", connection.account_id),
                    ("Credentials", ", ".join(connection.credentials) or "none"),
                    ("Runs on tickets", ", ".join(connection.run_on)),
                    ("Links in notes", ", ".join(connection.link_hosts) or None),
                ]
            ),
            _buttons(("change", "Change …"), ("delete", "Delete …")) if may_manage else None,
        ),
    )


def sheet(title: str, *contents: Node | None) -> Node:
    """Return a dialog beside the list."""
    close = h("button", "✕", type="button", data_action="close", aria_label="Close", class_="close")
    head = h("header", h("h2", title, id="sheet-title"), close)
    body = h("div", head, h("div", *contents, class_="body"), class_="inner")
    return h("dialog", body, key="sheet", data_close="close", aria_labelledby="sheet-title", class_="side")


def dialog(title: str, *contents: Node | None, key: str) -> Node:
    """Return a question in the middle of the page."""
    inside = h("div", h("h2", title, id="ask-title"), *contents, class_="ask")
    return h("dialog", inside, key=key, data_close="cancel", aria_labelledby="ask-title", class_="confirm wide")


def _state(connection: Connection, *, may_manage: bool) -> Node:
    paused = connection.state == "paused"
    name = chip("Paused", "error") if paused else chip("Active", "success")
    why = f"{connection.state_reason or 'It was paused.'} {KEPT}" if paused else None
    turn = ("resume", "Resume") if paused else ("pause", "Pause")
    return h(
        "section",
        h("p", name),
        h("p", why) if why else None,
        _probe(connection.last_test),
        _buttons(("test", "Test connection"), turn) if may_manage else None,
    )


def _probe(probe: Probe | None) -> Node | None:
    if probe is None:
        return None
    if probe.state in ("queued", "running"):
        return h("p", "A worker is testing the connection …", class_="notice tone-info", role="status")
    tone = "success" if probe.state == "ok" else "error"
    tested = (" ", h("small", "Tested ", when(probe.finished_at), ".")) if probe.finished_at else ()
    return h("p", probe.result or "", *tested, class_=f"notice tone-{tone}", role="status")


def _endpoint(explained: Explanation, *, may_manage: bool) -> Iterable[Node]:
    endpoint = explained.endpoint
    yield h(
        "section",
        h("h3", "Webhook address"),
        copied("Address", endpoint.webhook_url),
        facts([("May post", ", ".join(endpoint.networks) or "everybody who has the secret")]),
        _secrets(endpoint.secrets),
        _buttons(
            ("rotate", "New secret …"),
            *((("end-overlap", "Refuse replaced secrets now"),) if len(endpoint.secrets) > 1 else ()),
            ("networks", "Networks …"),
        )
        if may_manage
        else None,
    )
    yield h(
        "section",
        h("h3", "Refused webhooks"),
        h("p", explained.summary),
        h("ol", *(_refusal(one) for one in explained.refusals), class_="timeline") if explained.refusals else None,
    )


def _secrets(secrets: tuple[SecretVersion, ...]) -> Node:
    rows = [
        h(
            "tr",
            *cells(
                SECRET_COLUMNS,
                (
                    f"{one.version}{' (newest)' if one.current else ''}",
                    when(one.created_at),
                    when(one.expires_at, show="exact"),
                    _used(secrets, one),
                ),
            ),
            key=str(one.version),
        )
        for one in secrets
    ]
    return table("Webhook secrets, newest first", SECRET_COLUMNS, rows, "secrets")


def _used(secrets: tuple[SecretVersion, ...], one: SecretVersion) -> Node:
    """Return when a secret was last used, as far as the host writes that down: while there is another."""
    if len(secrets) == 1:
        return "Not kept for the only one"
    if one.last_used_at and (one.current or one.last_used_at >= secrets[0].created_at):
        return when(one.last_used_at)
    return "Not yet" if one.current else f"Not since {secrets[0].version} was made"


def _refusal(one: Refusal) -> Node:
    times = f", {one.times} times" if one.times > 1 else ""
    return h(
        "li",
        h("b", f"{one.check}{times}"),
        h("small", when(one.at), f" from {one.address or 'an unknown address'}"),
        h("p", one.what),
        h("p", one.advice),
        h("p", f"Headers: {', '.join(one.header_names) or 'none'}"),
    )


def tool_question(tools: tuple[TicketingTool, ...], asked: Asked) -> Node:
    """Return the dialog that asks for the ticketing tool."""
    options = [h("option", tool.title, value=tool.name) for tool in tools]
    chosen = labelled("Ticketing tool", h("select", *options, name="tool"))
    form = h("form", chosen, send_or_cancel("Next"), data_action="tool")
    return dialog("Connect a ticketing tool", problem(asked.refusal), form, key="tool")


def new_question(tool: TicketingTool, asked: Asked) -> Node:
    """Return the form of a new connection, made from the ticketing tool's schema."""
    name = h("input", type="text", name=":name", value=tool.title, autocomplete="off", maxlength=200)
    hosts = h("textarea", name=":link_hosts", rows=2, spellcheck="false")
    form = h(
        "form",
        labelled("Name (needed)", name, hint="What people call it.", wrong=asked.wrong.get("name")),
        *form_fields(fields_of(tool.schema), asked.wrong),
        labelled(
            "Hosts notes may link to",
            hosts,
            hint="Such as wiki.example.com; links to other hosts are left out of notes. One per line.",
            wrong=asked.wrong.get("link_hosts"),
        ),
        send_or_cancel("Connect"),
        data_action="create",
    )
    return dialog(f"Connect {tool.title}", problem(asked.refusal), form, key="new")


def change_question(connection: Connection, tool: TicketingTool, asked: Asked) -> Node:
    """Return the form of a connection's configuration."""
    form = h(
        "form",
        h(
            "p",
            "When anything but a credential changes, enter the credentials again: they go nowhere new by themselves.",
        ),
        *form_fields(fields_of(tool.schema), asked.wrong, connection.config),
        send_or_cancel("Save"),
        data_action="config",
    )
    return dialog(f"Change {connection.name}", problem(asked.refusal), form, key="change")


def rotate_question(asked: Asked) -> Node:
    """Return the dialog that asks how long replaced secrets stay valid."""
    options = [h("option", text, value=value) for value, text in OVERLAPS.items()]
    chosen = labelled("The secrets before stay valid", h("select", *options, name="hours"))
    text = "The new secret is shown once. Enter it at the ticketing tool while the one before is still valid."
    return dialog("Make a new webhook secret?", problem(asked.refusal), h("p", text),
                  h("form", chosen, send_or_cancel("Make it"), data_action="rotate-now"), key="rotate")  # fmt: skip


def networks_question(endpoint: Endpoint, asked: Asked) -> Node:
    """Return the dialog that asks which networks may post."""
    listed = h("textarea", "\n".join(endpoint.networks), name="networks", rows=5, spellcheck="false")
    hint = "Such as 192.0.2.0/24 or one address; one per line. Empty: everybody who has the secret."
    wrong = "; ".join(asked.wrong.values()) or None
    form = h("form", labelled("Networks that may post", listed, hint=hint, wrong=wrong), send_or_cancel("Save"),
             data_action="networks-now")  # fmt: skip
    return dialog("Who may post?", problem(None if wrong else asked.refusal), form, key="networks")


def delete_question(connection: Connection, asked: Asked) -> Node:
    """Return the dialog in which the connection's name has to be typed."""
    text = (
        "Its webhook address and secrets go, and what was not finished ends. The history of its deliveries, runs and "
        "notes stays readable. This cannot be undone."
    )
    return typed_question(f"Delete {connection.name}?", text, connection.name, asked, "delete-now")


def typed_question(title: str, text: str, wanted: str, asked: Asked, action: str) -> Node:
    """Return a dialog that goes on only for who types ``wanted``."""
    control = h("input", type="text", name="typed", autocomplete="off", spellcheck="false")
    form = h("form", labelled(f"Type {wanted}", control), send_or_cancel("Delete"), data_action=action)
    return dialog(title, h("p", text), problem(asked.refusal), form, key="typed")


def created_dialog(made: CreatedConnection) -> Node:
    """Return what the ticketing tool needs, with the secret shown once."""
    return dialog("Connected", *_shown_once(made.webhook_url, made.webhook_secret, made.headers),
                  h("p", made.setup_help, class_="words") if made.setup_help else None,
                  _buttons(("test-new", "Test connection"), ("cancel", "Done")), key="secret")  # fmt: skip


def rotated_dialog(made: RotatedSecret) -> Node:
    """Return the new secret, shown once."""
    until = (
        h("p", "Two before it at most stay valid, until ", when(made.previous_until, show="exact"), ".", _ended(made))
        if made.previous_until
        else h("p", "No other secret is valid any more.")
    )
    return dialog("The new webhook secret", *_shown_once(made.webhook_url, made.webhook_secret, made.headers), until,
                  _buttons(("cancel", "Done")), key="secret")  # fmt: skip


def _ended(made: RotatedSecret) -> str:
    return "".join(f" Version {version} ended now." for version in made.ended)


def _shown_once(url: str, secret: str, headers: Mapping[str, str]) -> Iterable[Node]:
    yield h("p", "Enter these at the ticketing tool. The secret is shown this once.", class_="notice tone-warning")
    yield copied("Address", url)
    for name, value in headers.items():
        yield copied(f"Header {name}", value)
    yield copied("Secret", secret)


def copied(label: str, text: str) -> Node:
    """Return a text with a button that copies it."""
    return h("div", h("small", label), h("code", text),
             h("button", f"Copy {label.lower()}", type="button", data_copy=text), class_="webhook")  # fmt: skip


def _buttons(*pairs: tuple[str, str]) -> Node:
    return h("div", *(h("button", name, type="button", data_action=action) for action, name in pairs), class_="buttons")
