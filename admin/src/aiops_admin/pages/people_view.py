"""People as trees: a tenant's members and invitations, everybody, and the dialogs; nothing here knows a server."""

from __future__ import annotations

from collections.abc import Sequence

from aiops_admin import words
from aiops_admin.pages.bits import cells, chip, empty, heading, no_tenant, skeleton, table, when
from aiops_admin.pages.connection_view import copied, dialog
from aiops_admin.pages.forms import Asked, labelled, problem, send_or_cancel
from aiops_admin.safe import Node, h
from aiops_admin.wire_people import Invitation, Link, Member, Person

ROLES = ("technician", "tenant-admin", "read-only")
MEMBER_COLUMNS = ("Person", "Role", "State", "Since", "")
INVITATION_COLUMNS = ("Invited", "Role", "By", "Until", "")
PERSON_COLUMNS = ("Person", "Tenants", "State", "Last seen", "")


def members_part(
    members: Sequence[Member] | None, invitations: Sequence[Invitation], *, tenant: str | None, unknown: str | None
) -> Node:
    """Return the tenant's members, and whom it has invited."""
    if tenant is None:
        return h("div", heading("People"), no_tenant(unknown), class_="list")
    if members is None:
        return h("div", heading("People"), skeleton(), class_="list", aria_busy="true")
    invite = h("button", "Invite somebody …", type="button", data_action="invite", class_="primary")
    if not members and not invitations:
        text = "Invite the technicians who work this tenant's tickets. Platform administrators reach it without."
        return h("div", heading("People"), empty("Nobody yet", text, invite), class_="list")
    parts: list[Node | None] = [heading("People", invite)]
    if members:
        parts.append(table("Members by address", MEMBER_COLUMNS, [_member(m) for m in members], "doors"))
    if invitations:
        rows = [_invitation(i) for i in invitations]
        parts += [h("h2", "Invited"), table("Open invitations", INVITATION_COLUMNS, rows, "doors")]
    return h("div", *parts, class_="list")


def everybody_part(people: Sequence[Person]) -> Node:
    """Return everybody of the installation; nothing where nobody is to be shown."""
    if not people:
        return h("div")
    make = h("button", "Add a person …", type="button", data_action="make")
    listed = table("Everybody by address", PERSON_COLUMNS, [_person(p) for p in people], "doors")
    return h("div", heading("Everybody in this installation", make), listed, class_="list")


def invite_question(asked: Asked) -> Node:
    """Return the form of an invitation."""
    form = h("form", _email(asked), _role("technician"), send_or_cancel("Invite"), data_action="invite-now")
    return dialog("Invite somebody", problem(asked.refusal), form, key="invite")


def make_question(asked: Asked) -> Node:
    """Return the form of a person without a tenant."""
    admin = h("input", type="checkbox", name="platform_admin", value="yes")
    hint = "They may see and change every tenant."
    form = h(
        "form",
        _email(asked),
        labelled("Platform administrator", admin, hint=hint),
        send_or_cancel("Add"),
        data_action="make-now",
    )
    return dialog("Add a person", problem(asked.refusal), form, key="make")


def member_question(member: Member, asked: Asked) -> Node:
    """Return what can be done with a member."""
    form = h(
        "form",
        h("p", "Their sessions end, and they log in anew with what they may do then."),
        h("input", type="hidden", name="id", value=member.user_id),
        _role(member.role),
        send_or_cancel("Save"),
        data_action="role-now",
    )
    out = h("button", "Take out of the tenant", type="button", data_action="remove-now", data_value=member.user_id)
    return dialog(member.email, problem(asked.refusal), form, h("div", out, class_="buttons"), key="member")


def person_question(person: Person, asked: Asked) -> Node:
    """Return what can be done with a person of the installation."""
    pairs = [
        ("demote", "Make an ordinary person") if person.platform_admin else ("promote", "Make platform administrator"),
        ("deactivate", "Keep out") if person.active else ("activate", "Let in again"),
        ("reset", "Link for a new password"),
        ("logout", "Log out everywhere"),
    ]
    if person.second_factor:
        pairs.append(("unfactor", "Remove the second factor"))
    buttons = [h("button", text, type="button", data_action=act, data_value=person.user_id) for act, text in pairs]
    cancel = h("button", "Cancel", type="button", data_action="cancel")
    return dialog(person.email, problem(asked.refusal), h("div", *buttons, cancel, class_="buttons"), key="person")


def link_dialog(email: str, link: Link) -> Node:
    """Return what became of a one-time link."""
    done = h("div", h("button", "Done", type="button", data_action="cancel"), class_="buttons")
    if link.mailed:
        return dialog("The link is on its way", h("p", f"{email} has a mail with it; it works once."), done, key="link")
    failed = h("p", link.problem, class_="notice tone-warning") if link.problem else None
    text = h("p", f"Hand this link to {email}. It works once, and is shown this once.")
    return dialog("Hand on the link", failed, text, copied("Link", link.url or ""), done, key="link")


def told_dialog(title: str, text: str) -> Node:
    """Return a dialog that says what was done."""
    done = h("div", h("button", "Done", type="button", data_action="cancel"), class_="buttons")
    return dialog(title, h("p", text), done, key="told")


def _member(member: Member) -> Node:
    values = [
        h("b", member.email),
        h("span", words.ROLES.get(member.role, member.role)),
        _state(active=member.active, locked=False, second_factor=member.second_factor),
        when(member.since, show="date"),
        h("button", "Change …", type="button", data_action="member", data_value=member.user_id),
    ]
    return h("tr", *cells(MEMBER_COLUMNS, values), key=str(member.user_id))


def _invitation(one: Invitation) -> Node:
    values = [
        h("b", one.email),
        h("span", words.ROLES.get(one.role, one.role)),
        h("span", one.invited_by),
        when(one.expires_at, show="exact"),
        h("button", "Take back", type="button", data_action="withdraw", data_value=one.id),
    ]
    return h("tr", *cells(INVITATION_COLUMNS, values), key=str(one.id))


def _person(person: Person) -> Node:
    roles = h("small", "Platform administrator") if person.platform_admin else None
    values = [
        h("div", h("b", person.email), roles),
        h("span", ", ".join(person.tenants) or "—"),
        _state(active=person.active, locked=person.locked, second_factor=person.second_factor),
        when(person.last_seen_at) if person.last_seen_at else h("span", "—"),
        h("button", "Change …", type="button", data_action="person", data_value=person.user_id),
    ]
    return h("tr", *cells(PERSON_COLUMNS, values), key=str(person.user_id))


def _state(*, active: bool, locked: bool, second_factor: bool) -> Node:
    if not active:
        return chip("Kept out", "error", "They cannot log in.")
    if locked:
        return chip("Locked", "warning", "Too many wrong passwords; it passes by itself.")
    return chip("Second factor", "success") if second_factor else chip("Active", "neutral")


def _email(asked: Asked) -> Node:
    control = h("input", type="email", name="email", maxlength=254, autocomplete="off", required=True)
    return labelled("Email", control, wrong=asked.wrong.get("email"))


def _role(now: str) -> Node:
    options = [h("option", words.ROLES.get(r, r), value=r, selected=r == now) for r in ROLES]
    return labelled("Role", h("select", *options, name="role"))
