"""The benchmarks at their smallest: they run to the end, count right and leave nothing. No figure is judged."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.system import require_program

ROOT = Path(__file__).parents[2]
SECONDS = 300


def run(tmp_path: Path, name: str, *arguments: str) -> dict[str, Any]:
    """Run a benchmark without the peer and return its last line."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / name), *arguments],
        env={**{k: v for k, v in os.environ.items() if not k.startswith("AIOPS_")}, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_the_intake_bench_counts_what_it_committed(tmp_path: Path) -> None:
    """Every answered webhook is a row, and rows exceed answers by no more than the open connections."""
    require_program("wrk")
    found = run(tmp_path, "intake.py", "--rounds", "1", "--seconds", "1", "--warm", "1")

    assert 0 <= found["rows_over_answers"] <= found["connections"] == 32
    assert found["ours"] > 0
    assert (found["peer"], found["ratio"]) == (None, None)
    assert list(tmp_path.glob("aiops-bench-*")) == []


def test_the_pipeline_bench_ends_with_one_note_per_ticket(tmp_path: Path) -> None:
    """A handful of webhooks becomes as many notes at a slow model, without latency, and at a steady rate."""
    sizes = ["--slow-n", "6", "--fast-n", "6", "--latency-n", "5", "--warm", "3", "--slots", "8"]
    found = run(tmp_path, "pipeline.py", *sizes)

    assert [found[part]["n"] for part in ("slow", "fast", "latency")] == [6, 6, 5]
    assert set(found["worker_rss_mb"]) == {"9", "8"}
    assert found["settings"] == {"AIOPS_SLOTS": "8"}
    assert list(tmp_path.glob("aiops-bench-*")) == []


def test_the_mutation_run_kills_survives_and_leaves_nothing(tmp_path: Path) -> None:
    """A change some test notices is killed, an explained one stays, and neither the module nor a copy of it is left."""
    module = ROOT / "aiops_core" / "src" / "aiops_core" / "signatures.py"
    before, report = module.read_bytes(), tmp_path / "report"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks.mutation", "signing"),
            *("--only", r"MAX_SIGNATURES = 9|value else b'~'", "--report", str(report)),
        ],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "signing": {
            "mutants": 2,
            "killed": 1,
            "survived": 0,
            "equivalent": 1,
            "score": 100.0,
            "timeouts": 0,
            "not_equivalent": 0,
        }
    }
    assert [json.loads(line)[-1] for line in report.read_text().splitlines()] == ["killed", "equivalent"]
    assert module.read_bytes() == before
    assert list(tmp_path.iterdir()) == [report]
