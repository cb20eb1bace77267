"""The dashboard's settings and its command."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from aiops_admin.settings import AdminSettings, read_settings
from aiops_core.errors import ConfigInvalid


def test_the_defaults_keep_to_this_machine() -> None:
    """Without settings the dashboard listens on loopback only and asks a host on loopback."""
    settings = read_settings({})
    assert (settings.admin_host, settings.admin_port) == ("127.0.0.1", 8001)
    assert settings.api_url == "http://127.0.0.1:8000"
    assert settings.origins(8001) == ["127.0.0.1:8001", "localhost:8001"]
    assert settings.public_url(8001) == "http://127.0.0.1:8001"
    assert not settings.cookie_secure


def test_a_public_address_is_the_only_origin() -> None:
    """Behind a proxy only the address people use may connect."""
    settings = read_settings({"AIOPS_ADMIN_URL": "https://Ops.Example/", "AIOPS_ADMIN_HOST": "10.0.0.5"})
    assert settings.origins(8001) == ["ops.example"]
    assert settings.public_url(8001) == "https://Ops.Example"


def test_a_value_may_come_from_a_file(tmp_path: Path) -> None:
    """A secret need not stand in the environment."""
    (tmp_path / "secret").write_text("from a file\n")
    settings = read_settings({"AIOPS_ADMIN_SECRET_FILE": str(tmp_path / "secret")})
    assert settings.signing_secret == "from a file"


def test_a_file_of_settings_yields_to_the_environment(tmp_path: Path) -> None:
    """An installation's file holds what the environment does not say otherwise."""
    (tmp_path / "aiops.env").write_text("# ours\nAIOPS_ADMIN_PORT=9001\nAIOPS_COOKIE_SECURE=true\n\nnonsense\n")
    settings = read_settings({"AIOPS_ENV_FILE": str(tmp_path / "aiops.env"), "AIOPS_ADMIN_PORT": "9002"})
    assert (settings.admin_port, settings.cookie_secure) == (9002, True)


def test_without_a_secret_every_process_has_its_own() -> None:
    """Page tokens of one process are worth nothing in another."""
    assert AdminSettings().signing_secret != AdminSettings().signing_secret


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"BOKEH_ALLOW_WS_ORIGIN": "*"}, "BOKEH_ALLOW_WS_ORIGIN"),
        ({"AIOPS_ADMIN_PORT": "many"}, "AIOPS_ADMIN_PORT"),
        ({"AIOPS_ADMIN_PORT": "70000"}, "AIOPS_ADMIN_PORT"),
        ({"AIOPS_API_URL": "ftp://host"}, "AIOPS_API_URL"),
        ({"AIOPS_ADMIN_URL": "ops.example"}, "AIOPS_ADMIN_URL"),
        ({"AIOPS_ADMIN_URL": "https://ops.example/admin"}, "AIOPS_ADMIN_URL"),
        ({"AIOPS_COOKIE_SECURE": "perhaps"}, "AIOPS_COOKIE_SECURE"),
        ({"AIOPS_LOG_LEVEL": "LOUD"}, "AIOPS_LOG_LEVEL"),
        ({"AIOPS_ENV_FILE": "/nowhere/at/all"}, "AIOPS_ENV_FILE"),
        ({"AIOPS_ADMIN_SECRET_FILE": "/nowhere/at/all"}, "AIOPS_ADMIN_SECRET_FILE"),
    ],
)
def test_a_bad_setting_is_named(environment: dict[str, str], named: str) -> None:
    """Whoever made the mistake reads which variable it is in."""
    with pytest.raises(ConfigInvalid, match=named):
        read_settings(environment)


def test_the_command_refuses_to_start_without_a_traceback() -> None:
    """An explained error is one line and exit code 2, before panel is imported."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "aiops_admin.cli"],
        env={**os.environ, "BOKEH_ALLOW_WS_ORIGIN": "*"},
        capture_output=True,
        text=True,
        check=False,
    )
    said = [line for line in done.stderr.splitlines() if not line.startswith("import time:")]
    assert (done.returncode, done.stdout) == (2, "")
    assert len(said) == 1
    assert said[0].startswith("aiops admin: BOKEH_ALLOW_WS_ORIGIN")
    assert "panel.io" not in done.stderr
