"""What ``aiops up`` writes for commands."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from aiops_core.errors import ConfigInvalid
from aiops_host.cli import env_file
from aiops_host.settings import Settings, read_settings

VAULT = {"address": "https://vault.example:8200", "token_file": "/run/vault-token"}
TOKEN = "hvs.t0ken"
OPEN = {
    "AIOPS_KEY_PROVIDER": "vault-transit",
    "AIOPS_KEY_PROVIDER_CONFIG": json.dumps(VAULT, indent=2),
    "AIOPS_EGRESS_PRIVATE": "10.2.0.5/32",
}


def written(environ: Mapping[str, str], folder: Path) -> tuple[str, Settings, list[str]]:
    """Return the file for commands, the settings of a command that has nothing else, and what was said."""
    said: list[str] = []
    file = folder / "aiops.env"
    env_file.write(file, env_file.passed_on(environ, read_settings(environ), said.append))
    return file.read_text(), read_settings({"AIOPS_ENV_FILE": str(file)}), said


def test_commands_use_the_same_key_provider(tmp_path: Path) -> None:
    """Provider, its configuration over several lines, and the network it is in are handed on; nothing needs saying."""
    text, settings, said = written(OPEN, tmp_path)
    assert settings.key_provider == "vault-transit"
    assert json.loads(settings.key_provider_config) == VAULT
    assert settings.egress_private == "10.2.0.5/32"
    assert len(text.splitlines()) == 3
    assert said == []


@pytest.mark.parametrize("provider", ["vault-transit", "file"])
def test_a_secret_of_the_key_provider_is_not_written_in_clear(tmp_path: Path, provider: str) -> None:
    """A configuration with a token in it is left out, whichever provider keys are moving to, and that is said."""
    config = json.dumps({"address": VAULT["address"], "token": TOKEN})
    environ = OPEN | {"AIOPS_KEY_PROVIDER": provider, "AIOPS_KEY_PROVIDER_CONFIG": config}
    text, settings, (said,) = written(environ, tmp_path)
    assert TOKEN not in text
    assert settings.key_provider == provider
    assert settings.key_provider_config == ""
    assert said == (
        "AIOPS_KEY_PROVIDER_CONFIG holds a secret (token), which is not written for commands: set it for them too, "
        "or put it into a file and name that in AIOPS_KEY_PROVIDER_CONFIG_FILE"
    )


def test_files_that_hold_settings_are_named_by_their_full_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands in a file is read from there by commands too, wherever they run; its secret is in no other file."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "provider").write_text("vault-transit\n")
    config = json.dumps({"address": VAULT["address"], "token": TOKEN})
    (tmp_path / "config").write_text(config)
    monkeypatch.chdir(tmp_path)
    environ = {"AIOPS_KEY_PROVIDER_FILE": "provider", "AIOPS_KEY_PROVIDER_CONFIG_FILE": "config"}
    text, _, said = written(environ, tmp_path)
    monkeypatch.chdir(tmp_path / "elsewhere")
    settings = read_settings({"AIOPS_ENV_FILE": str(tmp_path / "aiops.env")})
    assert (settings.key_provider, settings.key_provider_config) == ("vault-transit", config)
    assert TOKEN not in text
    assert said == []


def test_a_configuration_that_is_no_object_is_refused(tmp_path: Path) -> None:
    """Nothing is written then."""
    with pytest.raises(ConfigInvalid, match=r"^AIOPS_KEY_PROVIDER_CONFIG must be a JSON object"):
        written(OPEN | {"AIOPS_KEY_PROVIDER_CONFIG": "[1]"}, tmp_path)
    assert not (tmp_path / "aiops.env").exists()
