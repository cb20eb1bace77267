"""``aiops users``: people who may log in, and what they may do."""

from __future__ import annotations

import logging
import secrets
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import click

from aiops_host.cli.program import as_json, opened, print_json, print_table, run, run_async

ROLES = ("tenant-admin", "technician", "read-only")
ALL = 200
"""People listed per page of the database; every page is asked for."""

users = click.Group("users", help="People who may log in: who they are and what they may do.", no_args_is_help=True)
tenant_option = click.option("--tenant", "slug", metavar="SLUG", required=True, help="The tenant")
mail_option = click.option("--mail/--print", "mail", default=None, help="Mail the link, or print it")


@users.command()
@click.argument("email")
@click.option("--tenant", "slug", metavar="SLUG", help="The tenant they belong to")
@click.option("--role", type=click.Choice(ROLES), default="technician", show_default=True, help="Their role in it")
@click.option("--platform-admin", is_flag=True, help="They may see and change every tenant")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input; else one is made up")
@as_json
def create(email: str, slug: str | None, role: Any, platform_admin: bool, password_stdin: bool, as_json: bool) -> None:
    """Create a person, or add one there is to another tenant.

    A made-up password is printed this once and stored nowhere; `aiops users password` gives a new one. Whoever is added
    to another tenant keeps theirs.
    """
    from aiops_host.data import tenants  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.trust.accounts import create_user  # noqa: PLC0415

    if not slug and not platform_admin:
        raise click.UsageError("Say --tenant SLUG or --platform-admin.")
    password = _password(given=password_stdin)

    async def work() -> bool:
        async with opened() as database:
            roles = {(await tenants.by_slug(database, slug)).id: role} if slug else {}
            return await create_user(database, email, password, platform_admin=platform_admin, roles=roles)

    new = run_async(work)
    shown = password if new and not password_stdin else None
    if as_json:
        print_json(
            {"email": email, "role": "platform-admin" if platform_admin else role, "tenant": slug, "password": shown}
        )
    elif not new:
        click.echo(f"{email} now belongs to {slug} too, as {role}, and keeps the password they have")
    else:
        click.echo(f"{email} may log in" + _shown(shown))


@users.command("password")
@click.argument("email")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input; else one is made up")
@as_json
def password_(email: str, password_stdin: bool, as_json: bool) -> None:
    """Give a person a new password, which ends their sessions.

    A made-up password is printed this once and stored nowhere. Roles stay as they are.
    """
    from aiops_host.trust.accounts import set_password  # noqa: PLC0415 - the database is not needed for --help

    password = _password(given=password_stdin)

    async def work() -> None:
        async with opened() as database:
            await set_password(database, email, password)

    run_async(work)
    shown = None if password_stdin else password
    if as_json:
        print_json({"email": email, "password": shown})
    else:
        click.echo(f"{email} has a new password" + (f": {shown}  (shown this once)" if shown else ""))


@users.command("list")
@click.option("--tenant", "slug", metavar="SLUG", help="Members of one tenant only")
@as_json
def list_(slug: str | None, as_json: bool) -> None:
    """List everybody, or the members of a tenant."""
    from aiops_host.data import members, tenants  # noqa: PLC0415 - the database is not needed for --help

    async def work() -> list[Any]:
        async with opened() as database:
            if slug is None:
                return await _pages(lambda cursor: members.people(database, limit=ALL, cursor=cursor))
            tenant_id = (await tenants.by_slug(database, slug)).id
            return await _pages(lambda cursor: members.list_(database, tenant_id, limit=ALL, cursor=cursor))

    found = run_async(work)
    if as_json:
        print_json(found)
    elif slug is None:
        rows = [(p.email, "yes" if p.platform_admin else "", ", ".join(p.tenants), _state(p)) for p in found]
        print_table(rows, ("EMAIL", "PLATFORM", "TENANTS", "STATE"))
    else:
        print_table([(m.email, m.role, _state(m)) for m in found], ("EMAIL", "ROLE", "STATE"))


@users.command()
@click.argument("email")
@tenant_option
@click.option("--role", type=click.Choice(ROLES), default="technician", show_default=True, help="Their role in it")
@mail_option
@as_json
def invite(email: str, slug: str, role: Any, mail: bool | None, as_json: bool) -> None:
    """Invite somebody into a tenant by a one-time link. It is good for a week, and ends an earlier one.

    Mailed where AIOPS_SMTP_URL names a mail server, printed otherwise, or when the mail failed.
    """
    from aiops_host.data import members, tenants  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.trust import audit  # noqa: PLC0415

    async def work() -> tuple[Any, bool]:
        async with opened() as database:
            tenant = await tenants.by_slug(database, slug)
            place = (tenant.id, tenant.name)
            before = await members.invitations(database, tenant.id)
            made, link = await _links(database).invite(place, email, role, audit.operator(), mail=mail is not False)
            return link, any(one.email == made.email for one in before)

    link, again = run_async(work)
    if again:
        click.echo(f"{email} was invited to {slug} before; the link of then leads nowhere any more.", err=True)
    _print_link(email, link, as_json)


@users.command()
@click.argument("email")
@mail_option
@as_json
def reset(email: str, mail: bool | None, as_json: bool) -> None:
    """Let a person choose a new password by a one-time link. It is good for two hours."""

    async def work() -> Any:
        from aiops_host.trust import audit  # noqa: PLC0415 - the database is not needed for --help

        async with opened() as database:
            return await _links(database).reset(await _id(database, email), audit.operator(), mail=mail is not False)

    _print_link(email, run_async(work), as_json)


