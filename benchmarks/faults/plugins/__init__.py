"""Plugins that misbehave, installed into the bench's own parts only: a ``dist-info`` on their path."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

GOOD = ("good-one", "good-two")
BAD = ("raises-at-import", "raises-in-hook", "hangs", "wrong-type")


def install(folder: Path, names: Iterable[str]) -> Path:
    """Make the named plugins look installed to whatever has ``folder`` on its path, and return it."""
    for name in names:
        info = folder / f"bench_{name.replace('-', '_')}-1.dist-info"
        info.mkdir(parents=True, exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: bench-{name}\nVersion: 1\n")
        module = f"benchmarks.faults.plugins.{name.replace('-', '_')}"
        (info / "entry_points.txt").write_text(f"[aiops]\n{name} = {module}\n")
    return folder
