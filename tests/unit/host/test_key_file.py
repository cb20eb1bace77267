"""The key file: made once, read by its owner only, changed whole or not at all."""

import asyncio
import os
import threading
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from aiops_core import KeyContext, KeyProviderRefused, KeyProviderUnavailable, WrappedKey
from aiops_host import failpoints
from aiops_host.trust.keys.config import FileKeyConfig
from aiops_host.trust.keys.file_provider import FileKeyProvider, open_key_file
from aiops_host.trust.keys.keyfile import KeyRefused, create_key_file, read_key_file

DATA_KEY = bytes(range(32))


def place(tenant: UUID | None = None, **changed: object) -> KeyContext:
    """Return the context of a data key."""
    parts = {"installation": UUID(int=7), "tenant": tenant or UUID(int=8), "purpose": "webhook", "version": 1}
    return KeyContext(**{**parts, **changed})  # type: ignore[arg-type]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A key file."""
    create_key_file(tmp_path / "key")
    return tmp_path / "key"


@pytest.fixture
def provider(file: Path) -> FileKeyProvider:
    """A provider with the file."""
    return FileKeyProvider(file)


def test_a_key_is_made_for_its_owner_only_and_never_overwritten(file: Path) -> None:
    """The file has mode 600; making it again is refused and leaves it as it was."""
    before = file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(KeyRefused, match="never overwritten"):
        create_key_file(file)
    assert file.read_bytes() == before


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o601])
def test_a_key_file_others_can_reach_is_refused(file: Path, mode: int) -> None:
    """Any right of group or others is refused, with what to run."""
    file.chmod(mode)
    with pytest.raises(KeyRefused, match="chmod 600"):
        FileKeyProvider(file)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b'{"format": 1, "keys": []}', b"\xff\xfe", b"A" * 44, b'{"format": 2}']
)
def test_what_is_no_key_file_is_refused(file: Path, content: bytes) -> None:
    """A file with something else in it, or no key, is refused without showing what is in it."""
    file.write_bytes(content)
    with pytest.raises(KeyRefused, match="does not hold a key"):
        FileKeyProvider(file)


def test_a_short_key_is_refused(file: Path) -> None:
    """A key cut to fewer than 32 bytes is refused."""
    text = file.read_text()
    value = text.split('"0:0": "')[1].split('"')[0]
    file.write_text(text.replace(value, value[:8]))
    with pytest.raises(KeyRefused, match="does not hold a key"):
        read_key_file(file)


def test_a_systemd_credential_is_found_without_being_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a path the key is the credential aiops-key, which systemd may open to a group by an access list."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(KeyRefused, match="Set AIOPS_KEY_FILE"):
        open_key_file(FileKeyConfig(), None)  # type: ignore[arg-type]
    file.rename(file.with_name("aiops-key"))
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(file.parent))
    file.with_name("aiops-key").chmod(0o440)
    assert open_key_file(FileKeyConfig(), None)  # type: ignore[arg-type]
    file.with_name("aiops-key").chmod(0o444)
    with pytest.raises(KeyRefused, match="chmod 600"):
        open_key_file(FileKeyConfig(), None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changed",
    [{"tenant": UUID(int=9)}, {"purpose": "credentials"}, {"version": 2}, {"installation": UUID(int=6)}],
    ids=["tenant", "purpose", "version", "installation"],
)
async def test_a_data_key_unwraps_in_its_place_only(provider: FileKeyProvider, changed: dict[str, object]) -> None:
    """The wrapping is bound to installation, tenant, purpose and version."""
    wrapped = await provider.wrap(DATA_KEY, place())
    assert await provider.unwrap(wrapped, place()) == DATA_KEY
    with pytest.raises(KeyProviderRefused, match="does not open"):
        await provider.unwrap(wrapped, place(**changed))


async def test_a_new_key_wraps_and_the_old_one_unwraps_until_it_is_retired(file: Path) -> None:
    """After a rotation, seen by whoever runs already, old wrappings open; once retired they do not."""
    running, elsewhere = FileKeyProvider(file), FileKeyProvider(file)
    old = await running.wrap(DATA_KEY, place())
    await elsewhere.rotate([])
    new = await running.wrap(DATA_KEY, place())
    assert new.key_id == await running.current(UUID(int=8)) != old.key_id
    assert await running.unwrap(old, place()) == await running.unwrap(new, place()) == DATA_KEY

    assert await elsewhere.retire({UUID(int=8): {old.key_id, new.key_id}}) == 0
    assert await elsewhere.retire({UUID(int=8): {new.key_id}}) == 1
    with pytest.raises(KeyProviderRefused, match="is not in"):
        await running.unwrap(old, place())
    assert await elsewhere.retire({}) == 0, "the newest key is never forgotten"


