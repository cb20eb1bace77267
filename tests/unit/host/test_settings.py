"""The host's settings."""

from pathlib import Path

import pytest

from aiops_core.errors import ConfigInvalid
from aiops_host.settings import Settings, read_settings


def test_settings_come_from_the_environment(tmp_path: Path) -> None:
    """Numbers and switches are read from text; a value may stand in a file instead."""
    (tmp_path / "url").write_text("postgresql://x\n")
    settings = read_settings(
        {
            "AIOPS_PORT": "9000",
            "AIOPS_COOKIE_SECURE": "true",
            "AIOPS_DATABASE_URL_FILE": str(tmp_path / "url"),
            "OTHER": "1",
        }
    )
    assert (settings.port, settings.cookie_secure, settings.database_url) == (9000, True, "postgresql://x")
    assert settings.host == Settings().host


@pytest.mark.parametrize(
    ("variable", "value"),
    [("AIOPS_PORT", "many"), ("AIOPS_PORT", "70000"), ("AIOPS_POOL_SIZE", "1"), ("AIOPS_RETRY_DELAYS", "1,soon")],
)
def test_a_wrong_value_names_its_variable(variable: str, value: str) -> None:
    """A value of the wrong kind is refused, naming the variable to change."""
    with pytest.raises(ConfigInvalid, match=f"^{variable}: "):
        read_settings({variable: value})


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("AIOPS_POOL_SIZE", "abc", "must be a whole number."),
        ("AIOPS_LEASE", "abc", "must be a number."),
        ("AIOPS_COOKIE_SECURE", "abc", "must be true or false."),
        ("AIOPS_BREAKER_FAILURES", "0", "must be at least 1."),
        ("AIOPS_RETRY_DELAYS", "2;4", "must be seconds, separated by commas, such as 2,4,8."),
    ],
)
def test_a_wrong_value_says_what_it_must_be(variable: str, value: str, says: str) -> None:
    """In words, not in those of the library that reads it."""
    with pytest.raises(ConfigInvalid) as refused:
        read_settings({variable: value})
    assert str(refused.value) == f"{variable}: {says}"


def test_a_wrong_value_names_the_file_it_came_from(tmp_path: Path) -> None:
    """A wrong value of a settings file is refused with the file's name, in either way a file can be named."""
    file = tmp_path / "aiops.env"
    file.write_text("AIOPS_PORT=99999\n")
    with pytest.raises(ConfigInvalid, match=f"^AIOPS_PORT in {file}: "):
        read_settings({"AIOPS_ENV_FILE": str(file)})
    assert read_settings({"AIOPS_ENV_FILE": str(file), "AIOPS_PORT": "1"}).port == 1
    (tmp_path / "port").write_text("many")
    with pytest.raises(ConfigInvalid, match=f"^AIOPS_PORT in {tmp_path / 'port'}: "):
        read_settings({"AIOPS_PORT_FILE": str(tmp_path / "port")})


@pytest.mark.parametrize("line", ["AIOPS_PORT 9000", "export AIOPS_PORT=9000", "=9000"])
def test_a_line_that_sets_nothing_is_named(tmp_path: Path, line: str) -> None:
    """A line of a settings file that is not NAME=value is refused by file and number; comments and gaps are fine."""
    file = tmp_path / "aiops.env"
    file.write_text(f"# where it = listens\n\n{line}\n")
    with pytest.raises(ConfigInvalid, match=f"^AIOPS_ENV_FILE: {file}, line 3 is not of the form NAME=value"):
        read_settings({"AIOPS_ENV_FILE": str(file)})


def test_a_settings_file_of_bytes_is_refused(tmp_path: Path) -> None:
    """A file that is no text is named, without a traceback."""
    (tmp_path / "key").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigInvalid, match="AIOPS_ENV_FILE: not UTF-8 text"):
        read_settings({"AIOPS_ENV_FILE": str(tmp_path / "key")})


def test_a_missing_file_names_its_variable(tmp_path: Path) -> None:
    """A file that cannot be read is named with the variable that names it."""
    with pytest.raises(ConfigInvalid, match="AIOPS_REDIS_URL_FILE"):
        read_settings({"AIOPS_REDIS_URL_FILE": str(tmp_path / "nothing")})


def test_what_is_required_and_empty_is_named() -> None:
    """A part that needs a setting says which variables to set."""
    with pytest.raises(ConfigInvalid, match="AIOPS_DATABASE_URL and AIOPS_KEY_FILE"):
        Settings(redis_url="redis://x").require("database_url", "redis_url", "key_file")


def test_addresses_have_no_trailing_slash() -> None:
    """The public address is the one set, else the one listened on."""
    assert Settings(base_url="https://aiops.example/").public_url == "https://aiops.example"
    assert Settings(port=1234).public_url == "http://127.0.0.1:1234"
    assert Settings(admin_port=1).dashboard_url == "http://127.0.0.1:1"


def test_lists_are_read_from_one_text() -> None:
    """Blocked plugins and waits are separated by commas."""
    assert Settings(blocked_plugins="a, b,,").blocked == {"a", "b"}
    assert Settings(retry_delays="2, 4").backoff == (2.0, 4.0)
