"""``aiops backends``: a tenant's LLM backends in their order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from aiops_core.plugins import load_plugins
from aiops_host.cli.connections import parsed_config
from aiops_host.cli.program import opened, run, run_async
from aiops_host.settings import read_settings

tenant_option = click.option("--tenant", "slug", required=True, metavar="SLUG", help="Whose backend it is")


backends = click.Group("backends", help="Choose a tenant's LLM backends.", no_args_is_help=True)


@backends.command("set")
@click.argument("name")
@tenant_option
@click.option("--set", "values", multiple=True, metavar="FIELD=VALUE", help="One field of the configuration")
@click.option("--config", "config_file", type=click.File("rb"), help="The configuration as a JSON object; - for stdin")
@click.option("--position", default=0, show_default=True, help="Lower is asked first")
@click.option("--disable", is_flag=True, help="Keep the configuration but do not use it")
def set_(name: str, slug: str, values: Sequence[str], config_file: Any, position: int, disable: bool) -> None:
    """Configure the backend NAME (see `aiops plugins list`); put keys into --config rather than --set."""
    from aiops_host.data import tenants  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.trust.connections import NewSetting, set_plugin_setting  # noqa: PLC0415
    from aiops_host.trust.vault import Vault  # noqa: PLC0415

    settings = read_settings()
    settings.require("key_file")
    vault, registry = Vault.load(settings.key_file), load_plugins(blocked=settings.blocked).registry
    config = parsed_config(values, config_file)
    new = NewSetting(kind="llm-backend", name=name, config=config, position=position, enabled=not disable)

    async def work() -> None:
        async with opened() as database:
            tenant = await tenants.by_slug(database, slug)
            await set_plugin_setting(database, vault, registry, tenant.id, new)

    run_async(work)
    click.echo(f"{slug}: backend {name} {'kept but not used' if disable else 'is used'}")


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    return run(backends, argv, "backends")