async def test_a_destroyed_tenant_stays_destroyed(file: Path) -> None:
    """What was wrapped for the tenant opens under no key of the file, and nothing is wrapped for it; others are as before."""
    provider, gone, here = FileKeyProvider(file), uuid4(), uuid4()
    first = {tenant: await provider.wrap(DATA_KEY, place(tenant)) for tenant in (gone, here)}
    await provider.rotate([])
    second = {tenant: await provider.wrap(DATA_KEY, place(tenant)) for tenant in (gone, here)}
    await provider.destroy(gone)
    await provider.destroy(gone)
    for one in (provider, FileKeyProvider(file)):
        for wrapped in (first[gone], second[gone]):
            with pytest.raises(KeyProviderRefused, match="were destroyed"):
                await one.unwrap(wrapped, place(gone))
        with pytest.raises(KeyProviderRefused, match="were destroyed"):
            await one.current(gone)
        assert [await one.unwrap(w, place(here)) for w in (first[here], second[here])] == [DATA_KEY] * 2


def test_an_unreadable_file_is_a_provider_that_is_away(file: Path, provider: FileKeyProvider) -> None:
    """A file that vanished or broke while the process runs is told as health, and mended by putting it back."""
    wrapped, kept = asyncio.run(provider.wrap(DATA_KEY, place())), file.read_bytes()
    file.unlink()
    with pytest.raises(KeyProviderUnavailable):
        asyncio.run(provider.unwrap(wrapped, place()))
    assert asyncio.run(provider.check_health()).status == "failed"
    file.write_bytes(kept)
    file.chmod(0o600)
    assert asyncio.run(provider.unwrap(wrapped, place())) == DATA_KEY
    assert asyncio.run(provider.check_health()).status == "ok"


def test_a_change_that_ends_half_way_changes_nothing(
    file: Path, provider: FileKeyProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is replaced in one step: what ends before it leaves the old one, mode and all."""
    before = file.read_bytes()

    def fail(name: str) -> None:
        raise OSError(28, f"full at {name}")

    monkeypatch.setattr(failpoints, "reached", fail)
    with pytest.raises(KeyProviderRefused, match="cannot be changed"):
        asyncio.run(provider.rotate([]))
    assert file.read_bytes() == before
    monkeypatch.undo()
    asyncio.run(provider.rotate([]))
    assert len(read_key_file(file).keys) == 2
    assert file.stat().st_mode & 0o777 == 0o600


def test_changes_made_at_once_are_all_kept(file: Path) -> None:
    """Ten processes' worth of destroyed tenants and rotations at the same time lose none of one another."""
    tenants = [uuid4() for _ in range(5)]

    def work(tenant: UUID) -> None:
        provider = FileKeyProvider(file)
        asyncio.run(provider.destroy(tenant))
        asyncio.run(provider.rotate([]))

    threads = [threading.Thread(target=work, args=(tenant,)) for tenant in tenants]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read_key_file(file).keys) == 6
    provider = FileKeyProvider(file)
    first = read_key_file(file).keys[-1].id
    for tenant in tenants:
        with pytest.raises(KeyProviderRefused, match="were destroyed"):
            asyncio.run(provider.unwrap(_wrapped(first), place(tenant)))


def test_a_file_that_cannot_be_written_says_who_has_to(file: Path, provider: FileKeyProvider) -> None:
    """Where the service may only read, destroying a tenant's keys tells whom to ask."""
    if os.geteuid() == 0:
        file.rename(file.with_name("gone"))
    else:
        file.parent.chmod(0o500)
    try:
        with pytest.raises(KeyProviderRefused, match="as its owner or an administrator"):
            asyncio.run(provider.destroy(uuid4()))
    finally:
        file.parent.chmod(0o700)


def _wrapped(key_id: str) -> WrappedKey:
    return WrappedKey(key_id, bytes(108))
