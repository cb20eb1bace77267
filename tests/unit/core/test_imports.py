"""What importing the contract loads."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

PROBE = """
import json, sys, sysconfig
from pathlib import Path
before = set(sys.modules)
{statement}
site = {{str(Path(sysconfig.get_paths()[kind]).resolve()) for kind in ("purelib", "platlib")}}
loaded = set()
for name in set(sys.modules) - before:
    file = getattr(sys.modules[name], "__file__", None)
    if file and any(str(Path(file).resolve()).startswith(folder) for folder in site):
        loaded.add(name.partition(".")[0])
own = [name for name in sys.modules if name.startswith("aiops_core")]
print(json.dumps([sorted(loaded), own]))
"""


def loaded_by(statement: str) -> tuple[set[str], set[str]]:
    """Return the third-party packages and the modules of aiops_core that a fresh interpreter loads."""
    command = [sys.executable, "-I", "-c", PROBE.format(statement=statement)]
    result = subprocess.run(command, capture_output=True, check=True, text=True, timeout=120)
    packages, own = json.loads(result.stdout)
    return {p for p in packages if not p.startswith("__editable__")}, set(own)


def test_contract_loads_pluggy_and_msgspec_only() -> None:
    """Importing aiops_core loads no third-party package beyond pluggy, msgspec and what these load themselves."""
    packages, own = loaded_by("import aiops_core")
    assert {"pluggy", "msgspec"} <= packages
    assert packages == loaded_by("import pluggy, msgspec")[0]
    assert "aiops_core.plugins" in own
    assert not [name for name in own if name.startswith("aiops_core.testing")]


@pytest.mark.parametrize("module", ["fakes", "ticketing", "tools", "llm"])
def test_testing_adds_pytest_only(module: str) -> None:
    """The contract classes need pytest besides, nothing else."""
    packages, _ = loaded_by(f"import aiops_core.testing.{module}")
    assert packages == loaded_by("import pluggy, msgspec, pytest")[0]
