"""Failpoints do nothing in the product, whatever its environment holds."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import aiops_host
from aiops_host import failpoints

SOURCE = Path(aiops_host.__file__).parent


def test_nothing_arms_a_failpoint() -> None:
    """The function has no body but its docstring, so no setting or variable can give it one."""
    tree = ast.parse((SOURCE / "failpoints.py").read_text())
    (function,) = [node for node in tree.body if isinstance(node, ast.FunctionDef)]

    assert function.name == failpoints.reached.__name__
    assert [type(statement) for statement in function.body] == [ast.Expr]
    assert len(tree.body) == 3


def test_the_bench_s_variables_mean_nothing_to_the_product() -> None:
    """A process of the product started with the bench's variables reaches a failpoint and lives."""
    code = "from aiops_host import failpoints; failpoints.reached('delivery-claimed'); print('alive')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "BENCH_KILL": "delivery-claimed:1", "BENCH_WITHOUT": "check"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == "alive"


def test_the_product_never_imports_the_bench() -> None:
    """No module of the product names the benchmarks."""
    importing = [file.name for file in SOURCE.rglob("*.py") if "benchmarks" in file.read_text()]

    assert importing == []
