"""What the egress guard of a worker will say of an address, told before a worker is asked."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
from collections.abc import Sequence
from urllib.parse import urlsplit

from aiops_host.trust.destinations import Address, AddressDenied, Destinations, literal

LOOK_UP_SECONDS = 2.0
DEFAULT_PORTS = {"https": 443, "http": 80}


def denied(destinations: Destinations, url: str) -> str | None:
    """Return why a worker will not call a URL's host, and what the operator may set; ``None`` if it will.

    DNS is given two seconds; a name it does not answer for is not judged.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or DEFAULT_PORTS.get(parts.scheme, 443)
    address = literal(host)
    for found in (address,) if address else _looked_up(host):
        try:
            destinations.check(found, port, plain=parts.scheme == "http")
        except AddressDenied as error:
            return f"{'The server' if address else host} {error}"
    return None


def _looked_up(host: str) -> Sequence[Address]:
    found: list[Address] = []

    def look() -> None:
        with contextlib.suppress(OSError, UnicodeError):
            found.extend(
                ipaddress.ip_address(str(sockaddr[0]).partition("%")[0])
                for *_, sockaddr in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            )

    # A look-up cannot be broken off; a daemon does not keep the process from ending.
    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    looking.join(LOOK_UP_SECONDS)
    return tuple(found)
