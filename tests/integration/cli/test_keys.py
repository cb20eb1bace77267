"""``aiops keys`` as an operator runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.integration.cli.conftest import Aiops

from aiops_host.cli.main import main
from aiops_host.trust.keys.keyfile import read_key_file


@pytest.fixture
def tenant(aiops: Aiops) -> str:
    """A tenant with one sealed key of a backend."""
    aiops("tenants", "create", "acme")
    aiops("backends", "set", "litellm", "--tenant", "acme", "--set", 'models=[{"model": "openai/x", "api_key": "k"}]')
    return "acme"


def data_keys(status: dict[str, Any]) -> list[tuple[str, int, int, bool]]:
    """Return purpose, version, secrets and whether it is wrapped by the newest key."""
    return [(k["purpose"], k["version"], k["secrets"], k["wrapped_by_newest"]) for k in status["data_keys"]]


def test_keys_are_rotated_rewrapped_and_shown(
    aiops: Aiops, tenant: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status names what is outdated with exit code 1 until the rewrap is done; secrets stay listed all the while."""
    assert data_keys(aiops("keys", "status", "--json")) == [("credentials", 1, 1, True)]
    assert "next: aiops keys rewrap" in aiops("keys", "rotate")
    assert main(["keys", "status"]) == 1
    assert "wrapped by an older key" in capsys.readouterr().out
    assert aiops("keys", "rewrap", "--retire", "--json")["retired"] == 1
    status = aiops("keys", "status", "--json")
    assert (data_keys(status), status["outdated"]) == ([("credentials", 1, 1, True)], 0)
    assert [k["key_id"] for k in status["data_keys"]] == [k.id for k in read_key_file(tmp_path / "key").keys]


def test_one_tenant_gets_new_data_keys(aiops: Aiops, tenant: str, tmp_path: Path) -> None:
    """With --tenant the provider's key stays and that tenant's secrets are sealed anew."""
    assert aiops("keys", "rotate", "--tenant", tenant, "--json") == {"rotated": False, "data_keys_made": 1}
    done = aiops("keys", "rewrap", "--json")
    assert (done["resealed"], done["dropped"], done["troubles"]) == (1, 1, [])
    assert data_keys(aiops("keys", "status", "--json")) == [("credentials", 2, 1, True)]
    assert len(read_key_file(tmp_path / "key").keys) == 1


def test_without_a_key_nothing_is_done(aiops: Aiops, tenant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command that needs the key ends with 2 and says how to make one."""
    monkeypatch.delenv("AIOPS_KEY_FILE")
    for command in (("keys", "status"), ("keys", "rotate"), ("keys", "rewrap"), ("keys", "rewrap", "--from", "file")):
        assert "`aiops keys init PATH` makes a key" in aiops(*command, code=2)
    monkeypatch.setenv("AIOPS_KEY_PROVIDER", "nobody")
    assert "AIOPS_KEY_PROVIDER: No installed plugin provides 'nobody'; there is: file" in aiops(
        "keys", "status", code=2
    )


def test_a_key_file_of_elsewhere_opens_nothing_and_says_so(
    aiops: Aiops, tenant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With another key file the rewrap names the key that is missing and ends with 1."""
    aiops("keys", "init", tmp_path / "other")
    assert "never overwritten" in aiops("keys", "init", tmp_path / "other", code=2)
    monkeypatch.setenv("AIOPS_KEY_FILE", str(tmp_path / "other"))
    assert "put back the file that holds it" in aiops("keys", "rewrap", code=1)
