"""``aiops connections``: a tenant's ticketing tools."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
import msgspec

from aiops_core.plugins import load_plugins
from aiops_core.registry import lookup
from aiops_host.cli.jsontext import json_trouble
from aiops_host.cli.program import EXIT_PROBLEM, as_json, opened, print_json, print_table, run, run_async, typed_again
from aiops_host.settings import read_settings

if TYPE_CHECKING:
    from aiops_host.data.probes import ProbeView
    from aiops_host.trust.connections import CreatedConnection

tenant_option = click.option("--tenant", "slug", required=True, metavar="SLUG", help="Whose connection it is")
connection_argument = click.argument("called", metavar="CONNECTION")


connections = click.Group(
    "connections",
    help="Connect a tenant's ticketing tool. A CONNECTION is its id or its name.",
    no_args_is_help=True,
)


@connections.command()
@tenant_option
@click.option("--name", required=True, help="What people call it")
@click.option("--tool", "ticketing_tool", required=True, help="The ticketing tool, see `aiops plugins list`")
@click.option("--set", "values", multiple=True, metavar="FIELD=VALUE", help="One field of the configuration")
@click.option("--config", "config_file", type=click.File("rb"), help="The configuration as a JSON object; - for stdin")
@click.option("--link-host", "link_hosts", multiple=True, metavar="HOST", help="A host notes may link to")
@click.option("--run-on", multiple=True, metavar="KIND", help="What starts a run: opened (default), updated, …")
@click.option("--agent", default="enhance", show_default=True, help="Who works on its tickets")
@as_json
def create(slug: str, ticketing_tool: str, values: Sequence[str], config_file: Any, as_json: bool, **new: Any) -> None:
    """Create a connection.

    Prints its webhook address and secret, which is not shown again.

    Put secrets into the JSON of --config rather than --set: other users of this machine can see a command line.
    """
    from aiops_host.data import tenants  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.trust.audit import operator  # noqa: PLC0415
    from aiops_host.trust.connections import NewConnection, create_connection  # noqa: PLC0415
    from aiops_host.trust.opening import open_vault  # noqa: PLC0415

    settings = read_settings()
    wanted = NewConnection(
        name=new["name"],
        ticketing_tool=ticketing_tool,
        config=parsed_config(values, config_file),
        link_hosts=tuple(new["link_hosts"]),
        run_on=tuple(new["run_on"]) or ("opened",),
        agent=new["agent"],
    )
    registry = load_plugins(blocked=settings.blocked).registry
    vault = open_vault(settings, registry)
    lookup(registry.agents, wanted.agent)

    async def work() -> CreatedConnection:
        async with opened() as database:
            tenant = await tenants.by_slug(database, slug)
            return await create_connection(database, vault, registry, tenant.id, wanted, actor=operator())

    created = run_async(work)
    url = settings.public_url + created.webhook_url
    if as_json:
        print_json({**msgspec.to_builtins(created), "webhook_url": url})
        return
    _show(created, url)


def _show(created: CreatedConnection, url: str) -> None:
    """Print what the ticketing tool needs after the explanation, which may be long."""
    click.echo(f"connection {created.connection_id} is made\n")
    if created.setup_help:
        click.echo(f"{created.setup_help}\n")
    for name, value in created.headers.items():
        click.echo(f"header   {name}: {value}")
    click.echo(f"webhook  {url}\nsecret   {created.webhook_secret}  (shown this once)")


@connections.command("set")
@connection_argument
@tenant_option
@click.option("--set", "values", multiple=True, metavar="FIELD=VALUE", help="One field of the configuration")
@click.option("--config", "config_file", type=click.File("rb"), help="The fields as a JSON object; - for stdin")
def set_(called: str, slug: str, values: Sequence[str], config_file: Any) -> int:
    """Change a connection's configuration or credentials.

    Fields left out stay, and so do the webhook's address and secret. Credentials have to be given again when any other
    field changes. A worker then tests the connection, and it goes on if its ticketing tool had refused it.

    Put secrets into the JSON of --config rather than --set: other users of this machine can see a command line.
    """
    from aiops_host.cli.tooling import connection_called  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.data import connections as stored  # noqa: PLC0415
    from aiops_host.data import tenants  # noqa: PLC0415
    from aiops_host.trust.audit import operator  # noqa: PLC0415
    from aiops_host.trust.mending import change_config  # noqa: PLC0415
    from aiops_host.trust.opening import open_vault  # noqa: PLC0415

    given = parsed_config(values, config_file)
    if not given:
        raise click.UsageError("Say what to change: --config FILE or --set FIELD=VALUE.")
    settings = read_settings()
    registry = load_plugins(blocked=settings.blocked).registry
    vault = open_vault(settings, registry)

    async def work() -> stored.ConnectionSummary:
        async with opened() as database:
            found = await connection_called(database, slug, called)
            tenant = await tenants.by_slug(database, slug)
            await change_config(database, vault, registry, (tenant.id, found.id), given, actor=operator())
            return found

    changed = run_async(work)
    click.echo(f"connection {changed.name} ({changed.id}) is changed")
    return _told(run_async(lambda: _tested(slug, str(changed.id))))


@connections.command("list")
@tenant_option
@as_json
def list_(slug: str, as_json: bool) -> None:
    """List a tenant's connections."""
    from aiops_host.data import connections as stored  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.data import tenants  # noqa: PLC0415

    async def work() -> Sequence[stored.ConnectionSummary]:
        async with opened() as database:
            tenant = await tenants.by_slug(database, slug)
            return await stored.list_(database, tenant.id)

    found = run_async(work)
    if as_json:
        print_json(found)
    else:
        rows = [(c.id, c.name, c.ticketing_tool, c.state, c.state_reason) for c in found]
        print_table(rows, ("ID", "NAME", "TICKETING TOOL", "STATE", "REASON"))


