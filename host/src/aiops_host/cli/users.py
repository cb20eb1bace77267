"""``aiops users``: people who may log in."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Sequence
from typing import Any

import click

from aiops_host.cli.program import as_json, opened, print_json, run, run_async

ROLES = ("tenant-admin", "technician", "read-only")


users = click.Group("users", help="Create people who may log in, and give them passwords.", no_args_is_help=True)


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


def _password(*, given: bool) -> str:
    return sys.stdin.readline().rstrip("\n") if given else secrets.token_urlsafe(15)


def _shown(password: str | None) -> str:
    return f" with the password {password}  (shown this once)" if password else ""


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    return run(users, argv, "users")
