"""Tenants as trees; nothing here knows a server."""

from __future__ import annotations

from urllib.parse import urlencode

from aiops_admin.pages.bits import cells, chip, empty, facts, heading, skeleton, table, when
from aiops_admin.pages.connection_view import dialog, sheet, typed_question
from aiops_admin.pages.forms import Asked, labelled, problem, send_or_cancel
from aiops_admin.safe import Node, h
from aiops_admin.wire_doors import BegunDeletion, TenantDetail, TenantLine

COLUMNS = ("Tenant", "State", "Since")
STATES = {
    "active": ("Active", "success", "Its work goes on."),
    "suspended": ("Suspended", "warning", "Its webhooks are stored and wait; nothing is worked on."),
    "deleting": ("Being deleted", "error", "Its keys are destroyed, its rows go step by step."),
}
"""Per state of a tenant: its name, its colour and one sentence about it."""


def tenant_list(tenants: tuple[TenantLine, ...] | None, *, allowed: bool) -> Node:
    """Return the whole list."""
    if not allowed:
        text = "Tenants are looked after by the person who runs this installation."
        return h("div", heading("Tenants"), empty("Not for your role", text), class_="list")
    if tenants is None:
        return h("div", heading("Tenants"), skeleton(), class_="list", aria_busy="true")
    new = h("button", "Create a tenant …", type="button", data_action="new", class_="primary")
    if not tenants:
        text = "A tenant is one customer organisation. Create the first, then connect its ticketing tool."
        return h("div", heading("Tenants"), empty("No tenant yet", text, new), class_="list")
    listed = table("Tenants by slug", COLUMNS, [_row(tenant) for tenant in tenants], "doors")
    return h("div", heading("Tenants", new), listed, class_="list")


def _row(tenant: TenantLine) -> Node:
    name, tone, sentence = STATES.get(tenant.state, (tenant.state, "neutral", ""))
    values = (
        h("div", h("b", tenant.name), h("small", tenant.slug)),
        h("div", chip(name, tone), h("small", sentence)),
        when(tenant.created_at, show="date"),
    )
    return h(
        "tr",
        *cells(COLUMNS, values),
        key=tenant.slug,
        data_action="open",
        data_value=tenant.slug,
        tabindex="0",
        role="button",
    )


def tenant_sheet(tenant: TenantDetail) -> Node:
    """Return the sheet beside the list."""
    name, tone, _ = STATES.get(tenant.state, (tenant.state, "neutral", ""))
    leaving = tenant.state == "deleting"
    turn = ("resume", "Resume") if tenant.state == "suspended" else ("suspend", "Suspend")
    query = urlencode({"tenant": tenant.slug})
    return sheet(
        tenant.name,
        h(
            "section",
            h("p", chip(name, tone), " since ", when(tenant.state_since, show="exact")),
            h("p", tenant.note) if tenant.note else None,
            None if leaving else h("div", _button(*turn), class_="buttons"),
        ),
        h(
            "section",
            h("h3", "Settings"),
            facts(
                [
                    ("Slug", tenant.slug),
                    ("Contact", tenant.settings.contact or None),
                    ("Replaced webhook secrets stay valid", f"{tenant.settings.overlap_hours:g} hours"),
                    ("Created", when(tenant.created_at, show="date")),
                ]
            ),
            None if leaving else h("div", _button("change", "Change …"), class_="buttons"),
        ),
        None
        if leaving
        else h(
            "section",
            h("h3", "Its data"),
            h("p", "The export is one archive of all its rows, without its secrets."),
            h(
                "div",
                h("a", "Export", href=f"/export?{query}", download=True, class_="button"),
                h("a", "Connections", href=f"/connections?{query}", class_="button"),
                h("a", "People", href=f"/people?{query}", class_="button"),
                _button("delete", "Delete …"),
                class_="buttons",
            ),
        ),
    )


def new_question(asked: Asked) -> Node:
    """Return the form of a new tenant."""
    form = h(
        "form",
        labelled(
            "Name (needed)",
            h("input", type="text", name="name", maxlength=200, autocomplete="off"),
            hint="The organisation's name.",
            wrong=asked.wrong.get("name"),
        ),
        labelled(
            "Slug (needed)",
            h("input", type="text", name="slug", maxlength=63, autocomplete="off", spellcheck="false"),
            hint="Short and lasting, for commands and addresses: 2 to 63 of a-z, 0-9 and -.",
            wrong=asked.wrong.get("slug"),
        ),
        send_or_cancel("Create"),
        data_action="create",
    )
    return dialog("Create a tenant", problem(asked.refusal), form, key="new")


def change_question(tenant: TenantDetail, asked: Asked) -> Node:
    """Return the form of a tenant's settings."""
    hours = f"{tenant.settings.overlap_hours:g}"
    form = h(
        "form",
        labelled(
            "Name",
            h("input", type="text", name="name", value=tenant.name, maxlength=200),
            wrong=asked.wrong.get("name"),
        ),
        labelled(
            "Contact",
            h("input", type="text", name="contact", value=tenant.settings.contact, maxlength=254),
            hint="Whom to ask about it.",
        ),
        labelled(
            "Hours a replaced webhook secret stays valid",
            h("input", type="number", name="overlap_hours", value=hours, min=0, max=168, step="any"),
            hint="At most 168, which are seven days.",
            wrong=asked.wrong.get("overlap_hours"),
        ),
        send_or_cancel("Save"),
        data_action="save",
    )
    return dialog(f"Change {tenant.name}", problem(asked.refusal), form, key="change")


def delete_question(tenant: TenantDetail, asked: Asked) -> Node:
    """Return the dialog in which the tenant's slug has to be typed."""
    text = (
        "Its keys are destroyed first: from then on nobody opens one of its secrets, in no backup either. Then all its "
        "rows go; only the audit trail stays. Export them before, if somebody may want them. This cannot be undone."
    )
    return typed_question(f"Delete {tenant.name}?", text, tenant.slug, asked, "delete-now")


def begun_dialog(begun: BegunDeletion) -> Node:
    """Return what happens now, and what a person still has to do."""
    left = h("p", begun.keys_left, class_="notice tone-warning") if begun.keys_left else None
    done = h("button", "Done", type="button", data_action="cancel")
    text = f"{begun.tenant.name} is closed. Its rows go in the background, also when the host is restarted meanwhile."
    return dialog("The deletion has begun", h("p", text), left, h("div", done, class_="buttons"), key="begun")


def _button(action: str, name: str) -> Node:
    return h("button", name, type="button", data_action=action)
