"""``aiops up`` before anything is started, and the program whatever its settings are."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest


def aiops(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the program to its end."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AIOPS_")}
    command = [sys.executable, "-m", "aiops_host.cli.main", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={**clean, **environment}, stdin=subprocess.DEVNULL
    )


@pytest.mark.parametrize("option", ["--port", "--admin-port", "--metrics-port"])
def test_a_port_there_is_not_is_refused(tmp_path: Path, option: str) -> None:
    """A number no port can have ends it with 2 and leaves nothing behind that later starts would trip over."""
    done = aiops("up", "--data", str(tmp_path / "data"), option, "99999")
    assert (done.returncode, "99999 is not in the range 0<=x<=6553" in done.stderr) == (2, True)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("option", ["--port", "--admin-port", "--metrics-port"])
def test_a_port_that_is_no_number_is_called_so(tmp_path: Path, option: str) -> None:
    """What is no number is no valid port."""
    done = aiops("up", "--data", str(tmp_path / "data"), option, "abc")
    assert (done.returncode, f"Invalid value for '{option}': 'abc' is not a valid port." in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("ports", "said"),
    [
        (("--port", "20001", "--admin-port", "20001"), "--port and --admin-port are both 20001"),
        (("--port", "8001"), "--port and --admin-port are both 8001"),
        (("--port", "20001", "--metrics-port", "20000"), "--port and --metrics-port, whose worker's is the next,"),
    ],
)
def test_one_port_for_two_parts_is_refused(tmp_path: Path, ports: tuple[str, ...], said: str) -> None:
    """At once, naming both options, and before anything is made."""
    done = aiops("up", "--data", str(tmp_path / "data"), *ports)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert not (tmp_path / "data").exists()


def test_a_taken_port_is_refused_in_the_words_of_up(tmp_path: Path) -> None:
    """Before anything starts, with the option that chooses another port, and without settings left behind."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for option in ("--port", "--admin-port"):
            others = {"--port": "0", "--admin-port": "0", option: port}
            done = aiops("up", "--data", str(tmp_path), *(word for pair in others.items() for word in pair))
            assert done.returncode == 2
            assert f"127.0.0.1:{port}: Address already in use. Choose another port with {option}." in done.stderr
    assert not (tmp_path / "aiops.env").exists()


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    """Data is kept in a folder; a file is refused in these words."""
    (tmp_path / "file").touch()
    done = aiops("up", "--data", str(tmp_path / "file"))
    assert (
        done.stderr == f"aiops up: {tmp_path}/file is no folder but a file, or lies below one: --data names a folder.\n"
    )
    assert done.returncode == 2


def test_a_blocked_name_no_plugin_has_is_told(tmp_path: Path) -> None:
    """By the list of plugins and at the start of everything, of the host and of a worker; those there are, are named."""
    blocked = {"AIOPS_BLOCKED_PLUGINS": "jira, jirra"}
    (tmp_path / "file").touch()
    key = {"AIOPS_KEY_FILE": str(tmp_path / "no-key"), "AIOPS_DATABASE_URL": "postgresql://x@127.0.0.1:1/x"}
    listed = aiops("plugins", "list", "--json", **blocked)
    assert listed.returncode == 0
    assert "jirra" not in listed.stdout
    ups = aiops("up", "--data", str(tmp_path / "file"), **blocked)
    parts = [aiops(part, **blocked, **key, AIOPS_SWEEPER_DATABASE_URL="x") for part in ("serve", "worker")]
    for done in (listed, ups, *parts):
        assert "AIOPS_BLOCKED_PLUGINS names jirra, which no installed plugin is called" in done.stderr
        assert "jira," in done.stderr.partition("installed are: ")[2]
    assert "AIOPS_BLOCKED_PLUGINS" not in aiops("plugins", "list", AIOPS_BLOCKED_PLUGINS="jira").stderr


@pytest.mark.parametrize("content", [None, "AIOPS_PORT=99999\n", "no setting at all\n", "\ufffd"])
def test_help_needs_no_settings(tmp_path: Path, content: str | None) -> None:
    """Help and version are there with a settings file that is missing or wrong; what needs settings names the file."""
    file = tmp_path / "aiops.env"
    if content:
        file.write_text(content)
    for arguments in (("--help",), ("--version",), ("up", "--help"), ("users", "create", "--help")):
        assert aiops(*arguments, AIOPS_ENV_FILE=str(file)).returncode == 0, arguments
    refused = aiops("tenants", "list", AIOPS_ENV_FILE=str(file))
    assert (refused.returncode, str(file) in refused.stderr) == (2, True)
    assert "Traceback" not in refused.stderr