@users.command()
@click.argument("email")
@tenant_option
@click.argument("role", type=click.Choice(ROLES))
def role(email: str, slug: str, role: Any) -> None:
    """Give a member another role; their sessions end."""
    from aiops_host.trust import membership  # noqa: PLC0415 - the database is not needed for --help

    _in_tenant(email, slug, partial(membership.change_role, role=role))
    click.echo(f"{email} is {role} in {slug} now")


@users.command()
@click.argument("email")
@tenant_option
def remove(email: str, slug: str) -> None:
    """Take a member out of a tenant. Their sessions end, their tokens for it are revoked."""
    from aiops_host.trust import membership  # noqa: PLC0415 - the database is not needed for --help

    _in_tenant(email, slug, membership.remove)
    click.echo(f"{email} does not belong to {slug} any more")


@users.command()
@click.argument("email")
def promote(email: str) -> None:
    """Make a person platform administrator; their sessions end."""
    _change(email, platform_admin=True)
    click.echo(f"{email} may see and change every tenant now")


@users.command()
@click.argument("email")
def demote(email: str) -> None:
    """Make a platform administrator an ordinary person. Their sessions end."""
    _change(email, platform_admin=False)
    click.echo(f"{email} is no platform administrator any more")


@users.command()
@click.argument("email")
def deactivate(email: str) -> None:
    """Keep a person out. No login, session or token of theirs opens anything. Roles stay."""
    _change(email, active=False)
    click.echo(f"{email} may not log in any more; `aiops users activate` lets them in again")


@users.command()
@click.argument("email")
def activate(email: str) -> None:
    """Let a person in again."""
    _change(email, active=True)
    click.echo(f"{email} may log in again")


@users.command()
@click.argument("email")
def logout(email: str) -> None:
    """Log a person out everywhere."""

    async def work() -> int:
        from aiops_host.trust import audit, membership  # noqa: PLC0415 - the database is not needed for --help

        async with opened() as database:
            return await membership.end_sessions(database, await _id(database, email), audit.operator())

    ended = run_async(work)
    click.echo(f"{ended} session{'' if ended == 1 else 's'} of {email} ended")


def _change(email: str, **wanted: bool) -> None:
    async def work() -> None:
        from aiops_host.trust import audit, membership  # noqa: PLC0415 - the database is not needed for --help

        async with opened() as database:
            user_id = await _id(database, email)
            await membership.change_person(database, user_id, audit.operator(), **wanted)

    run_async(work)


def _in_tenant(email: str, slug: str, act: Callable[..., Awaitable[None]]) -> None:
    async def work() -> None:
        from aiops_host.data import tenants  # noqa: PLC0415 - the database is not needed for --help
        from aiops_host.data.members import UnknownPerson  # noqa: PLC0415
        from aiops_host.trust import audit  # noqa: PLC0415
        from aiops_host.trust.accounts import PersonRefused  # noqa: PLC0415

        async with opened() as database:
            tenant_id = (await tenants.by_slug(database, slug)).id
            user_id = await _id(database, email)
            try:
                await act(database, tenant_id, user_id, actor=audit.operator())
            except UnknownPerson:
                known = f"`aiops users list --tenant {slug}` lists them"
                raise PersonRefused(f"{email} is no member of {slug}; {known}. Nothing was changed.") from None

    run_async(work)


async def _id(database: Any, email: str) -> Any:
    from aiops_host.data import people  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.trust.accounts import PersonRefused  # noqa: PLC0415

    found = await people.candidate(database, email)
    if found is None:
        raise PersonRefused(f"There is no person {email}; `aiops users list` shows them.")
    return found.user_id


def _links(database: Any) -> Any:
    from aiops_host.settings import read_settings  # noqa: PLC0415 - not needed for --help
    from aiops_host.trust import links  # noqa: PLC0415
    from aiops_host.trust.mail import make_mailer  # noqa: PLC0415
    from aiops_host.trust.sessions import Sessions  # noqa: PLC0415

    # Why a link was not mailed is printed beside it; without any handler Python would print what is logged, too.
    links.log.addHandler(logging.NullHandler())
    settings = read_settings()
    sessions = Sessions(database, hours=settings.session_hours, idle_minutes=settings.session_idle_minutes)
    return links.Links(database, sessions, settings.dashboard_url, make_mailer(settings))


async def _pages(page: Callable[[str | None], Awaitable[Any]]) -> list[Any]:
    found: list[Any] = []
    cursor: str | None = None
    while True:
        answer = await page(cursor)
        found += answer.items
        cursor = answer.next
        if cursor is None:
            return found


def _print_link(email: str, link: Any, as_json: bool) -> None:
    if as_json:
        print_json({"email": email, **{n: getattr(link, n) for n in link.__struct_fields__}})
    elif link.mailed:
        click.echo(f"{email} has a mail with a link, good until {link.expires_at:%Y-%m-%d %H:%M} UTC")
    else:
        if link.problem:
            click.echo(f"The link was not mailed: {link.problem}", err=True)
        click.echo(f"Hand this link to {email}; it works once, until {link.expires_at:%Y-%m-%d %H:%M} UTC:\n{link.url}")


def _state(person: Any) -> str:
    states = [] if person.active else ["deactivated"]
    states += ["locked"] if getattr(person, "locked", False) else []
    return ", ".join(states) or "active"


def _password(*, given: bool) -> str:
    return sys.stdin.readline().rstrip("\n") if given else secrets.token_urlsafe(15)


def _shown(password: str | None) -> str:
    return f" with the password {password}  (shown this once)" if password else ""


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    return run(users, argv, "users")
