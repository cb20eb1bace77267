"""Models a tenant asks whose price nobody knows: under a budget in USD they are not asked."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from aiops_core.config import PluginConfig, load_config
from aiops_core.errors import ConfigInvalid
from aiops_core.registry import Registry
from aiops_host.data import budgets, providers
from aiops_host.data import connections as stored
from aiops_host.data.providers import SECRET_NAME, SECRET_OWNER
from aiops_host.data.session import Connection
from aiops_host.trust.connections import declared
from aiops_host.trust.handles import out_of_reach
from aiops_host.trust.tenant_keys import keyed_backend, routes

KIND: Final = "llm-backend"


class Unpriced(msgspec.Struct, frozen=True, kw_only=True):
    """A model without a known price; ``sentence`` says what a budget in USD makes of that, and the command that mends it."""

    model: str
    provider: str
    sentence: str


async def unpriced(con: Connection, registry: Registry, slug: str) -> list[Unpriced]:
    """Return the models a budget in USD keeps the tenant's keys and backends from asking, inside its session."""
    if all(state.usd is None for state in await budgets.states(con)):
        return []
    return [*await _by_key(con, registry), *await _by_hand(con, registry, slug)]


async def _by_key(con: Connection, registry: Registry) -> list[Unpriced]:
    keys = await providers.keys(con)
    made, _ = routes(
        await providers.catalogue_in(con), keys, {k.key_id: out_of_reach(SECRET_OWNER, SECRET_NAME) for k in keys}
    )
    try:
        spec = keyed_backend(registry)
    except ConfigInvalid:
        return []
    assert spec.routes is not None  # noqa: S101 - keyed_backend chose it for that
    return [
        _of_provider(route.provider, route.model) for route in made if any(_said(spec.unpriced(spec.routes([route]))))
    ]


async def _by_hand(con: Connection, registry: Registry, slug: str) -> list[Unpriced]:
    found: list[Unpriced] = []
    for record in await stored.settings_of(con, KIND):
        spec = registry.llm_backends.get(record.name)
        if spec is None or not record.enabled:
            continue
        handles = {s.name: out_of_reach(KIND, s.name) for s in await stored.newest_secrets(con, KIND, record.name)}
        config: PluginConfig
        with contextlib.suppress(ConfigInvalid):  # the worker says what does not fit any more
            config = load_config(spec.config, record.config, declared(spec.config, handles))
            found += [
                _made(
                    model,
                    f"the backend {record.name}",
                    f"in its configuration: `aiops backends set {record.name} --tenant {slug} …`",
                )
                for model in _said(spec.unpriced(config))
            ]
    return found


def _of_provider(provider: str, model: str) -> Unpriced:
    command = f"aiops providers price {provider} {shlex.quote(model)} --input USD --output USD"
    return _made(model, provider, f"with `{command}`, per million tokens")


def _made(model: str, provider: str, how: str) -> Unpriced:
    sentence = f"No price is known for {model} of {provider}; a budget in USD lets no model be asked without one. Set it {how}."
    return Unpriced(model=model, provider=provider, sentence=sentence)


def _said(models: Iterable[str]) -> Iterator[str]:
    return iter(dict.fromkeys(models))
