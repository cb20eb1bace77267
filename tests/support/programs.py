"""The ``aiops`` program as a real process with all it starts, and the proof that nothing of it is left."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.support.descendants import Process, descendants, marked
from tests.support.waiting import tails, wait_for

GONE_SECONDS = 20.0
END_SECONDS = 60.0
MARK = "TEST_PROGRAM"


def clean_environment() -> dict[str, str]:
    """Return the environment without settings of some other installation."""
    return {name: value for name, value in os.environ.items() if not name.startswith("AIOPS_")}


def program_of(python: str) -> str:
    """Return the ``aiops`` program of an environment, by its interpreter."""
    return str(Path(python).with_name("aiops"))


class Program:
    """``aiops <arguments>``, running. ``temporary`` is where it and its children make their temporary folders."""

    def __init__(
        self,
        *arguments: str,
        folder: Path,
        environment: Mapping[str, str] | None = None,
        python: str = sys.executable,
    ) -> None:
        """Start it; its output goes to files in ``folder``."""
        # Short, and open to the account that embedded servers run as: their sockets live there.
        self.temporary = Path(tempfile.mkdtemp(prefix="aiops-e2e-"))
        self.temporary.chmod(0o711)
        self.out, self.err = folder / "out.log", folder / "err.log"
        self._mark = uuid4().hex
        given = {MARK: self._mark, "TMPDIR": str(self.temporary), **(environment or {})}
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                [program_of(python), *arguments],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=err,
                env={**clean_environment(), **given},
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def logs(self) -> Iterable[Path]:
        """Return its output and the logs below its temporary folder."""
        return [self.out, self.err, *self.temporary.glob("*/log/*.log")]

    def family(self) -> set[Process]:
        """Return all that lives because of it, itself included."""
        return descendants(self.pid) | marked(self._mark)

    def child(self, command: str) -> Process:
        """Return its one descendant whose command line matches the regular expression, shells that keep one apart."""
        found = [
            p for p in descendants(self.pid) if re.search(command, p.command) and not p.command.startswith("/bin/sh")
        ]
        assert len(found) == 1, f"{command}: {found}{tails(self.logs())}"
        return found[0]

    def await_output(self, text: str) -> None:
        """Wait until it has printed ``text``."""

        def printed() -> bool:
            self.assert_running()
            return text in self.out.read_text() + self.err.read_text()

        wait_for(printed, f"the output {text!r}", logs=self.logs)

    def assert_running(self) -> None:
        """Fail when it has ended."""
        code = self.process.poll()
        assert code is None, f"it ended with exit code {code}{tails(self.logs())}"

    def wait(self, seconds: float) -> int:
        """Wait for its end and return its exit code."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it did not end within {seconds:g} s{tails(self.logs())}") from None

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, see that nothing of it lives on, and return the exit code."""
        family = self.family()
        self.process.send_signal(how)
        code = self.wait(END_SECONDS)
        self.assert_gone(family)
        return code

    def assert_gone(self, family: Iterable[Process] = ()) -> None:
        """Fail when one of the processes, or any other it started, still lives after a while."""

        def none_lives() -> bool:
            return not self._alive(family)

        try:
            wait_for(none_lives, "the end of all its processes", seconds=GONE_SECONDS)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self._alive(family)}{tails(self.logs())}") from None

    def clean_up(self, family: Iterable[Process] = ()) -> None:
        """Kill what a failed test left and remove the temporary folder; harmless when all is well."""
        for process in self.family() | set(family):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        self.process.wait()
        if self.process.stdin:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()
        shutil.rmtree(self.temporary, ignore_errors=True)

    def _alive(self, family: Iterable[Process]) -> list[Process]:
        return [process for process in {*family, *marked(self._mark)} if process.is_alive()]


def run_aiops(*arguments: str, env_file: Path, stdin: str = "", python: str = sys.executable) -> Any:
    """Run a command of an installation to its end; return what it printed, decoded where ``--json`` was asked for.

    Raises:
        AssertionError: Its exit code is not 0; the message is what it said.
    """
    done = subprocess.run(
        [program_of(python), *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=END_SECONDS,
        env={**clean_environment(), "AIOPS_ENV_FILE": str(env_file)},
    )
    assert done.returncode == 0, f"aiops {' '.join(arguments)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return json.loads(done.stdout) if "--json" in arguments else done.stdout
