"""``aiops webhooks``: a connection's webhook address, its secrets, who may post, and what was refused."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from aiops_core.plugins import load_plugins
from aiops_host.cli.program import as_json, opened, print_json, print_table, run, run_async
from aiops_host.settings import read_settings

if TYPE_CHECKING:
    from uuid import UUID

    from aiops_host.data.endpoints import EndpointView, SecretView
    from aiops_host.data.session import Database
    from aiops_host.trust.doors import Doorkeeper, RotatedSecret
    from aiops_host.trust.refusals import ExplainedRefusal, Explanation

T = TypeVar("T")
TIME = "%Y-%m-%d %H:%M:%S"
tenant_option = click.option("--tenant", "slug", required=True, metavar="SLUG", help="Whose connection it is")
connection_argument = click.argument("called", metavar="CONNECTION")
webhooks = click.Group(
    "webhooks",
    help="Look after a connection's webhook address. A CONNECTION is its id, its name or its address's id.",
    no_args_is_help=True,
)


@webhooks.command()
@connection_argument
@tenant_option
@as_json
def explain(called: str, slug: str, as_json: bool) -> None:
    """Explain the last 20 webhooks that were refused.

    Which check failed, what to change, and the names of the headers that came; no values and no bodies are kept.
    """
    from aiops_host.trust import refusals  # noqa: PLC0415 - the database is not needed for --help

    async def work(database: Database, tenant_id: UUID, connection_id: UUID) -> Explanation:
        return await refusals.explain(database, tenant_id, connection_id)

    found = _about(slug, called, work)
    if as_json:
        print_json(found)
        return
    click.echo(f"{_url(found.endpoint)}\n\n{_wrapped(found.summary)}")
    for one in found.refusals:
        click.echo(_refusal(one))


@webhooks.command()
@connection_argument
@tenant_option
@as_json
def show(called: str, slug: str, as_json: bool) -> None:
    """Show the address, the networks that may post and the secrets. Never their values."""
    from aiops_host.data import endpoints  # noqa: PLC0415 - the database is not needed for --help

    async def work(database: Database, tenant_id: UUID, connection_id: UUID) -> EndpointView:
        async with database.tenant(tenant_id) as con:
            return await endpoints.show(con, connection_id)

    _print(_about(slug, called, work), as_json)


@webhooks.command()
@connection_argument
@tenant_option
@click.option("--overlap-hours", type=click.FloatRange(0, 168), help="How long those before stay valid")
@as_json
def rotate(called: str, slug: str, overlap_hours: float | None, as_json: bool) -> None:
    """Make a new webhook secret and show it once.

    Two before it at most stay valid for a day, for what the tenant's settings say, or for --overlap-hours.
    """
    from aiops_host.trust.opening import open_vault  # noqa: PLC0415 - the database is not needed for --help

    settings = read_settings()
    registry = load_plugins(blocked=settings.blocked).registry
    vault = open_vault(settings, registry)

    async def work(keeper: Doorkeeper, connection_id: UUID) -> Any:
        try:
            return await keeper.rotate_secret(vault, registry, connection_id, overlap_hours)
        finally:
            await vault.aclose()

    made = _by_keeper(slug, called, work).at(settings.public_url)
    if as_json:
        print_json(made)
        return
    for name, value in made.headers.items():
        click.echo(f"header   {name}: {value}")
    click.echo(f"webhook  {made.webhook_url}\nsecret   {made.webhook_secret}  (shown this once)")
    click.echo(f"Version {made.version} is valid from now on; {_others(made)}.")


def _others(made: RotatedSecret) -> str:
    """Say which secrets before the new one stay valid, and which ended with it."""
    if not made.previous:
        return "no other is"
    stay = ", ".join(
        f"version {s.version} until {s.expires_at:{TIME}} UTC" for s in made.previous if s.expires_at is not None
    )
    ended = ", ".join(f"version {version}" for version in made.ended)
    return f"{stay}" + (f"; {ended} ended now, because two before the newest stay at most" if ended else "")


@webhooks.command("end-overlap")
@connection_argument
@tenant_option
def end_overlap(called: str, slug: str) -> None:
    """Refuse every secret but the newest from now on. Running hosts follow within a minute."""
    _print(_by_keeper(slug, called, lambda keeper, connection_id: keeper.end_overlap(connection_id)), as_json=False)


@webhooks.command()
@connection_argument
@tenant_option
@click.option("--allow", "allowed", multiple=True, metavar="CIDR", help="A network or address that may post")
@click.option("--all", "everybody", is_flag=True, help="Let everybody post who has the secret")
def networks(called: str, slug: str, allowed: Sequence[str], everybody: bool) -> None:
    """Say which networks may post. Running hosts follow within a minute.

    Behind a proxy, set AIOPS_TRUSTED_PROXIES, or its address is taken for the sender's.
    """
    if everybody == bool(allowed):
        raise click.UsageError("Give --allow CIDR once or more, or --all.")
    _print(
        _by_keeper(slug, called, lambda keeper, connection_id: keeper.restrict(connection_id, allowed)), as_json=False
    )


def _about(slug: str, called: str, work: Callable[[Database, UUID, UUID], Awaitable[T]]) -> T:
    from aiops_host.cli.tooling import connection_called  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.data import tenants  # noqa: PLC0415

    async def found() -> T:
        async with opened() as database:
            tenant = await tenants.by_slug(database, slug)
            return await work(database, tenant.id, (await connection_called(database, slug, called)).id)

    return run_async(found)


def _by_keeper(slug: str, called: str, work: Callable[[Doorkeeper, UUID], Awaitable[T]]) -> T:
    from aiops_host.trust.audit import operator  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.trust.doors import Doorkeeper  # noqa: PLC0415

    async def found(database: Database, tenant_id: UUID, connection_id: UUID) -> T:
        return await work(Doorkeeper(database, operator(), tenant_id), connection_id)

    return _about(slug, called, found)


def _url(endpoint: EndpointView) -> str:
    return read_settings().public_url + endpoint.webhook_url


def _print(endpoint: EndpointView, as_json: bool) -> None:
    if as_json:
        print_json(msgspec.structs.replace(endpoint, webhook_url=_url(endpoint)))
        return
    click.echo(f"webhook  {_url(endpoint)}\nallowed  {', '.join(endpoint.networks) or 'all networks'}\n")
    rows = [
        (
            s.version,
            "newest" if s.current else "replaced",
            f"{s.created_at:{TIME}}",
            f"{s.expires_at:{TIME}}" if s.expires_at else "-",
            _used(endpoint, s),
        )
        for s in endpoint.secrets
    ]
    print_table(rows, ("SECRET", "STATE", "MADE (UTC)", "VALID UNTIL", "LAST USED"))


def _used(endpoint: EndpointView, secret: SecretView) -> str:
    """Return when a secret was last used, as far as that is written down: while there is another."""
    newest = endpoint.secrets[0]
    if len(endpoint.secrets) == 1:
        return "not kept for the only one"
    if secret.last_used_at and (secret.current or secret.last_used_at >= newest.created_at):
        return f"{secret.last_used_at:{TIME}}"
    return "not yet" if secret.current else f"not since {newest.version} was made"


def _refusal(one: ExplainedRefusal) -> str:
    times = f", {one.times} times" if one.times > 1 else ""
    lines = [f"\n{one.at:{TIME}} UTC  {one.check}{times}  from {one.address or 'an unknown address'}"]
    lines += [_wrapped(text, "  ") for text in (one.what, one.advice)]
    lines.append(_wrapped(f"headers: {', '.join(one.header_names) or 'none'}", "  "))
    return "\n".join(lines)


def _wrapped(text: str, indent: str = "") -> str:
    width = min(shutil.get_terminal_size().columns, 110)
    return textwrap.fill(text, width, initial_indent=indent, subsequent_indent=indent)


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    return run(webhooks, argv, "webhooks")
