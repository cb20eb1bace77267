"""``aiops backends``: a tenant's LLM backends in their order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from aiops_core.errors import AiopsError
from aiops_core.plugins import load_plugins
from aiops_host.cli.connections import parsed_config
from aiops_host.cli.program import as_json, opened, print_json, print_table, run, run_async
from aiops_host.settings import read_settings

if TYPE_CHECKING:
    from aiops_host.trust.tenant_keys import ProviderView

tenant_option = click.option("--tenant", "slug", required=True, metavar="SLUG", help="Whose backend it is")
KIND: Final = "llm-backend"


class BackendUnknown(AiopsError):
    """The tenant has no such backend."""


class Backend(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant's backend; ``config`` holds no secret, ``credentials`` names those that are set."""

    name: str
    position: int
    enabled: bool
    installed: bool
    config: dict[str, Any]
    credentials: list[str]


backends = click.Group("backends", help="Choose a tenant's LLM backends.", no_args_is_help=True)


@backends.command("set")
@click.argument("name")
@tenant_option
@click.option("--set", "values", multiple=True, metavar="FIELD=VALUE", help="One field of the configuration")
@click.option("--config", "config_file", type=click.File("rb"), help="The configuration as a JSON object; - for stdin")
@click.option("--position", default=0, show_default=True, help="Lower is asked first")
@click.option("--disable", is_flag=True, help="Keep the configuration but do not use it")
def set_(name: str, slug: str, values: Sequence[str], config_file: Any, position: int, disable: bool) -> None:
    """Configure the backend NAME, one of `aiops plugins list`.

    Put keys into the JSON of --config rather than --set: other users of this machine can see a command line.
    """
    from aiops_host.data import tenants  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.trust.connections import NewSetting, set_plugin_setting  # noqa: PLC0415
    from aiops_host.trust.opening import open_vault  # noqa: PLC0415

    settings = read_settings()
    registry = load_plugins(blocked=settings.blocked).registry
    vault = open_vault(settings, registry)
    config = parsed_config(values, config_file)
    new = NewSetting(kind=KIND, name=name, config=config, position=position, enabled=not disable)

    async def work() -> None:
        async with opened() as database:
            tenant = await tenants.by_slug(database, slug)
            await set_plugin_setting(database, vault, registry, tenant.id, new)

    run_async(work)
    click.echo(f"{slug}: backend {name} {'kept but not used' if disable else 'is used'}")


@backends.command("list")
@tenant_option
@as_json
def list_(slug: str, as_json: bool) -> None:
    """List a tenant's backends in the order they are asked. The models its keys are for come before them."""
    found = _found(slug)
    if as_json:
        print_json(found)
        return
    if keys := _keys(slug):
        asked = "; ".join(f"{key.name} ({', '.join(key.models)})" for key in keys)
        click.echo(f"{slug} asks with its keys first: {asked}; see: aiops providers keys --tenant {slug}\n")
    elif not any(backend.enabled for backend in found):
        click.echo(f"{slug} uses none of its own; AIOPS_DEFAULT_BACKEND writes: {read_settings().default_backend}\n")
    rows = [(b.name, b.position, _use(b), ", ".join(b.credentials)) for b in found]
    print_table(rows, ("NAME", "POSITION", "USE", "CREDENTIALS"))


@backends.command()
@click.argument("name")
@tenant_option
@as_json
def show(name: str, slug: str, as_json: bool) -> None:
    """Show one backend's configuration, without its credentials."""
    found = _found(slug)
    backend = next((b for b in found if b.name == name), None)
    if backend is None:
        known = ", ".join(b.name for b in found) or "none yet"
        raise BackendUnknown(f"The tenant {slug} has no backend {name!r}; it has: {known}.")
    if as_json:
        print_json(backend)
        return
    click.echo(f"{backend.name}  position {backend.position}, {_use(backend)}")
    for field, value in backend.config.items():
        click.echo(f"  {field} = {msgspec.json.encode(value).decode()}")
    for credential in backend.credentials:
        click.echo(f"  {credential} is set")


def _use(backend: Backend) -> str:
    if not backend.installed:
        return "not installed"
    return "used" if backend.enabled else "kept but not used"


def _keys(slug: str) -> list[ProviderView]:
    """Return the tenant's keys in use, in the order their providers are asked."""
    from aiops_host.data import tenants  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.trust.tenant_keys import provider_views  # noqa: PLC0415

    async def work() -> list[ProviderView]:
        async with opened() as database:
            tenant = await tenants.by_slug(database, slug)
            return [view for view in await provider_views(database, tenant.id) if view.state == "live"]

    return run_async(work)


def _found(slug: str) -> list[Backend]:
    from aiops_host.data import connections as stored  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.data import tenants  # noqa: PLC0415

    installed = load_plugins(blocked=read_settings().blocked).registry.llm_backends

    async def work() -> list[Backend]:
        async with opened() as database:
            tenant = await tenants.by_slug(database, slug)
            async with database.tenant(tenant.id) as con:
                return [
                    Backend(
                        name=record.name,
                        position=record.position,
                        enabled=record.enabled,
                        installed=record.name in installed,
                        config=dict(record.config),
                        credentials=[s.name for s in await stored.newest_secrets(con, KIND, record.name)],
                    )
                    for record in await stored.settings_of(con, KIND)
                ]

    return run_async(work)


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    return run(backends, argv, "backends")
