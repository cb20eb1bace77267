"""``aiops plugins list`` with a plugin that fails."""

import os
import subprocess
import sys
from pathlib import Path


def test_a_failed_plugin_is_told_once_before_the_table(tmp_path: Path) -> None:
    """Its failure is one line on standard error and one below the table, though the plugins are loaded twice."""
    info = tmp_path / "acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[aiops]\nacme = acme_broken\n")
    (tmp_path / "acme_broken.py").write_text("raise OSError('no driver')\n")
    command = [sys.executable, "-m", "aiops_host.cli.main", "plugins", "list"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}

    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)

    assert done.returncode == 1
    assert done.stderr == "plugin acme (acme 1.0) failed to load: OSError: no driver\n"
    assert done.stdout.endswith("\nacme failed: OSError: no driver\n")
