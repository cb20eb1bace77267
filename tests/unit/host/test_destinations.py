"""What may be called: public addresses by https, and what the operator lists."""
# ruff: noqa: S104, S311 - addresses to be refused, and a seeded choice of them

import ipaddress
import random
import socket

import pytest

from aiops_core.errors import ConfigInvalid
from aiops_host.trust.destinations import AddressDenied, Destinations, VettingResolver, literal

SPECIAL = (
    "0.0.0.0", "10.0.0.1", "100.64.0.1", "100.127.255.254", "127.0.0.1", "127.255.255.255", "169.254.169.254",
    "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.7",
    "203.0.113.9", "192.31.196.1", "192.52.193.1", "192.175.48.1", "2620:4f:8000::1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1",
    "64:ff9b:1::1", "100::1", "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:10::1", "2001:db8::1",
    "2002:7f00:1::", "2002:a00:1::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1",
)  # fmt: skip
PUBLIC = ("1.1.1.1", "8.8.8.8", "100.63.255.255", "172.32.0.1", "192.0.1.1", "2606:4700:4700::1111", "2a00:1450::1")


@pytest.mark.parametrize("address", SPECIAL)
@pytest.mark.attack(17)
def test_special_addresses_are_refused(address: str) -> None:
    """Private, local, reserved and wrapped addresses are not called, and the refusal names what the operator may set."""
    with pytest.raises(AddressDenied, match="AIOPS_EGRESS_PRIVATE="):
        Destinations().check(ipaddress.ip_address(address), 443, plain=False)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_called_by_https(address: str) -> None:
    """A public address is called at the usual ports, and by https only."""
    public = ipaddress.ip_address(address)
    Destinations().check(public, 443, plain=False)
    Destinations().check(public, 8443, plain=False)
    with pytest.raises(AddressDenied, match="AIOPS_EGRESS_PORTS=443,8080,8443"):
        Destinations().check(public, 8080, plain=False)
    with pytest.raises(AddressDenied, match="https only"):
        Destinations().check(public, 443, plain=True)


def test_what_the_library_calls_special_is_special_here() -> None:
    """Of 10,000 random addresses none is called that Python's own list holds back."""
    chosen = random.Random(11)
    for number in range(10_000):
        bits = 32 if number % 2 else 128
        address = ipaddress.ip_address(
            ipaddress.IPv4Address(chosen.getrandbits(bits))
            if bits == 32
            else ipaddress.IPv6Address(chosen.getrandbits(bits))
        )
        if address.is_global and not address.is_multicast:
            continue
        with pytest.raises(AddressDenied):
            Destinations().check(address, 443, plain=False)


def test_the_operator_lists_networks_and_ports() -> None:
    """A listed network is called at any port and by plain http; its neighbour is not; a listed port opens for all."""
    listed = Destinations.parse("10.2.0.0/16, fd12::/64", "443,9443")
    listed.check(ipaddress.ip_address("10.2.3.4"), 8080, plain=True)
    listed.check(ipaddress.ip_address("::ffff:10.2.3.4"), 8080, plain=True)
    listed.check(ipaddress.ip_address("fd12::7"), 80, plain=True)
    listed.check(ipaddress.ip_address("1.1.1.1"), 9443, plain=False)
    Destinations.parse("10.2.3.4/16,,", "443").check(ipaddress.ip_address("10.2.255.255"), 80, plain=True)
    with pytest.raises(AddressDenied):
        listed.check(ipaddress.ip_address("10.3.0.1"), 443, plain=False)


@pytest.mark.parametrize(
    ("private", "ports", "says"),
    [
        ("10.2", "443", "AIOPS_EGRESS_PRIVATE: '10.2' .*; name networks such as 10.2.0.0/16"),
        ("intranet", "443", "AIOPS_EGRESS_PRIVATE: 'intranet' "),
        ("", "443,https", "AIOPS_EGRESS_PORTS: '443,https' is no list of ports such as 443,8443"),
    ],
)
def test_a_list_that_cannot_be_read_is_refused(private: str, ports: str, says: str) -> None:
    """A wrong item is a configuration error that names the variable."""
    with pytest.raises(ConfigInvalid, match=says):
        Destinations.parse(private, ports)


def test_a_host_that_is_spelt_as_an_address_is_known() -> None:
    """An address is read with and without its zone; a name is none."""
    assert literal("fe80::1%eth0") == literal("fe80::1") == ipaddress.ip_address("fe80::1")
    assert literal("10.0.0.1") == ipaddress.ip_address("10.0.0.1")
    assert literal("files.example") is None


async def test_one_forbidden_answer_refuses_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with a public and a private address is not called at all."""
    _answers(monkeypatch, [["1.1.1.1", "10.0.0.1"]])
    with pytest.raises(AddressDenied):
        await VettingResolver(Destinations(), plain=False).resolve("two-faced.example", 443)


@pytest.mark.attack(17)
async def test_what_was_vetted_is_what_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that answers differently the second time is vetted the second time; the result carries addresses only."""
    _answers(monkeypatch, [["1.1.1.1"], ["127.0.0.1"]])
    resolver = VettingResolver(Destinations(), plain=False)
    (first,) = await resolver.resolve("rebinding.example", 443)
    assert first == {
        "hostname": "rebinding.example",
        "host": "1.1.1.1",
        "port": 443,
        "family": socket.AF_INET,
        "proto": 0,
        "flags": socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    }
    with pytest.raises(AddressDenied):
        await resolver.resolve("rebinding.example", 443)


async def test_a_name_is_asked_for_without_a_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever names no port gets addresses without one; by plain http a public one is refused."""
    _answers(monkeypatch, [["10.2.0.1"], ["1.1.1.1"]])
    listed = Destinations.parse("10.0.0.0/8", "443")
    (found,) = await VettingResolver(listed, plain=True).resolve("desk.lan")
    assert (found["host"], found["port"]) == ("10.2.0.1", 0)
    with pytest.raises(AddressDenied, match="https only"):
        await VettingResolver(listed, plain=True).resolve("desk.example", 443)


def _answers(monkeypatch: pytest.MonkeyPatch, answers: list[list[str]]) -> None:
    """Let DNS give these answers, one after the other."""

    def resolve(_host: str, port: int, *_: object, **__: object) -> list[tuple[object, ...]]:
        found = answers.pop(0)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
