"""How many small changes to the guarding modules some test notices, and which none does.

`python -m benchmarks.mutation` tries every change `mutants.py` makes to the modules of `mutation.toml`, one area after the
other, and ends in one line of JSON. A change is killed if its tests fail, cannot start or do not end in time.

Neither library does here: mutmut 3.8 leaves alone what is decorated (every session of a tenant is), constants of modules, SQL
and regular expressions, and cosmic-ray 8.7 changes the file in the work tree and starts a process for each change, which
takes longer than the tests.

Each change is made in a copy of the packages that stands first on the path, and tried in a fork of a process that has the
libraries loaded and PostgreSQL started; the work tree is never touched.
"""

from __future__ import annotations

import argparse
import compileall
import contextlib
import importlib
import importlib.util
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import time
import tomllib
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from benchmarks.mutants import Mutant, mutants

Part = dict[str, Any]
Chosen = Callable[[Mutant], bool]
ROOT = Path(__file__).parent.parent
OURS = ("aiops_", "tests", "benchmarks")
NAME = ("module", "scope", "before", "after")
SURVIVED, FAILED, TIMED_OUT = 0, 1, -1
KILLERS = 3
PYTEST = ("-x", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", "--hypothesis-profile=mutation")
NOT_REWRITTEN = "ignore:Module already imported:pytest.PytestAssertRewriteWarning"


class Shadow:
    """Copies of the packages that hold an area's modules, first on the path of this process and of all it starts."""

    def __init__(self, folder: Path, modules: Sequence[str]) -> None:
        self._folder = folder
        for package in {Path(*Path(module).parts[: Path(module).parts.index("src") + 2]) for module in modules}:
            shutil.copytree(ROOT / package, folder / package.name, ignore=shutil.ignore_patterns("__pycache__"))
        compileall.compile_dir(folder, quiet=2)
        sys.path.insert(0, str(folder))
        os.environ.update(PYTHONPATH=str(folder), PYTHONDONTWRITEBYTECODE="1", LITELLM_LOCAL_MODEL_COST_MAP="True")
        sys.dont_write_bytecode = True

    @contextlib.contextmanager
    def changed(self, mutant: Mutant) -> Iterator[None]:
        """Have the module read so, without the bytecode of what it was."""
        parts = Path(mutant.module).parts
        file = self._folder.joinpath(*parts[parts.index("src") + 1 :])
        whole = file.read_text()
        Path(importlib.util.cache_from_source(str(file))).unlink(missing_ok=True)
        file.write_text(mutant.source)
        try:
            yield
        finally:
            file.write_text(whole)


class Forks:
    """Runs of pytest, each in a fork of this process. ``killers`` are the tests that failed last."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server: Any = None
        self.killers: deque[str] = deque(maxlen=KILLERS)

    def prepare(self, tests: Sequence[str]) -> float:
        """Run the tests on what is there, load the libraries they load, and return how many seconds they take then.

        Raises:
            SystemExit: They fail without any change.
        """
        if any("unit/" not in test for test in tests) and self._server is None:
            self._server = importlib.import_module("aiops_host.embedded").EmbeddedPostgres.start(
                fsync=False, max_connections=300
            )
            _forget_ours()
        for _ in range(2):
            start = time.monotonic()
            if self.run(tests, 1200) != SURVIVED:
                sys.exit(f"The tests fail as they are:\n{(self._folder / 'log').read_text()[-4000:]}")
            for name in (self._folder / "modules").read_text().split():
                with contextlib.suppress(Exception):  # isolation: what does not load alone, the tests load themselves
                    importlib.import_module(name)
        return time.monotonic() - start

    def run(self, tests: Sequence[str], seconds: float) -> int:
        """Return pytest's exit code, or that it did not end in time."""
        (killer := self._folder / "killer").unlink(missing_ok=True)
        child = os.fork()
        if not child:
            self._be_pytest(tests)
        end = time.monotonic() + seconds
        try:
            while not (ended := os.waitpid(child, os.WNOHANG))[0] and time.monotonic() < end:
                time.sleep(0.02)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)  # what did not end, or was left running
        if not ended[0]:
            os.waitpid(child, 0)
            return TIMED_OUT
        if killer.exists():
            name = killer.read_text()
            self.killers = deque([name, *(other for other in self.killers if other != name)], KILLERS)
        return os.waitstatus_to_exitcode(ended[1]) & 0xFF

    def _be_pytest(self, tests: Sequence[str]) -> None:
        code = 1
        try:
            os.setsid()
            log = os.open(self._folder / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(log, 1), os.dup2(log, 2)
            code = self._pytest(tests)
            # In the order of their first import, which asyncio's halves need.
            names = [name for name in sys.modules if not name.startswith((*OURS, "__", "conftest", "pytest_"))]
            (self._folder / "modules").write_text("\n".join(names))
        finally:
            os._exit(int(code))  # nothing of the parent's is closed

    def _pytest(self, tests: Sequence[str]) -> int:
        import hypothesis  # noqa: PLC0415 - in the fork
        import pytest  # noqa: PLC0415

        phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
        checks = [hypothesis.HealthCheck.too_slow]
        hypothesis.settings.register_profile(
            "mutation", deadline=None, derandomize=True, database=None, phases=phases, suppress_health_check=checks
        )
        if self._server is not None:
            server = self._server
            type(server).__exit__ = lambda *_: None  # it outlives the fork
            importlib.import_module("aiops_host.embedded").EmbeddedPostgres.start = staticmethod(lambda **_: server)
        arguments = [*PYTEST, "-W", NOT_REWRITTEN, f"--basetemp={self._folder / 'tmp'}", *tests]
        return pytest.main(arguments, plugins=[self])

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Note which test failed."""
        if report.failed:
            (self._folder / "killer").write_text(report.nodeid)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.stop()


def _forget_ours() -> None:
    for name in [name for name in sys.modules if name.startswith(OURS) and name.split(".")[0] != "benchmarks"]:
        del sys.modules[name]


def outcomes(part: Part, equivalent: set[tuple[str, ...]], chosen: Chosen, report: Path | None) -> Iterator[str]:
    """Try every chosen change of the part's modules; yield what became of each."""
    tried = [mutant for m in part["modules"] for mutant in mutants(m, (ROOT / m).read_text()) if chosen(mutant)]
    if not tried:
        return
    with tempfile.TemporaryDirectory(prefix="aiops-mutation-") as name, Forks(Path(name)) as forks:
        shadow = Shadow(Path(name), part["modules"])
        stages = [(tests, 20 + 5 * forks.prepare(tests)) for tests in (part["first"], part.get("then")) if tests]
        for mutant in tried:
            with shadow.changed(mutant):
                outcome = _tried(forks, stages)
            if mutant.name in equivalent:
                outcome = "equivalent" if outcome == "survived" else "not equivalent"
            _tell(mutant, outcome, report)
            yield outcome


def figures(found: Counter[str]) -> dict[str, float]:
    """Return the figures of one area; what did not end in time or was wrongly explained is killed, too."""
    survived, equal = found["survived"], found["equivalent"]
    killed = found.total() - survived - equal
    return {
        "mutants": found.total(),
        "killed": killed,
        "survived": survived,
        "equivalent": equal,
        "score": round(100 * killed / (killed + survived), 1) if killed + survived else 100.0,
        "timeouts": found["timeout"],
        "not_equivalent": found["not equivalent"],
    }


def _tried(forks: Forks, stages: Sequence[tuple[Sequence[str], float]]) -> str:
    """Ask the tests that failed last, which often notice the next change, too; then all of them."""
    if forks.killers and forks.run(tuple(forks.killers), stages[-1][1]) == FAILED:
        return "killed"
    for tests, seconds in stages:
        code = forks.run(tests, seconds)
        if code != SURVIVED:
            return "timeout" if code == TIMED_OUT else "killed"
    return "survived"


def _tell(mutant: Mutant, outcome: str, report: Path | None) -> None:
    if outcome not in ("killed", "equivalent"):
        place = f"{mutant.module}:{mutant.line} {mutant.scope}"
        print(f"{outcome}: {place}\n    {mutant.before}\n    {mutant.after}", file=sys.stderr, flush=True)
    if report:
        with report.open("a") as file:
            file.write(json.dumps([*mutant.name, outcome]) + "\n")


def main() -> None:
    """Read the arguments, measure, print the figures."""
    plan = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())
    areas = sorted({part["area"] for part in plan["part"]})
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("areas", nargs="*", choices=[[], *areas], help="all by default")
    parser.add_argument("--only", default="", help="a regular expression the place or text of a change has to hold")
    parser.add_argument("--report", type=Path, help="a file that gets a line of JSON for each change")
    parser.add_argument("--again", type=Path, help="such a file: try only what survived then")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that nothing is left behind
    equivalent: set[tuple[str, ...]] = {tuple(one[part] for part in NAME) for one in plan["equivalent"]}
    seen = [json.loads(line) for line in options.again.read_text().splitlines()] if options.again else []
    again = {tuple(name) for *name, outcome in seen if outcome in ("survived", "timeout")}

    def chosen(mutant: Mutant) -> bool:
        return (not seen or mutant.name in again) and bool(re.search(options.only, " ".join(mutant.name)))

    parts = [part for part in plan["part"] if part["area"] in (options.areas or areas)]
    modules = [module for part in parts for module in part["modules"]]
    known = {mutant.name for module in modules for mutant in mutants(module, (ROOT / module).read_text())}
    if stale := sorted(name for name in equivalent - known if name[0] in modules):
        sys.exit(f"mutation.toml explains changes that are none any more: {stale}")
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for part in parts:
        found[part["area"]].update(outcomes(part, equivalent, chosen, options.report))
    result = {area: figures(counted) for area, counted in found.items()}
    print(json.dumps(result))
    sys.exit(any(one["survived"] or one["not_equivalent"] for one in result.values()))


if __name__ == "__main__":
    main()
