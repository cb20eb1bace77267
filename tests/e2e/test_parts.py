"""How ``aiops up`` keeps a part running, shown with a part that does nothing."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.descendants import descendants
from tests.support.waiting import wait_for

from aiops_host.cli.parts import MOST_ENDS, Part, PartFailed

PLUGIN = """
from aiops_core import CommandSpec, hookimpl

@hookimpl
def aiops_register_commands():
    return [CommandSpec(name="idle", help="Do nothing", target="idle_part:main")]

def main(argv):
    import sys
    if "early" in argv:
        return 1
    print('{"idle": true}', flush=True)
    if "broken" in argv:
        print("the part is broken", file=sys.stderr)
        return 1
    sys.stdin.read()
    import signal
    signal.pause()
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment in which a plugin with the command ``aiops idle`` is installed."""
    info = tmp_path / "idle_part-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: idle-part\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[aiops]\nidle = idle_part\n")
    (tmp_path / "idle_part.py").write_text(PLUGIN)
    return {"PYTHONPATH": str(tmp_path)}


@pytest.fixture
def idle(environment: dict[str, str], tmp_path: Path) -> Iterator[Part]:
    """A part that runs."""
    part = Part(name="idle", arguments=(), environment=environment, log=tmp_path / "idle.log")
    part.start()
    try:
        part.await_ready()
        yield part
    finally:
        part.stop()


def ended(part: Part) -> None:
    """Wait until the part is seen to have ended."""
    wait_for(part.has_ended, "the end of the part")


def test_a_killed_part_is_started_however_often(idle: Part) -> None:
    """What something else kills is no fault of the part: it comes back more often than one that ends by itself may."""
    for _ in range(MOST_ENDS + 1):
        before = idle.pid
        os.kill(before, signal.SIGKILL)
        ended(idle)
        idle.restart()
        assert idle.pid != before
        assert not idle.has_ended()


def test_a_part_killed_while_it_starts_is_started_again(idle: Part) -> None:
    """A kill in the moment of starting is as little a reason to give up as one later."""
    os.kill(idle.pid, signal.SIGKILL)
    ended(idle)
    idle.arguments = ("early",)
    idle.restart()
    ended(idle)
    idle.arguments = ()
    idle.restart()
    assert idle.said == {"idle": True}
    assert not idle.has_ended()


def test_a_part_that_keeps_ending_is_given_up(environment: dict[str, str], tmp_path: Path) -> None:
    """One that ends by itself again and again is not started for ever; the error shows what it said last."""
    part = Part(name="idle", arguments=("broken",), environment=environment, log=tmp_path / "idle.log")
    part.start()
    part.await_ready()
    for _ in range(MOST_ENDS - 1):
        ended(part)
        part.restart()
    ended(part)
    with pytest.raises(PartFailed, match=r"ended 5 times within a minute.*the part is broken"):
        part.restart()
    part.stop()
    assert [process for process in descendants(os.getpid()) if "cli.main idle" in process.command] == []
