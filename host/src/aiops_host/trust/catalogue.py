"""Which addresses a key may go to: those of the operator's catalogue, and no others."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from aiops_core.errors import ConfigInvalid
from aiops_host.data import providers
from aiops_host.data.audit import PLATFORM
from aiops_host.data.providers import Provider
from aiops_host.data.session import Database
from aiops_host.trust import audit
from aiops_host.trust.audit import Actor

LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
ADDRESS = re.compile(r"https?://[A-Za-z0-9*.:\[\]-]+(/[A-Za-z0-9._~/-]*)?")
MODELS = {
    "openai": re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+/-]{0,159}"),
    "azure": re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,159}"),
    "anthropic": re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+-]{0,159}"),
}
"""What may name a model: nothing that could end or change an address."""
PORTS = {"https": 443, "http": 80}
MOST_MODELS = 5


class AddressUnlisted(ConfigInvalid):
    """The address is not in the operator's catalogue."""


def checked_provider(entry: Provider) -> Provider:
    """Return a catalogue entry that is fit to be stored.

    Raises:
        ConfigInvalid: Its name, address or a price cannot be used.
    """
    if not LABEL.fullmatch(entry.name):
        raise ConfigInvalid(f"name: {entry.name!r} is not made of small letters, digits and dashes.")
    parts = _parts(entry.address)
    if parts is None or not parts.hostname:
        raise ConfigInvalid("address: write https://HOST or https://HOST/path, without user, '?' or '#'.")
    host = parts.hostname
    first, _, rest = host.partition(".")
    if "*" in rest or ("*" in first and (first != "*" or rest.count(".") < 1)):
        raise ConfigInvalid(
            "address: a * stands for the whole first label, before a domain: https://*.openai.azure.com."
        )
    if parts.scheme == "http" and not _is_near(host):
        raise ConfigInvalid("address: http:// is for this machine only; a key does not travel unencrypted.")
    if any(price.input < 0 or price.output < 0 for price in entry.prices.values()):
        raise ConfigInvalid("price: at least 0, in USD per million tokens.")
    return entry


async def change_catalogue(
    database: Database, entry: Provider, *, actor: Actor, act: str = "provider.allow", model: str = ""
) -> None:
    """Put a provider into the catalogue, in place of one of the same name; workers use it from the next run on.

    Raises:
        ConfigInvalid: Its name, address or a price cannot be used.
    """
    what = {"address": checked_provider(entry).address, **({"model": model} if model else {})}
    async with database.tenant(PLATFORM) as con:
        await providers.put_provider(con, entry)
        await audit.record(con, tenant_id=None, actor=actor, act=act, subject=entry.name, details=what)
    await providers.count_change_everywhere(database)


def provider_at(address: str, name: str = "stand-in") -> Provider:
    """Return an OpenAI-compatible provider at an address, as demonstrations and measurements need one."""
    return Provider(name=name, title=name, protocol="openai", address=address.rstrip("/"))


async def take_from_catalogue(database: Database, name: str, *, actor: Actor) -> None:
    """Take a provider out of the catalogue; tenants' keys for it are kept and not used.

    Raises:
        UnknownProvider: There is none of that name.
    """
    await providers.provider(database, name)
    async with database.tenant(PLATFORM) as con:
        await providers.remove_provider(con, name)
        await audit.record(con, tenant_id=None, actor=actor, act="provider.remove", subject=name)
    await providers.count_change_everywhere(database)


def address_for(provider: Provider, endpoint: str | None) -> str:
    """Return where a tenant's key for the provider goes.

    Raises:
        ConfigInvalid: The provider has one address and another is given, or it has several and none is given.
        AddressUnlisted: The endpoint does not fit the operator's pattern.
    """
    if not provider.needs_endpoint:
        if endpoint:
            raise ConfigInvalid(f"endpoint: {provider.title} has one address, which the operator set; leave it out.")
        return provider.address
    if not endpoint:
        raise ConfigInvalid(f"endpoint: give the address of your resource, such as {provider.address}.")
    address = endpoint.rstrip("/")
    if not _covers(provider.address, address):
        raise AddressUnlisted(
            f"endpoint: the operator's catalogue has {provider.address}; {_host(address)} is not that."
        )
    return address


def check_models(provider: Provider, models: Sequence[str]) -> None:
    """Refuse names of models that are none.

    Raises:
        ConfigInvalid: There is none, there are too many, or one has characters no model has.
    """
    if not 1 <= len(models) <= MOST_MODELS:
        raise ConfigInvalid(f"models: give one to {MOST_MODELS}, the one to ask first in front.")
    for model in models:
        if not MODELS[provider.protocol].fullmatch(model) or ".." in model or "//" in model:
            raise ConfigInvalid(f"models: {model[:80]!r} is no model's name.")
    if len(set(models)) != len(models):
        raise ConfigInvalid("models: one is there twice.")


def check_addresses(catalogue: Sequence[Provider], addresses: Iterable[str]) -> None:
    """Refuse addresses that no entry of the catalogue covers.

    Raises:
        AddressUnlisted: One is not covered; the message names its host.
    """
    for address in addresses:
        if not any(_covers(provider.address, address.rstrip("/")) for provider in catalogue):
            raise AddressUnlisted(
                f"{_host(address)} is not in the operator's catalogue of model providers. "
                "The operator lists it with `aiops providers allow`."
            )


def _covers(listed: str, address: str) -> bool:
    """Return whether an address is the listed one, or differs in the label the * stands for."""
    ours, theirs = _parts(listed), _parts(address)
    if ours is None or theirs is None or "*" in address or ".." in address:
        return False
    if (ours.scheme, _port(ours)) != (theirs.scheme, _port(theirs)) or ours.path.rstrip("/") != theirs.path.rstrip("/"):
        return False
    host, wanted = ours.hostname or "", theirs.hostname or ""
    if not host.startswith("*."):
        return host == wanted
    first, _, rest = wanted.partition(".")
    return rest == host[2:] and LABEL.fullmatch(first) is not None


def _parts(address: str) -> SplitResult | None:
    """Return an address taken apart; ``None`` for what is none or has anything but scheme, host, port and path."""
    if not ADDRESS.fullmatch(address):
        return None
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    return None if parts.netloc.endswith(":") else parts


def _port(parts: SplitResult) -> int | None:
    try:
        return parts.port or PORTS.get(parts.scheme)
    except ValueError:
        return None


def _host(address: str) -> str:
    try:
        parts = urlsplit(address)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"[:120]
    except ValueError:
        return "the address"


def _is_near(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_private
    except ValueError:
        return False
