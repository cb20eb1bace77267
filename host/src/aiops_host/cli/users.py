"""``aiops users``: people who may log in."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Sequence
from typing import Any

import click

from aiops_host.cli.program import as_json, opened, print_json, run, run_async

ROLES = ("tenant-admin", "technician", "read-only")


users = click.Group("users", help="Create people who may log in.", no_args_is_help=True)


@users.command()
@click.argument("email")
@click.option("--tenant", "slug", metavar="SLUG", help="The tenant they belong to")
@click.option("--role", type=click.Choice(ROLES), default="technician", show_default=True, help="Their role in it")
@click.option("--platform-admin", is_flag=True, help="They may see and change every tenant")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input; else one is made up")
@as_json
def create(email: str, slug: str | None, role: Any, platform_admin: bool, password_stdin: bool, as_json: bool) -> None:
    """Create a person, or give them a new password.

    A made-up password is printed this once and stored nowhere; giving a new one is the way back.
    """
    from aiops_host.data import tenants  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.trust.sessions import put_user  # noqa: PLC0415

    if not slug and not platform_admin:
        raise click.UsageError("Say --tenant SLUG or --platform-admin.")
    password = sys.stdin.readline().rstrip("\n") if password_stdin else secrets.token_urlsafe(15)

    async def work() -> None:
        async with opened() as database:
            roles = {(await tenants.by_slug(database, slug)).id: role} if slug else {}
            await put_user(database, email, password, platform_admin=platform_admin, roles=roles)

    run_async(work)
    shown = None if password_stdin else password
    if as_json:
        print_json(
            {"email": email, "role": "platform-admin" if platform_admin else role, "tenant": slug, "password": shown}
        )
    else:
        click.echo(f"{email} may log in" + (f" with the password {shown}  (shown this once)" if shown else ""))


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    return run(users, argv, "users")
