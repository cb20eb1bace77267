"""Addresses against the operator's catalogue: covered exactly, or not at all."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops_core import ConfigInvalid, ModelPrice
from aiops_host.data.providers import Provider
from aiops_host.trust.catalogue import (
    AddressUnlisted,
    address_for,
    check_addresses,
    check_models,
    checked_provider,
    provider_at,
)

OPENAI = Provider(name="openai", title="OpenAI", protocol="openai", address="https://api.openai.com/v1")
AZURE = Provider(name="azure", title="Azure OpenAI", protocol="azure", address="https://*.openai.azure.com")
NEAR = provider_at("http://127.0.0.1:9000/v1")
CATALOGUE = (OPENAI, AZURE, NEAR)

COVERED = (
    "https://api.openai.com/v1",
    "https://api.openai.com/v1/",
    "https://API.openai.com/v1",
    "https://api.openai.com:443/v1",
    "https://acme.openai.azure.com",
    "https://a-1.openai.azure.com/",
    "http://127.0.0.1:9000/v1",
)
OTHERS = (
    "http://api.openai.com/v1",
    "https://api.openai.com",
    "https://api.openai.com/v2",
    "https://api.openai.com/v1/../admin",
    "https://api.openai.com:8443/v1",
    "https://api.openai.com.evil.example/v1",
    "https://api.openai.com@evil.example/v1",
    "https://user:pw@api.openai.com/v1",
    "https://evil.example/v1?x=https://api.openai.com/v1",
    "https://evil.example#https://api.openai.com/v1",
    "https://evil.example\\@api.openai.com/v1",
    "https://openai.azure.com",
    "https://.openai.azure.com",
    "https://a.b.openai.azure.com",
    "https://-a.openai.azure.com",
    "https://*.openai.azure.com",
    "https://acme.openai.azure.com.evil.example",
    "https://acme.openai.azure.com:444",
    "https://acme.openai.azure.com/path",
    "https://evil.example/acme.openai.azure.com",
    "http://127.0.0.1:9001/v1",
    "http://127.0.0.2:9000/v1",
    "http://[::1]:9000/v1",
    "http://2130706433:9000/v1",
    "https://api.openai.com/v1\n",
    "https://api.openai.com/v1\x00",
    "HTTPS://api.openai.com/v1",
    "//api.openai.com/v1",
    "api.openai.com/v1",
    "ftp://api.openai.com/v1",
    "https://api.openai.com:99999/v1",
    "https://api.openai.com:/v1",
    "https://a.openai.azure.com:",
    "",
)


@pytest.mark.attack(18, figure=40)
@pytest.mark.parametrize("address", COVERED)
def test_what_is_listed_is_covered(address: str) -> None:
    """The listed address passes however its host, port and last slash are written."""
    check_addresses(CATALOGUE, [address])


@pytest.mark.attack(18, figure=34)
@pytest.mark.parametrize("address", OTHERS)
def test_anything_else_is_refused(address: str) -> None:
    """Another scheme, host, port or path is refused, whatever of the listed one it contains."""
    with pytest.raises(AddressUnlisted, match="aiops providers allow"):
        check_addresses(CATALOGUE, [COVERED[0], address])


@pytest.mark.attack(18)
@given(st.text(alphabet=string.printable + "äé\u200b\uff0e", max_size=60))
def test_a_made_up_resource_stays_below_the_pattern(text: str) -> None:
    """Whatever a tenant enters as its resource, it is refused or one label below the operator's domain."""
    for entered in (text, f"https://{text}", f"https://{text}.openai.azure.com", f"https://a.openai.azure.com{text}"):
        try:
            address = address_for(AZURE, entered)
        except ConfigInvalid:
            continue
        label = address.removeprefix("https://").removesuffix(".openai.azure.com").removesuffix(".openai.azure.com:443")
        assert label.replace("-", "").isalnum(), address
        assert label.isascii()


def test_one_address_is_not_chosen() -> None:
    """Where the operator set one address a tenant names none, and where there are several it must."""
    assert address_for(OPENAI, None) == "https://api.openai.com/v1"
    with pytest.raises(ConfigInvalid, match="leave it out"):
        address_for(OPENAI, "https://api.openai.com/v1")
    with pytest.raises(ConfigInvalid, match="give the address of your resource"):
        address_for(AZURE, "")


@pytest.mark.parametrize(
    "address",
    [
        "https://user:pw@host.example",
        "https://host.example/v1?x=1",
        "https://host.example/#x",
        "https://*",
        "https://*.com",
        "https://a.*.example.com",
        "https://x*.example.com",
        "https://*.*.example.com",
        "http://llm.example/v1",
        "http://8.8.8.8/v1",
        "ftp://host.example",
        "host.example",
        "https://[::1",
        "https://:443/v1",
        "https://a]b",
        "",
    ],
)
def test_an_address_that_cannot_be_kept_to_is_not_listed(address: str) -> None:
    """The catalogue refuses what is no plain address, what its * would make too wide, and keys in clear over a network."""
    with pytest.raises(ConfigInvalid):
        checked_provider(Provider(name="x", title="x", protocol="openai", address=address))


def test_what_may_be_listed() -> None:
    """Servers of one's own: by https anywhere, by http on this machine and in private networks."""
    for address in (
        "https://llm.example/v1",
        "http://localhost:8000/v1",
        "http://10.1.2.3/v1",
        "https://*.llm.example",
    ):
        assert checked_provider(provider_at(address)).address == address
    for name in ("", "Big", "a b", "a/b", "-x"):
        with pytest.raises(ConfigInvalid, match="name"):
            checked_provider(provider_at("https://llm.example", name))
    cheap = {"m": ModelPrice(input=-1, output=0)}
    paid = Provider(name="x", title="x", protocol="openai", address="https://x.example", prices=cheap)
    with pytest.raises(ConfigInvalid, match="price"):
        checked_provider(paid)


@pytest.mark.parametrize(
    ("provider", "model", "fine"),
    [
        (OPENAI, "gpt-4o-mini", True),
        (OPENAI, "meta-llama/Llama-3.3-70B-Instruct", True),
        (OPENAI, "ft:gpt-4o:acme::id", True),
        (AZURE, "acme-gpt.4o", True),
        (AZURE, "a/b", False),
        (AZURE, "a:b", False),
        (OPENAI, "../admin", False),
        (OPENAI, "a/../b", False),
        (OPENAI, "a//b", False),
        (OPENAI, "a?b", False),
        (OPENAI, "a#b", False),
        (OPENAI, "a b", False),
        (OPENAI, "a\n", False),
        (OPENAI, "", False),
        (OPENAI, "x" * 200, False),
        (OPENAI, "\u0430", False),
    ],
)
def test_names_of_models(provider: Provider, model: str, fine: bool) -> None:
    """A model's name holds nothing that could end or change an address."""
    if fine:
        check_models(provider, [model])
        return
    with pytest.raises(ConfigInvalid, match="no model's name"):
        check_models(provider, [model])


def test_how_many_models() -> None:
    """One to five, each once."""
    for models in ([], ["a"] * 2, [str(n) for n in range(6)]):
        with pytest.raises(ConfigInvalid, match="models"):
            check_models(OPENAI, models)
