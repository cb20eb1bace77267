"""``aiops providers``: the operator's catalogue of model providers, and tenants' keys for them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import click
import msgspec

from aiops_core.plugins import load_plugins
from aiops_host.cli.program import EXIT_PROBLEM, as_json, opened, print_json, print_table, run, run_async
from aiops_host.settings import read_settings

if TYPE_CHECKING:
    from aiops_host.data.probes import ProbeView
    from aiops_host.data.session import Database
    from aiops_host.trust.tenant_keys import Entering

TRIED_AT_ONCE = "Use the key without trying it first"
tenant_option = click.option("--tenant", "slug", required=True, metavar="SLUG", help="Whose key it is")
key_option = click.option(
    "--key-file", "key_file", type=click.File("r"), default="-", help="The key in one line; stdin if left out"
)
models_option = click.option("--models", required=True, metavar="NAME,…", help="Models to ask, best first")
endpoint_option = click.option("--endpoint", help="Address of the resource, where a provider has several, as Azure")
T = TypeVar("T")


providers = click.Group(
    "providers",
    help="List where models may be asked, and keep tenants' keys. Commands that name no tenant are the operator's.",
    no_args_is_help=True,
)


@providers.command("list")
@as_json
def list_(as_json: bool) -> None:
    """List the catalogue: the only addresses a key may go to."""
    from aiops_host.data import providers as stored  # noqa: PLC0415 - the database is not needed for --help

    found = _with_database(stored.catalogue)
    if as_json:
        print_json(found)
        return
    rows = [(p.name, p.title, p.protocol, p.address, ", ".join(p.prices)) for p in found]
    print_table(rows, ("NAME", "TITLE", "PROTOCOL", "ADDRESS", "OWN PRICES"))


@providers.command()
@click.argument("name")
@click.option("--address", required=True, help="https://HOST/path; a * may stand for the first label of the host")
@click.option("--title", help="What people call it; the name if left out")
@click.option("--protocol", type=click.Choice(["openai", "azure", "anthropic"]), default="openai", show_default=True)
@click.option("--api-version", help="Only some servers, such as Azure's, ask for one")
@click.option("--position", default=100, show_default=True, help="Lower is asked first, unless a tenant says otherwise")
def allow(name: str, address: str, title: str | None, **more: Any) -> None:
    """Put the provider NAME into the catalogue, or change it. Its prices stay."""
    from aiops_host.data import providers as stored  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.trust import audit  # noqa: PLC0415
    from aiops_host.trust.catalogue import change_catalogue  # noqa: PLC0415

    entry = stored.Provider(name=name, title=title or name, address=address.rstrip("/"), **more)

    async def work(database: Database) -> None:
        there = {p.name: p for p in await stored.catalogue(database)}
        prices = there[name].prices if name in there else {}
        await change_catalogue(database, msgspec.structs.replace(entry, prices=prices), actor=audit.operator())

    _with_database(work)
    click.echo(f"{name} is in the catalogue: {entry.address}")


@providers.command()
@click.argument("name")
def remove(name: str) -> None:
    """Take the provider NAME out of the catalogue. Tenants' keys for it are kept and not used."""
    from aiops_host.trust import audit  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.trust.catalogue import take_from_catalogue  # noqa: PLC0415

    async def work(database: Database) -> None:
        await take_from_catalogue(database, name, actor=audit.operator())

    _with_database(work)
    click.echo(f"{name} is not in the catalogue any more")


