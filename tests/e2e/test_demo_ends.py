"""However a demo ends, none of its processes outlives it."""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.demo import Demo
from tests.support.llm_stub import Reply, note, says, sends
from tests.support.threads import llm_stub_in_thread
from tests.support.waiting import wait_for

REMARK = "The model of the test says to look at the blue cable"
PATIENCE = 40.0
"""Less than a worker of a real installation lets a run go on."""


@contextmanager
def a_demo(folder: Path, *arguments: str) -> Iterator[Demo]:
    """Run a demo for the length of the block."""
    demo = Demo(*arguments, folder=folder)
    try:
        yield demo
    finally:
        demo.close()
        demo.clean_up()


def test_ctrl_c_ends_a_demo_with_a_model(tmp_path: Path) -> None:
    """A model of one's own says its words in every note; Ctrl-C while it thinks ends all at once and leaves nothing."""
    answer = says(note(("next_steps", [(REMARK, [])])))
    with llm_stub_in_thread(answer) as stub, a_demo(tmp_path, "--llm-url", stub.url) as demo:
        demo.await_ready()
        notes = [entry["text"] for desk in demo.desks.values() for entry in desk.posted()]
        assert len(notes) == 12
        assert [text for text in notes if REMARK not in text] == []
        asked, stub.answer = len(stub.asked), sends(Reply(kind="hang"))
        desk = demo.desks["lindner"]
        desk.deliver(desk.ticket("The model thinks and thinks"))
        wait_for(lambda: len(stub.asked) > asked, "a question to the model", logs=demo.logs)
        family = demo.family()
        os.killpg(demo.pid, signal.SIGINT)  # as a terminal does
        assert demo.wait(PATIENCE) == 0
        assert demo.out.read_text().endswith("\nStopped.\n")
        assert "Traceback" not in demo.err.read_text()
        demo.assert_gone(family)
        assert list(demo.temporary.iterdir()) == []


def test_sigterm_while_it_starts(tmp_path: Path) -> None:
    """A demo that is stopped before all of it runs ends as cleanly as one that is complete."""
    with a_demo(tmp_path) as demo:
        demo.await_output("simulator at")
        demo.end(signal.SIGTERM)
        assert "Traceback" not in demo.err.read_text()
        assert list(demo.temporary.iterdir()) == []


def test_sigkill_while_it_works(tmp_path: Path) -> None:
    """Even a demo that cannot clean up takes its servers, parts and simulators with it."""
    with a_demo(tmp_path) as demo:
        demo.await_output("tickets opened")
        for part in (
            "cli.main serve$",
            "cli.main worker$",
            "bin/postgres ",
            "simulators jira",
            "simulators servicedesk",
        ):
            assert demo.child(part).is_alive()
        demo.end(signal.SIGKILL)


def test_an_installation_that_dies_ends_the_demo(tmp_path: Path) -> None:
    """A demo whose installation is gone says so, with the end of its log, and ends with 1 and nothing left."""
    with a_demo(tmp_path) as demo:
        demo.await_ready()
        family = demo.family()
        os.kill(demo.child("cli.main up ").pid, signal.SIGKILL)
        assert demo.wait(PATIENCE) == 1
        demo.assert_gone(family)
        assert re.search(r"^aiops demo: aiops up ended with exit code -9. The end of .*up.log: ", demo.err.read_text())


def test_a_folder_it_cannot_have_is_refused(tmp_path: Path) -> None:
    """One that is not empty, or cannot be made, ends the demo with 2 and a sentence before anything starts."""
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_text("")
    for folder, reason in (
        ("kept", "name another with --data, or empty this one. If it holds an installation, `aiops up --data"),
        ("kept/file", "is no folder but a file"),
        ("kept/file/below", "or lies below one: --data names a folder"),
    ):
        with a_demo(tmp_path, "--data", str(tmp_path / folder)) as demo:
            assert demo.wait(PATIENCE) == 2
            said = demo.err.read_text()
        assert said.startswith("aiops demo: ")
        assert reason in said
        assert len(said.splitlines()) == 1
