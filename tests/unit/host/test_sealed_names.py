"""What a seal is bound to: whatever is moved, renamed or re-versioned does not open."""

import pickle
from itertools import permutations
from typing import get_args
from uuid import UUID, uuid4

import pytest

from aiops_host.trust.keys.naming import KeyName, OwnerKind, SecretName, SecretUnreadable, key_of, purpose_of
from aiops_host.trust.vault import DataKey, open_under, seal_under

INSTALLATION = uuid4()
SAME = bytes(range(32))
"""Every tenant's data key here: what keeps them apart is what the seal is bound to, and nothing else."""


def key(
    tenant: UUID, version: int = 1, *, owner_kind: str = "connection", installation: UUID = INSTALLATION
) -> DataKey:
    """Return the tenant's key of that version."""
    return DataKey(KeyName(tenant, purpose_of(owner_kind), version), installation, SAME)


def named(tenant: UUID, **changed: object) -> SecretName:
    """Return a name with some parts of its own."""
    parts = {"owner_kind": "connection", "owner_id": "c", "name": "n", "version": 1} | changed
    return SecretName(tenant_id=tenant, **parts)  # type: ignore[arg-type]


@pytest.mark.promise("secrets-sealed", figure="89,700 moves")
@pytest.mark.attack(19, figure="300 secrets, all pairs")
def test_no_two_of_300_secrets_can_change_places() -> None:
    """Each of 20 tenants x 5 secrets x 3 versions opens in its own place, and in none of the 299 others."""
    tenants, names, versions = [uuid4() for _ in range(20)], [f"s{n}" for n in range(5)], range(1, 4)
    keys = {tenant: key(tenant) for tenant in tenants}
    places = [named(t, name=n, version=v) for t in tenants for n in names for v in versions]
    sealed = {place: seal_under(keys[place.tenant_id], place, "s3cret") for place in places}
    assert {open_under(keys[p.tenant_id], p, sealed[p]) for p in places} == {"s3cret"}
    opened = 0
    for here, there in permutations(places, 2):
        try:
            open_under(keys[there.tenant_id], there, sealed[here])
            opened += 1
        except SecretUnreadable:
            pass
    assert opened == 0


TENANT = uuid4()


@pytest.mark.attack(19)
@pytest.mark.parametrize(
    "changed",
    [
        {"name": "m"},
        {"version": 2},
        {"owner_id": "d"},
        {"owner_kind": "llm-backend"},
        {"owner_kind": "endpoint"},
        {"owner_kind": "person"},
        {"owner_id": "cn", "name": ""},
        {"owner_id": "", "name": "cn"},
    ],
    ids=str,
)
def test_each_part_of_the_name_counts(changed: dict[str, object]) -> None:
    """A seal read under a name with one part changed does not open, nor when text moves from one part to the next."""
    sealed = seal_under(key(TENANT), named(TENANT), "s3cret")
    owner = str(changed.get("owner_kind", "connection"))
    with pytest.raises(SecretUnreadable):
        open_under(key(TENANT, owner_kind=owner), named(TENANT, **changed), sealed)
    with pytest.raises(SecretUnreadable):
        open_under(key(TENANT), named(TENANT, **changed), sealed)


@pytest.mark.attack(19)
def test_installation_and_key_version_count() -> None:
    """A seal of another installation, or one whose head names another key version, does not open."""
    place = named(TENANT)
    sealed = seal_under(key(TENANT), place, "s3cret")
    with pytest.raises(SecretUnreadable):
        open_under(key(TENANT, installation=uuid4()), place, sealed)
    with pytest.raises(SecretUnreadable, match="another key"):
        open_under(key(TENANT, 2), place, sealed)
    relabelled = sealed[:8] + b"\x02" + sealed[9:]
    assert key_of(TENANT, relabelled).version == 2
    with pytest.raises(SecretUnreadable, match="does not open"):
        open_under(key(TENANT, 2), place, relabelled)


def test_a_secret_of_an_earlier_version_opens() -> None:
    """What is stored says its format, purpose and key version in nine bytes, and opens in later versions."""
    tenant = UUID("8a7d3f4c-5b9e-4f13-9d6a-0c1e2f3a4b5c")
    stored = bytes.fromhex(
        "414f53310200000001bc8eeb6b8829ed2f87ff95cd1f3759b57bf893320fb2df10365605289ae7ee805e7860659ac8b697d2837381c8396f"
        "4d2eea456e67aecb420d2ae10de2b028a536d12fa65fba45b24e77b0e371470be0f3d5b36afcab30e5bdfd0988f0ea34d1357b"
    )
    assert open_under(key(tenant, installation=UUID(int=0)), named(tenant), stored) == "s3cret"
    for kind, code in (("endpoint", 1), ("connection", 2), ("person", 3)):
        made = seal_under(key(tenant, 0x01020304, owner_kind=kind), named(tenant, owner_kind=kind), "s3cret")
        assert made[:9] == b"AOS1" + bytes([code, 1, 2, 3, 4])
        assert key_of(tenant, made) == KeyName(tenant, purpose_of(kind), 0x01020304)


def test_a_name_says_which_secret_it_is() -> None:
    """In errors a secret is named by its name and owner, and never by its tenant."""
    assert str(named(TENANT)) == "'n' of connection c"


@pytest.mark.parametrize(
    "sealed",
    [b"", b"AOS1", b"AOS2\x02" + bytes(100), b"AO1" + bytes(100), b"AOS1\x09" + bytes(100), b"AOS1\x02\0\0\0\x01"],
)
def test_what_is_no_seal_is_said_to_be_none(sealed: bytes) -> None:
    """Bytes without a known head are refused before any key is looked for."""
    with pytest.raises(SecretUnreadable, match="format"):
        key_of(TENANT, sealed)


def test_webhook_secrets_credentials_and_logins_have_keys_of_their_own() -> None:
    """Each kind of owner belongs to one purpose, and only endpoints' secrets are webhook secrets."""
    found = {kind: purpose_of(kind) for kind in get_args(OwnerKind)}
    assert {k for k, purpose in found.items() if purpose == "webhook"} == {"endpoint"}
    assert {k for k, purpose in found.items() if purpose == "login"} == {"person"}
    assert set(found.values()) == {"webhook", "login", "credentials"}


def test_a_data_key_does_not_show() -> None:
    """A data key's repr holds nothing of it, and it cannot be pickled."""
    kept = key(TENANT)
    assert str(SAME) not in repr(kept)
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(kept)