@providers.command()
@click.argument("name")
@click.argument("model")
@click.option("--input", "per_input", type=float, help="USD per million tokens asked")
@click.option("--output", "per_output", type=float, help="USD per million tokens answered")
@click.option("--listed", is_flag=True, help="Forget a price set here; the backend's own list counts again")
def price(name: str, model: str, per_input: float | None, per_output: float | None, listed: bool) -> None:
    """Set what MODEL of the provider NAME costs. It counts where the backend's own list is wrong or silent."""
    from aiops_core.llm import ModelPrice  # noqa: PLC0415 - not needed for --help
    from aiops_host.data import providers as stored  # noqa: PLC0415
    from aiops_host.trust import audit  # noqa: PLC0415
    from aiops_host.trust.catalogue import change_catalogue  # noqa: PLC0415

    if not listed and (per_input is None or per_output is None):
        raise click.UsageError("Give both --input and --output, or --listed.")

    async def work(database: Database) -> None:
        entry = await stored.provider(database, name)
        prices = {k: v for k, v in entry.prices.items() if k != model}
        if not listed:
            prices[model] = ModelPrice(input=per_input or 0.0, output=per_output or 0.0)
        changed = msgspec.structs.replace(entry, prices=prices)
        await change_catalogue(database, changed, actor=audit.operator(), act="provider.price", model=model)

    _with_database(work)
    shown = "as listed" if listed else f"{per_input:g} and {per_output:g} USD per million tokens asked and answered"
    click.echo(f"{model} of {name}: {shown}")


@providers.command("set")
@click.argument("name")
@tenant_option
@models_option
@endpoint_option
@key_option
@click.option("--untested", is_flag=True, help=TRIED_AT_ONCE)
def set_(name: str, slug: str, models: str, endpoint: str | None, key_file: Any, untested: bool) -> int:
    """Enter a tenant's own key for the provider NAME.

    A worker tries it with one small call; it is used once that went well, and until then an older one is. Where no
    worker runs, nothing is stored.
    """
    return _enter(name, slug, models, (endpoint, key_file.read()), granted=False, untested=untested)


@providers.command()
@click.argument("name")
@tenant_option
@models_option
@endpoint_option
@key_option
@click.option("--untested", is_flag=True, help=TRIED_AT_ONCE)
def grant(name: str, slug: str, models: str, endpoint: str | None, key_file: Any, untested: bool) -> int:
    """Let a tenant use a key of the operator's for the provider NAME.

    It is sealed for that tenant alone. The tenant's people can neither see nor replace it; `aiops budgets set` bounds
    what they spend with it.
    """
    return _enter(name, slug, models, (endpoint, key_file.read()), granted=True, untested=untested)


@providers.command()
@tenant_option
@as_json
def keys(slug: str, as_json: bool) -> None:
    """List a tenant's keys in the order their providers are asked. Their plaintext is never shown."""
    from aiops_host.trust.tenant_keys import provider_views  # noqa: PLC0415 - the database is not needed for --help

    async def work(database: Database, who: Entering) -> Any:
        return [view for view in await provider_views(database, who.tenant_id) if view.state != "none"]

    found = _for_tenant(slug, work)
    if as_json:
        print_json(found)
        return
    rows = [
        (v.name, v.state, v.origin, ", ".join(v.models), v.endpoint, v.test.result if v.test else "") for v in found
    ]
    print_table(rows, ("PROVIDER", "STATE", "WHOSE", "MODELS", "ENDPOINT", "LAST TEST"))


@providers.command()
@click.argument("name")
@tenant_option
@as_json
def test(name: str, slug: str, as_json: bool) -> int:
    """Try the key in use for the provider NAME with one small call. The exit code is 1 when it failed."""
    from aiops_host.trust.tenant_keys import test_key  # noqa: PLC0415 - the database is not needed for --help

    async def work(database: Database, who: Entering) -> ProbeView:
        return await _answered(database, who, lambda: test_key(database, who, name))

    return _told(_for_tenant(slug, work), as_json=as_json)


@providers.command()
@click.argument("name")
@tenant_option
def drop(name: str, slug: str) -> None:
    """Take a tenant's key for the provider NAME away and destroy it. One granted to it too."""
    from aiops_host.trust.tenant_keys import drop_key  # noqa: PLC0415 - the database is not needed for --help

    async def work(database: Database, who: Entering) -> None:
        await drop_key(database, who, name)

    _for_tenant(slug, work)
    click.echo(f"{slug}: the key for {name} is destroyed")


