"""What the benchmarks compute and how they read other programs' output."""

import json
import sys
from pathlib import Path

import pytest
from benchmarks import load, peer

BODIES = 20


@pytest.mark.parametrize(("text", "wanted"), [("850.00us", 0.85), ("12.34ms", 12.34), ("1.20s", 1200.0)])
def test_wrks_durations(text: str, wanted: float) -> None:
    """Durations in wrk's units become milliseconds."""
    assert load.milliseconds(text) == wanted


def test_what_is_no_duration_is_refused() -> None:
    """Another word of wrk's output is not taken for a duration."""
    with pytest.raises(ValueError, match="Req/Sec"):
        load.milliseconds("Req/Sec")


def test_every_body_of_a_script_is_its_own(tmp_path: Path) -> None:
    """A script's bodies are all different, each with the signature of its own bytes."""
    script = load.script(tmp_path / "x.lua", "s3cret", [f"OPS-{n}" for n in range(BODIES)])
    lines = script.with_suffix(".txt").read_text().splitlines()
    signed = [line.partition(" ")[::2] for line in lines]

    assert len({body for _, body in signed}) == BODIES
    assert all(load.sign(body.encode(), "s3cret") == signature for signature, body in signed)
    assert {json.loads(body)["issue"]["key"] for _, body in signed} == {f"OPS-{n}" for n in range(BODIES)}


def test_both_sides_load_the_same_history(tmp_path: Path) -> None:
    """The history is the file the peer's bench reads, or as many stand-ins as it uses without one."""
    folder = tmp_path / "peers" / "stack"
    folder.mkdir(parents=True)
    assert peer.past_tickets(folder) == [peer.STAND_IN_TICKET] * peer.STAND_IN_TICKETS

    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "tickets_dev.csv").write_text("description,category\nprinter jam,Hardware\n")
    assert peer.past_tickets(folder) == ["printer jam"]


def test_the_peers_folder_is_left_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The peer's packages go to the cache, its bench gets the shared servers' addresses, and its folder no file."""
    folder, cache = tmp_path / "stack", tmp_path / "cache"
    folder.mkdir()
    (folder / "requirements.txt").write_text("")
    (folder / "helper.py").write_text("ANSWER = 42\n")
    (folder / "bench.py").write_text(
        "import json, os, helper\nprint('noise')\nprint(json.dumps({'n': helper.ANSWER, 'dsn': os.environ['PG_DSN']}))\n"
    )
    before = sorted(folder.iterdir())
    monkeypatch.setenv("AIOPS_BENCH_CACHE", str(cache))
    prepared = peer.Peer.prepare(folder)

    assert prepared.bench({"PG_DSN": "postgresql://x"}) == {"n": 42, "dsn": "postgresql://x"}
    assert sorted(folder.iterdir()) == before
    assert cache in prepared.python.parents
    assert peer.Peer.prepare(folder) == prepared


def test_a_peer_that_fails_says_why(tmp_path: Path) -> None:
    """The peer's own words stand in the error."""
    (tmp_path / "bench.py").write_text("raise SystemExit('no luck')\n")
    with pytest.raises(RuntimeError, match="no luck"):
        peer.Peer(tmp_path, Path(sys.executable)).bench({})
