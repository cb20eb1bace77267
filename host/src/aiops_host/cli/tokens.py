"""``aiops tokens``: API tokens for scripts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from aiops_host.cli.program import as_json, opened, print_json, print_table, run, run_async
from aiops_host.trust.permissions import ORDER, PERMISSIONS

ALL = 200

tokens = click.Group("tokens", help="API tokens for scripts: make, list and revoke them.", no_args_is_help=True)


def _permissions() -> str:
    """Return what a token may be narrowed to, by the least role that has it."""
    lines, listed = ["Permissions a token may have; each role also has those of the roles above it:"], set[str]()
    for role in ORDER:
        own = [name for name, entry in PERMISSIONS.items() if entry.by_token and role in entry.roles]
        lines.append(f"{role}: {', '.join(name for name in own if name not in listed)}")
        listed.update(own)
    return "\n\n".join(lines)


@tokens.command(epilog=_permissions())
@click.argument("name")
@click.option(
    "--for", "email", metavar="EMAIL", required=True, help="Whose it is; it is never worth more than they are"
)
@click.option("--tenant", "slug", metavar="SLUG", help="The tenant it is for; left out: every tenant")
@click.option("--role", type=click.Choice(ORDER), default="read-only", show_default=True, help="What it may do at most")
@click.option(
    "--permission", "permissions", multiple=True, help="Of the role's permissions (below) this one only; repeatable"
)
@click.option("--days", type=click.IntRange(1, 366), default=90, show_default=True, help="When it expires")
@as_json
def create(  # noqa: PLR0913 - each is one option
    name: str,
    *,
    email: str,
    slug: str | None,
    role: Any,
    permissions: tuple[str, ...],
    days: int,
    as_json: bool,
) -> None:
    """Make an API token called NAME, printed this once. Send it as `Authorization: Bearer`."""
    from aiops_host.trust.tokens import TokenWish  # noqa: PLC0415 - the database is not needed for --help

    wish = TokenWish(name=name, tenant=slug, role=role, permissions=list(permissions) or None, days=days)

    async def work() -> Any:
        async with opened() as database:
            return await _make(database, email, wish)

    made = run_async(work)
    if as_json:
        print_json(made)
    else:
        click.echo(f"{made.token}\n  (shown this once; expires {made.expires_at:%Y-%m-%d}; id {made.id})")


@tokens.command("list")
@click.option("--tenant", "slug", metavar="SLUG", help="Those made for one tenant only")
@as_json
def list_(slug: str | None, as_json: bool) -> None:
    """List API tokens, newest first, without the tokens themselves."""
    from aiops_host.data import tenants  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.data import tokens as stored  # noqa: PLC0415

    async def work() -> list[Any]:
        async with opened() as database:
            tenant_id = (await tenants.by_slug(database, slug)).id if slug else None
            found: list[Any] = []
            cursor: str | None = None
            while True:
                page = await stored.list_(database, user_id=None, tenant_id=tenant_id, limit=ALL, cursor=cursor)
                found += page.items
                cursor = page.next
                if cursor is None:
                    return found

    found = run_async(work)
    if as_json:
        print_json(found)
        return
    rows = [
        (
            t.id,
            f"{t.hint}…",
            t.name,
            t.owner,
            t.tenant or "all",
            t.role,
            f"{t.created_at:%Y-%m-%d %H:%M}",
            t.expires_at.date(),
            t.last_used_at and t.last_used_at.date(),
        )
        for t in found
    ]
    print_table(rows, ("ID", "BEGINS", "NAME", "OWNER", "TENANT", "ROLE", "CREATED (UTC)", "EXPIRES", "LAST USED"))


@tokens.command()
@click.argument("token_id", type=click.UUID)
def revoke(token_id: Any) -> None:
    """Revoke an API token; it opens nothing from now on."""
    from aiops_host.trust import audit  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.trust.tokens import Tokens  # noqa: PLC0415

    async def work() -> None:
        async with opened() as database:
            await Tokens(database).revoke(token_id, audit.operator())

    run_async(work)
    click.echo(f"token {token_id} revoked")


async def _make(database: Any, email: str, wish: Any) -> Any:
    from aiops_host.data import people, tenants  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.trust import audit  # noqa: PLC0415
    from aiops_host.trust.accounts import PersonRefused  # noqa: PLC0415
    from aiops_host.trust.tokens import TokenRefused, Tokens, UnknownPermission  # noqa: PLC0415

    owner = await people.find_person(database, email)
    if owner is None:
        raise PersonRefused(f"There is no person {email}; `aiops users list` shows them.")
    place = None
    if wish.tenant is not None:
        tenant = await tenants.by_slug(database, wish.tenant)
        own = next((m.role for m in owner.memberships if m.tenant_id == tenant.id), None)
        role = "platform-admin" if owner.platform_admin else own
        if role is None:
            raise TokenRefused(f"{email} has no role in {wish.tenant}.")
        place = (tenant.id, tenant.slug, role)
    try:
        return await Tokens(database).make(owner, place, wish, audit.operator())
    except UnknownPermission as error:
        raise TokenRefused(f"{error} `aiops tokens create --help` lists them.") from None


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    return run(tokens, argv, "tokens")