@providers.command()
@click.argument("names", nargs=-1, required=True)
@tenant_option
def order(names: Sequence[str], slug: str) -> None:
    """Let the tenant's providers be asked in the order of NAMES. Each is asked when those before it failed."""
    from aiops_host.data import providers as stored  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.trust.tenant_keys import order_keys  # noqa: PLC0415

    async def work(database: Database, who: Entering) -> None:
        for name in names:
            await stored.provider(database, name)
        await order_keys(database, who, names)

    _for_tenant(slug, work)
    click.echo(f"{slug}: asked in this order: {', '.join(names)}")


def _enter(name: str, slug: str, models: str, given: tuple[str | None, str], *, granted: bool, untested: bool) -> int:
    from aiops_host.data import providers as stored  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.trust.catalogue import address_for  # noqa: PLC0415
    from aiops_host.trust.opening import open_vault  # noqa: PLC0415
    from aiops_host.trust.tenant_keys import NewKey, enter_key, enter_untried  # noqa: PLC0415

    settings = read_settings()
    vault = open_vault(settings, load_plugins(blocked=settings.blocked).registry)
    endpoint, key = given
    names = tuple(part.strip() for part in models.split(",") if part.strip())
    new = NewKey(key=key, models=names, endpoint=endpoint)

    async def work(database: Database, who: Entering) -> ProbeView | None:
        _remark_on(address_for(await stored.provider(database, name), endpoint))
        if untested:
            await enter_untried(database, vault, who, name, new)
            return None
        return await _answered(database, who, lambda: enter_key(database, vault, who, name, new), kept=True)

    answered = _for_tenant(slug, work, granted=granted)
    if answered is None:
        click.echo(f"{slug}: the key for {name} is used from now on")
        return 0
    return _told(answered, as_json=False)


def _remark_on(address: str) -> None:
    """Say on the error stream what workers need before they ask at an address."""
    from aiops_host.cli.addresses import denied  # noqa: PLC0415 - the HTTP client is not needed for --help
    from aiops_host.trust.destinations import Destinations  # noqa: PLC0415

    settings = read_settings()
    told = denied(Destinations.parse(settings.egress_private, settings.egress_ports), address)
    if told is not None:
        click.echo(f"{told}. Workers do not ask there before that.", err=True)


def _told(answered: ProbeView, *, as_json: bool) -> int:
    if as_json:
        print_json(answered)
    else:
        click.echo(f"{answered.state}: {answered.result}")
    return 0 if answered.state == "ok" else EXIT_PROBLEM


async def _answered(
    database: Database, who: Entering, ask: Callable[[], Awaitable[UUID]], *, kept: bool = False
) -> ProbeView:
    from aiops_host.cli.asking import answer, check_for_workers  # noqa: PLC0415 - the database is not needed for --help

    await check_for_workers(database, who.tenant_id)
    return await answer(database, who.tenant_id, await ask(), kept=kept)


def _with_database(work: Callable[[Database], Coroutine[Any, Any, T]]) -> T:
    async def connected() -> T:
        async with opened() as database:
            return await work(database)

    return run_async(connected)


def _for_tenant(slug: str, work: Callable[[Database, Entering], Coroutine[Any, Any, T]], *, granted: bool = True) -> T:
    from aiops_host.data import tenants  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.trust import audit  # noqa: PLC0415
    from aiops_host.trust.tenant_keys import Entering  # noqa: PLC0415

    async def connected(database: Database) -> T:
        tenant = await tenants.by_slug(database, slug)
        origin: Any = "operator" if granted else "tenant"
        return await work(database, Entering(tenant_id=tenant.id, actor=audit.operator(), origin=origin))

    return _with_database(connected)


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    return run(providers, argv, "providers")
