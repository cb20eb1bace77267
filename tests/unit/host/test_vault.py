"""The vault: what it opens and tells of, and what it says when it does not."""

from pathlib import Path
from types import SimpleNamespace
from uuid import UUID, uuid4

import pytest
from tests.support.keys import NoProvider, make_vault

from aiops_core import Health
from aiops_host.trust.keys.naming import KeyName
from aiops_host.trust.vault import (
    INSTALLATION,
    DataKey,
    KeyRefused,
    SecretName,
    SecretUnreadable,
    Vault,
    open_under,
    seal_under,
)

TENANT = UUID("8a7d3f4c-5b9e-4f13-9d6a-0c1e2f3a4b5c")
NAME = SecretName(tenant_id=TENANT, owner_kind="connection", owner_id="c", name="n", version=1)
KEY = DataKey(KeyName(TENANT, "credentials", 1), INSTALLATION, bytes(range(32)))


class Watched(NoProvider):
    """A provider that counts how often its health is asked, and notes that it was closed."""

    def __init__(self) -> None:
        """Start at nothing."""
        self.asked, self.closed = 0, False

    async def check_health(self) -> Health:
        """Count."""
        self.asked += 1
        return Health(status="ok", detail=str(self.asked))

    async def aclose(self) -> None:
        """Note."""
        self.closed = True


@pytest.fixture(autouse=True)
def at_hand() -> None:
    """The key was unwrapped just now, however long other tests have run."""
    KEY.renew(bytes(range(32)))


@pytest.fixture
def vault() -> Vault:
    """A vault without any key at hand."""
    return Vault(Watched(), "watched")


def test_a_given_key_opens_and_the_decryption_is_told(vault: Vault) -> None:
    """The key a handle holds is enough, and whoever listens is told the name of what was opened, and of nothing else."""
    told: list[SecretName] = []
    vault.opened = told.append
    sealed = seal_under(KEY, NAME, "s3cret")
    assert vault.open(NAME, sealed, KEY) == "s3cret"
    assert told == [NAME]
    with pytest.raises(SecretUnreadable):
        vault.open(NAME, sealed[:-1], KEY)
    assert told == [NAME]


def test_a_key_at_hand_is_found_by_what_the_seal_names(vault: Vault) -> None:
    """Without a key of the handle's own the one the seal names is used, once it is at hand."""
    sealed = seal_under(KEY, NAME, "s3cret")
    assert vault.key(NAME, sealed) is None
    with pytest.raises(SecretUnreadable, match="data key of the secret 'n' of connection c is not there; give"):
        vault.open(NAME, sealed)
    vault.keys.put(KEY)
    assert vault.key(NAME, sealed) is KEY
    assert vault.open(NAME, sealed) == "s3cret"


def test_a_key_opens_what_is_sealed_for_its_purpose_only() -> None:
    """A webhook secret that was sealed under the key of credentials does not open, with that key neither."""
    endpoint = SecretName(tenant_id=TENANT, owner_kind="endpoint", owner_id="c", name="n", version=1)
    with pytest.raises(SecretUnreadable, match="'n' of endpoint c is sealed under another key than its own"):
        open_under(KEY, endpoint, seal_under(KEY, endpoint, "s3cret"))
    second = DataKey(KeyName(TENANT, "credentials", 2), INSTALLATION, bytes(range(32)))
    with pytest.raises(SecretUnreadable, match="'n' of connection c is sealed under another key than its own"):
        open_under(KEY, NAME, seal_under(second, NAME, "s3cret"))
    with pytest.raises(SecretUnreadable, match="'n' of connection c does not open with its key"):
        open_under(KEY, NAME, seal_under(KEY, NAME, "s3cret")[:-1])


async def test_the_keys_the_seals_name_are_asked_for(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before secrets are opened every key they name is fetched; what is no seal is refused before."""
    wanted: list[KeyName] = []

    async def have(_database: object, names: list[KeyName]) -> None:
        wanted.extend(names)

    monkeypatch.setattr(vault.keys, "have", have)
    other = DataKey(KeyName(TENANT, "credentials", 7), INSTALLATION, bytes(range(32)))
    await vault.prepare(None, TENANT, [seal_under(key, NAME, "s") for key in (KEY, other)])  # type: ignore[arg-type]
    assert wanted == [KEY.name, other.name]
    with pytest.raises(SecretUnreadable, match="format"):
        await vault.prepare(None, uuid4(), [b"no seal"])  # type: ignore[arg-type]


async def test_the_provider_is_asked_every_two_seconds_at_most(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for the vault's health within two seconds gets the answer of before."""
    now = 100.0
    monkeypatch.setattr("aiops_host.trust.vault.time", SimpleNamespace(monotonic=lambda: now))
    answers = []
    for later in (0.0, 0.5, 1.49, 0.01, 1.99, 0.01):
        now += later
        answers.append((await vault.check()).detail)
    assert answers == ["1", "1", "1", "2", "2", "3"]


async def test_a_closed_vault_closes_its_provider(vault: Vault) -> None:
    """What the provider holds is released with the vault."""
    await vault.aclose()
    assert isinstance(vault.keys.provider, Watched)
    assert vault.keys.provider.closed


async def test_a_vault_is_loaded_from_its_file(tmp_path: Path) -> None:
    """A key file makes a vault whose provider answers; where there is none, none is made."""
    assert (await make_vault(tmp_path).check()).status == "ok"
    with pytest.raises(KeyRefused):
        Vault.load(tmp_path / "nothing")
