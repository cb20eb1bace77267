"""Where plugins, tools and models may be called: public addresses by https, and what the operator lists."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from aiohttp.abc import AbstractResolver, ResolveResult

from aiops_core.errors import ConfigInvalid

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# IANA's special-purpose registries; the library's own is_global differs between versions of Python.
_SPECIAL_4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    )
)  # fmt: skip
_GLOBAL_6 = IPv6Network("2000::/3")
# Teredo and 6to4 wrap an IPv4 address, which may be any; NAT64's prefixes lie outside of 2000::/3.
_SPECIAL_6 = tuple(
    IPv6Network(network) for network in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
)


class AddressDenied(OSError):
    """An address that is not to be called; the message reads on after the host's name."""


@dataclass(frozen=True, slots=True)
class Destinations:
    """What may be called. ``private`` networks are the operator's: any port, and plain http too."""

    private: tuple[Network, ...] = ()
    ports: frozenset[int] = frozenset({443, 8443})

    @classmethod
    def parse(cls, private: str, ports: str) -> Destinations:
        """Read the operator's lists, their items separated by commas.

        Raises:
            ConfigInvalid: An item is no network or no port; the message names the variable.
        """
        try:
            networks = tuple(ipaddress.ip_network(item, strict=False) for item in _items(private))
        except ValueError as error:
            raise ConfigInvalid(f"AIOPS_EGRESS_PRIVATE: {error}; name networks such as 10.2.0.0/16.") from None
        try:
            numbers = frozenset(int(item) for item in _items(ports))
        except ValueError:
            raise ConfigInvalid(f"AIOPS_EGRESS_PORTS: {ports!r} is no list of ports such as 443,8443.") from None
        return cls(networks, numbers)

    def check(self, address: Address, port: int, *, plain: bool) -> None:
        """Refuse an address that is not to be called at this port, or not by plain http.

        Raises:
            AddressDenied: Why not, and what the operator may set.
        """
        address = _unwrapped(address)
        if any(address in network for network in self.private):
            return
        if not _is_public(address):
            raise AddressDenied(
                f"is at {address}, a private or special address; the operator may allow it with "
                f"AIOPS_EGRESS_PRIVATE={address}/{address.max_prefixlen}"
            )
        if plain:
            raise AddressDenied("is a public address, which is called by https only")
        if port not in self.ports:
            raise AddressDenied(
                f"is to be called at port {port}; the operator may allow it with AIOPS_EGRESS_PORTS="
                + ",".join(map(str, sorted({*self.ports, port})))
            )


class VettingResolver(AbstractResolver):
    """Resolves a name and vets every answer; the connection goes to what was vetted, whatever DNS says later."""

    def __init__(self, destinations: Destinations, *, plain: bool) -> None:
        """Take what may be called, and whether it is called by plain http."""
        self._destinations = destinations
        self._plain = plain

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the name's addresses.

        Raises:
            AddressDenied: One of them is not to be called.
            OSError: The name is not known.
        """
        found = await asyncio.get_running_loop().getaddrinfo(
            host, port, type=socket.SOCK_STREAM, family=family, flags=socket.AI_ADDRCONFIG
        )
        return [self._vetted(host, port, family, sockaddr[0]) for family, _, _, _, sockaddr in found]

    async def close(self) -> None:
        """Hold nothing."""

    def _vetted(self, host: str, port: int, family: int, address: str | int) -> ResolveResult:
        self._destinations.check(ipaddress.ip_address(address), port, plain=self._plain)
        return ResolveResult(
            hostname=host,
            host=str(address),
            port=port,
            family=family,
            proto=0,
            flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
        )


def literal(host: str) -> Address | None:
    """Return the address a host is spelt as, ``None`` for a name."""
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _SPECIAL_4)
    return address in _GLOBAL_6 and not any(address in network for network in _SPECIAL_6)


def _unwrapped(address: Address) -> Address:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _items(text: str) -> Sequence[str]:
    return [item.strip() for item in text.split(",") if item.strip()]