@connections.command()
@connection_argument
@tenant_option
@as_json
def test(called: str, slug: str, as_json: bool) -> int:
    """Have a worker ask the ticketing tool who we are.

    Makes one authenticated read and says in a sentence what it showed; the exit code is 1 when it failed, and when no
    worker runs. A connection its ticketing tool had refused goes on when it succeeds.
    """
    return _told(run_async(lambda: _tested(slug, called)), as_json=as_json)


async def _tested(slug: str, called: str) -> ProbeView:
    from aiops_host.cli.asking import answer, check_for_workers  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.cli.tooling import connection_called  # noqa: PLC0415
    from aiops_host.data import tenants  # noqa: PLC0415
    from aiops_host.trust.audit import operator  # noqa: PLC0415
    from aiops_host.trust.doors import Doorkeeper  # noqa: PLC0415

    async with opened() as database:
        found = await connection_called(database, slug, called)
        tenant = await tenants.by_slug(database, slug)
        await check_for_workers(database, tenant.id)
        probe_id = await Doorkeeper(database, operator(), tenant.id).ask_for_test(found.id)
        return await answer(database, tenant.id, probe_id)


def _told(answered: ProbeView, *, as_json: bool = False) -> int:
    if as_json:
        print_json({"status": answered.state, "detail": answered.result})
    else:
        click.echo(f"{answered.state}: {answered.result}")
    return 0 if answered.state == "ok" else EXIT_PROBLEM


@connections.command()
@connection_argument
@tenant_option
def pause(called: str, slug: str) -> None:
    """Stop work; deliveries are kept."""
    _set_state(slug, called, paused=True)


@connections.command()
@connection_argument
@tenant_option
def resume(called: str, slug: str) -> None:
    """Let work go on."""
    _set_state(slug, called, paused=False)


@connections.command()
@connection_argument
@tenant_option
@click.option("--confirm", metavar="NAME", help="The connection's name once more; asked for if not given")
def delete(called: str, slug: str, confirm: str | None) -> None:
    """Delete a connection; this cannot be undone.

    Its webhook address and secrets go, and what was not finished ends. The history of its deliveries, runs and notes stays readable.
    """
    from aiops_host.cli.tooling import connection_called  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.data import connections as stored  # noqa: PLC0415
    from aiops_host.data import tenants  # noqa: PLC0415
    from aiops_host.trust.audit import operator  # noqa: PLC0415
    from aiops_host.trust.doors import Doorkeeper  # noqa: PLC0415

    typed = typed_again("Type the connection's name to delete it") if confirm is None else confirm

    async def work() -> stored.ConnectionSummary:
        async with opened() as database:
            found = await connection_called(database, slug, called)
            tenant = await tenants.by_slug(database, slug)
            await Doorkeeper(database, operator(), tenant.id).delete(found.id, typed)
            return found

    gone = run_async(work)
    click.echo(f"connection {gone.name} ({gone.id}) is deleted; its deliveries stay readable")


def _set_state(slug: str, called: str, *, paused: bool) -> None:
    from aiops_host.cli.tooling import connection_called  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.data import connections as stored  # noqa: PLC0415
    from aiops_host.data import tenants  # noqa: PLC0415
    from aiops_host.trust.audit import operator  # noqa: PLC0415
    from aiops_host.trust.doors import Doorkeeper  # noqa: PLC0415

    async def work() -> stored.ConnectionSummary:
        async with opened() as database:
            found = await connection_called(database, slug, called)
            tenant = await tenants.by_slug(database, slug)
            await Doorkeeper(database, operator(), tenant.id).set_state(found.id, "paused" if paused else "active")
            return found

    changed = run_async(work)
    click.echo(f"connection {changed.name} ({changed.id}) {'paused' if paused else 'active'}")


def parsed_config(values: Sequence[str], config_file: Any) -> dict[str, Any]:
    """Return the configuration given by a JSON file, overlaid with ``FIELD=VALUE`` pairs; values may be JSON."""
    config: dict[str, Any] = {}
    if config_file is not None:
        text = config_file.read()
        try:
            config = msgspec.json.decode(text, type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            why = json_trouble(text) or "this is JSON, but no object of fields and values"
            raise click.BadParameter(f"--config {config_file.name}: expected a JSON object; {why}.") from None
    for pair in values:
        field, separator, value = pair.partition("=")
        if not separator:
            raise click.BadParameter(f"--set {pair}: write FIELD=VALUE")
        config[field] = _value(value)
    return config


def _value(text: str) -> Any:
    if text[:1] not in {"[", "{"} and text not in {"true", "false", "null"} and not text.isdigit():
        return text
    try:
        return msgspec.json.decode(text)
    except msgspec.MsgspecError:
        return text


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    return run(connections, argv, "connections")
