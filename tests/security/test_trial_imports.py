"""A wheel's modules are imported on trial: what they try, take and raise is told in a sentence."""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path

import pytest
from tests.support.descendants import marked
from tests.support.environments import MEMBERS, build_wheels
from tests.support.plugin_wheels import PLUGIN, wheel
from tests.support.waiting import wait_for

from aiops_host.trust.trial import Limits
from aiops_host.trust.wheels import judge

LIMITS = Limits()
CALM = """
from collections.abc import Iterable
from aiops_core.hookspecs import hookimpl
from aiops_core.specs import ToolSpec
import tempfile
SCRATCH = tempfile.mkdtemp()
NOTHING = open("/dev/null", "w").close()
@hookimpl
def aiops_register_tools() -> Iterable[ToolSpec]:
    import litellm
    return [litellm.nothing]
"""

ACTS = {
    "connects": (
        "X = __import__('socket').socket().connect(('127.0.0.1', {port}))",
        "reaches into the network when it is imported: 127.0.0.1 {port}",
    ),
    "looks up": (
        "X = __import__('socket').create_connection(('vault.example', 80))",
        "reaches into the network when it is imported: vault.example.",
    ),
    "starts a program": (
        "X = __import__('subprocess').run(['/bin/true', 'x'])",
        "starts a process when it is imported: /bin/true x",
    ),
    "starts a shell": ("X = __import__('os').system('true')", "starts a process when it is imported: true"),
    "forks": ("X = __import__('os').fork()", "starts a process when it is imported: os.fork"),
    "becomes another": (
        "X = __import__('os').execv('/bin/true', ['x'])",
        "starts a process when it is imported: /bin/true",
    ),
    "leaves a thread": (
        "X = __import__('threading').Thread(target=__import__('time').sleep, args=(1e6,), name='miner').start()",
        "leaves a thread running when it is imported: miner.",
    ),
    "kills": ("X = __import__('os').kill(__import__('os').getppid(), 0)", "sends a signal when it is imported: "),
    "writes": (
        "X = __import__('pathlib').Path('~/.profile').expanduser().write_text('x')",
        "writes outside its folder when it is imported: {root}/home/.profile",
    ),
    "writes beside": (
        "X = open(__file__, 'a').write('x')",
        "writes outside its folder when it is imported: {root}/wheel/acme/plugin.py",
    ),
    "writes low": (
        "X = __import__('os').open('../low', __import__('os').O_CREAT)",
        "writes outside its folder when it is imported: {root}/low",
    ),
    "removes": (
        "X = __import__('os').remove('{victim}')",
        "writes outside its folder when it is imported: {victim}",
    ),
    "changes the environment": (
        "X = __import__('os').environ.update(PATH='/evil')",
        "changes the environment when it is imported: PATH",
    ),
    "raises": ("X = 1 / 0", "does not import: ZeroDivisionError: division by zero."),
    "exits": ("X = __import__('sys').exit('bye')", "does not import: SystemExit: bye."),
    "ends": ("X = __import__('os')._exit(7)", "ends the process that imports it, with 7."),
    "colours": ("X = __import__('sys').exit('\\033[31m')", "does not import: SystemExit: ?[31m."),
    "misses": (
        "import nowhere_to_be_found",
        "does not import here: ModuleNotFoundError: No module named 'nowhere_to_be_found'; "
        "check it where all it requires is installed.",
    ),
    "fills the disk": ("X = open('big', 'wb').write(bytes(1 << 25))", "does not import: OSError: [Errno 27] File too"),
    "hoards": ("X = bytearray(1 << 33)", "needs more than 2048 MiB of memory to be imported."),
}
"""What passes for a declaration where a module is only read, and what importing it shows."""


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the test's own for what is unpacked."""
    (tmp_path / "trials").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "trials"))
    return tmp_path / "trials"


def judged(folder: Path, source: str, limits: Limits = LIMITS, **others: str) -> list[str]:
    """Judge a wheel whose plugin module is the source."""
    more = {f"acme/{name}.py": text for name, text in others.items()}
    return judge(wheel(folder, {"acme/plugin.py": source, **more}), limits)


@pytest.mark.promise("plugins-gated", figure="20 kinds of imports")
@pytest.mark.attack(31, figure="20 kinds of imports")
@pytest.mark.parametrize("how", ACTS)
def test_what_an_import_does_is_told_and_has_not_happened(tmp_path: Path, apart: Path, how: str) -> None:
    """Whatever a module tries or raises when it is imported is one sentence; nothing of it came to pass."""
    source, expected = ACTS[how]
    victim = tmp_path / "victim"
    victim.touch()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        port = server.getsockname()[1]
        (said,) = judged(tmp_path, PLUGIN + source.format(port=port, victim=victim) + "\n")
        with pytest.raises(BlockingIOError):
            server.accept()
    assert said.startswith("acme.plugin ")
    (root,) = {part.split("/")[0] for part in said.split(f"{apart}/")[1:]} or {""}
    assert expected.format(port=port, victim=victim, root=apart / root) in said
    assert said.isprintable()
    assert victim.exists()
    assert list(apart.iterdir()) == []


