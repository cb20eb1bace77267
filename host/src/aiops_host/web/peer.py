"""Which address a request comes from, behind proxies that are believed and those that are not."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

from litestar.connection import ASGIConnection

from aiops_core.errors import ConfigInvalid

UNKNOWN = "unknown"
MAX_HOPS = 20
Address = IPv4Address | IPv6Address


class Peers:
    """Reads senders' addresses; ``X-Forwarded-For`` counts only where a proxy that is believed wrote it."""

    def __init__(self, trusted: str) -> None:
        """Take the believed proxies: addresses and networks, separated by commas.

        Raises:
            ConfigInvalid: One of them is neither.
        """
        self._trusted = []
        for part in filter(None, (p.strip() for p in trusted.split(","))):
            try:
                self._trusted.append(ip_network(part, strict=False))
            except ValueError as error:
                raise ConfigInvalid(f"AIOPS_TRUSTED_PROXIES: {error}.") from None

    def address_of(self, connection: ASGIConnection[Any, Any, Any, Any]) -> str:
        """Return the address of the last hop no believed proxy stands for; ``unknown`` without any, as on a socket."""
        client = connection.scope.get("client")
        found = _read(client[0]) if client else None
        forwarded = ",".join(connection.headers.getall("x-forwarded-for", [])).split(",")
        for hop in reversed(forwarded[-MAX_HOPS:]):
            if found is None or not any(found in network for network in self._trusted):
                break
            if (before := _read(hop.strip())) is None:
                break
            found = before
        return UNKNOWN if found is None else str(found)

    def believes(self, address: str) -> bool:
        """Return whether the address is that of a believed proxy, or of one of our own parts."""
        found = _read(address)
        return found is not None and any(found in network for network in self._trusted)


def _read(text: str) -> Address | None:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