@pytest.mark.attack(31)
def test_what_a_helper_does_and_hides_is_told(tmp_path: Path) -> None:
    """A module that is not read, only imported, and catches what stops it, is told of all the same."""
    helper = "import os\ntry:\n    os.system('true')\nexcept BaseException:\n    pass\n"
    (said,) = judged(tmp_path, "from acme import helper\n", helper=helper)
    assert said == "acme.plugin starts a process when it is imported: true."


@pytest.mark.attack(31)
def test_an_import_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    """Whether it sleeps or computes for ever, its time is bounded, and the sentence says which time."""
    (slept,) = judged(tmp_path, "X = __import__('time').sleep(30)\n", Limits(seconds=2))
    assert slept == "acme.plugin was not imported within 2 seconds."
    (spun,) = judged(tmp_path, "X = sum(iter(int, 1))\n", Limits(cpu_seconds=1))
    assert spun == "acme.plugin takes more than 1 seconds of processor time to be imported."


def test_a_plugin_that_declares_passes(tmp_path: Path) -> None:
    """Core, a scratch file in its own folder and heavy parts that are imported later are all right; so is ours."""
    assert judged(tmp_path, CALM) == []
    (tmp_path / "built").mkdir()
    (ours,) = build_wheels(tmp_path / "built", [MEMBERS["aiops-jira"]]).values()
    assert judge(ours.path) == []


@pytest.mark.attack(31)
def test_the_import_sees_nothing_of_ours(tmp_path: Path, apart: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its environment, home and folder are its own; no secret of ours, and no other variable, is in it."""
    monkeypatch.setenv("AIOPS_DATABASE_URL", "postgresql://canary")
    (names,) = judged(tmp_path, "import os\nX = int(str([sorted(os.environ), os.listdir('/proc/self/fd')]))\n")
    assert "['HOME', 'LC_ALL', 'PATH', 'TMPDIR'], ['0', '1', '2', " in names
    assert len(names.rpartition("[")[2].split(",")) == 5  # the standard three, what it reports by, and the listing
    relative = "os.path.relpath(os.environ['HOME']), os.path.relpath(os.environ['TMPDIR'])"
    (places,) = judged(tmp_path, f"import os\nX = {{}}[{relative}, os.getcwd()]\n")
    assert f"KeyError: ('../home', '.', '{apart}/aiops-trial-" in places


@pytest.mark.attack(31)
def test_the_import_has_limits_it_cannot_lift(tmp_path: Path) -> None:
    """Memory, files, processor time, core dumps and processes are bounded, for soft and hard alike."""
    names = ("AS", "FSIZE", "CPU", "CORE", "NPROC")
    asked = ", ".join(f"resource.getrlimit(resource.RLIMIT_{name})" for name in names)
    (said,) = judged(tmp_path, f"import resource\nX = int(str([{asked}]))\n")
    limits = said.partition("[")[2]
    assert limits.startswith(f"({2 << 30}, {2 << 30}), ({16 << 20}, {16 << 20}), (20, 21), (0, 0), (")
    processes = limits.rpartition("(")[2].split(")")[0].split(", ")
    assert processes[0] == processes[1]
    tasks = int(Path("/proc/loadavg").read_text().split()[3].partition("/")[2])
    assert 0 < int(processes[0]) < tasks + 1000


@pytest.mark.attack(31)
def test_whatever_an_import_left_running_is_ended(tmp_path: Path, apart: Path) -> None:
    """A process that was started past the watch, by the C library, does not outlive the trial."""
    source = "import ctypes\nimport time\nCHILD = ctypes.CDLL(None).fork()\nX = time.sleep(0 if CHILD else 1e6)\n"
    assert judged(tmp_path, source) == []
    wait_for(lambda: not marked(str(apart)), "what it left to be gone")


def test_what_writes_into_the_report_is_told(tmp_path: Path) -> None:
    """Junk in place of the report is named, and not repeated."""
    source = (
        "import os\n"
        "PIPE = max(int(n) for n in os.listdir('/proc/self/fd') if os.path.exists(f'/proc/self/fd/{n}'))\n"
        "X = os.write(PIPE, b'junk\\033[2J\\n')\n"
    )
    (said,) = judged(tmp_path, source)
    assert said == "acme.plugin does not import: it wrote into what its import was to be reported by."


def test_files_that_stand_in_each_others_way_are_refused(tmp_path: Path) -> None:
    """A wheel that cannot be unpacked is refused without an error of ours."""
    assert judge(wheel(tmp_path, {"acme/x": "", "acme/x/y.py": ""})) == ["It cannot be unpacked: File exists."]
