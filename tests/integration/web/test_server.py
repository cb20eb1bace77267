"""The host as a real process: slow senders, large heads, an orderly end, and refused starts."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import httpx
import pytest
from tests.support.databases import DatabaseUrls, TwoTenants, execute_as_superuser
from tests.support.postbox import sign, webhook_body

from aiops_core import PluginManager
from aiops_host.data.session import Database
from aiops_host.trust.connections import CreatedConnection, NewConnection, create_connection
from aiops_host.trust.vault import Vault, create_key_file

ROOT = Path(__file__).parents[3]
PATIENCE = 60.0
LIVE = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"


@dataclass
class Host:
    """A running host."""

    process: subprocess.Popen[str]
    port: int
    said: dict[str, object]
    log: Path

    def connect(self) -> socket.socket:
        """Open a connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"


Start = Callable[..., Host]


def environment(database: DatabaseUrls, key: Path, **more: str) -> dict[str, str]:
    """Return what the host's process is told."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("AIOPS_")}
    return {
        **inherited,
        "PYTHONPATH": os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), str(ROOT)))),
        "AIOPS_DATABASE_URL": database.app,
        "AIOPS_INTAKE_DATABASE_URL": database.intake,
        "AIOPS_KEY_FILE": str(key),
        "AIOPS_PORT": "0",
        "AIOPS_POOL_SIZE": "4",
        "TEST_READ_SECONDS": "30",
        **more,
    }


def spawn(env: dict[str, str], log: Path) -> subprocess.Popen[str]:
    """Start the process; its log goes to the file."""
    with log.open("w") as errors:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.support.host_process"],
            env=env,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A key file."""
    create_key_file(tmp_path / "key")
    return tmp_path / "key"


@pytest.fixture
def start(database: DatabaseUrls, key: Path, tmp_path: Path) -> Iterator[Start]:
    """Start hosts; whatever still runs at the end is killed."""
    with ExitStack() as stack:

        def begin(**more: str) -> Host:
            log = tmp_path / "host.log"
            process = stack.enter_context(spawn(environment(database, key, **more), log))
            stack.callback(process.kill)
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, log.read_text()
            said = json.loads(line)
            return Host(process, said["port"], said, log)

        yield begin


@pytest.fixture
async def connection(two_tenants: TwoTenants, opened: Database, key: Path, plugins: PluginManager) -> CreatedConnection:
    """A connection of tenant a, sealed with the process's key."""
    new = NewConnection(name="front door", ticketing_tool="postbox")
    return await create_connection(opened, Vault.load(key), plugins.registry, two_tenants.a.tenant_id, new)


def until_closed(connection: socket.socket) -> bytes:
    """Return what arrives until the other side closes."""
    received = b""
    try:
        while piece := connection.recv(65536):
            received += piece
    except ConnectionResetError:
        pass
    return received


def answered(connection: socket.socket) -> bytes:
    """Return the next answer, whose body is an object of JSON, or what came before the other side closed."""
    received = b""
    while not received.endswith(b"}") and (piece := connection.recv(65536)):
        received += piece
    return received


STALLS = {
    "nothing": b"",
    "half a line": b"POST /webhooks/postbox/x HTT",
    "half a head": b"POST /webhooks/postbox/x HTTP/1.1\r\nHost: x\r\nX-Half",
    "half a body": b"POST /webhooks/postbox/x HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345",
    "half the chunks": b"POST /webhooks/postbox/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n",
}


@pytest.mark.attack(16)
@pytest.mark.promise("slow-senders")
def test_a_sender_that_stalls_is_closed(start: Start) -> None:
    """A connection whose request does not arrive within the deadline is closed; one that stalls in a body hears why."""
    host = start(TEST_READ_SECONDS="0.3")
    for name, begun in STALLS.items():
        with host.connect() as slow:
            slow.sendall(begun)
            received = until_closed(slow)
            assert received.startswith(b"HTTP/1.1 408 " if b"\r\n\r\n" in begun else b""), name
            assert b" 202 " not in received, name
    assert httpx.get(f"{host.url}/health/live").status_code == 200


def test_a_line_between_two_requests_does_not_keep_a_connection(start: Start) -> None:
    """An empty line after an answered request, which begins no new one, does not hold the connection open."""
    host = start(TEST_READ_SECONDS="0.3")
    with host.connect() as idle:
        idle.sendall(LIVE)
        assert answered(idle)
        idle.sendall(b"\r\n")
        assert until_closed(idle) == b""


@contextmanager
def held_up(host: Host, seconds: float) -> Iterator[None]:
    """Let the host's process run again only that long after the block, as on a machine that was paused."""
    host.process.send_signal(signal.SIGSTOP)
    try:
        yield
        time.sleep(seconds)
    finally:
        host.process.send_signal(signal.SIGCONT)


def test_what_arrived_while_the_host_did_not_run_is_answered(start: Start) -> None:
    """A request that is here when the host runs again has its answer, although every deadline passed meanwhile."""
    host = start(TEST_READ_SECONDS="1", TEST_KEEP_ALIVE_SECONDS="1")
    assert httpx.get(f"{host.url}/health/live").status_code == 200
    with host.connect() as fresh, host.connect() as kept:
        kept.sendall(LIVE)
        assert answered(kept).startswith(b"HTTP/1.1 200 ")
        with held_up(host, 1.5):
            for connection in (fresh, kept):
                connection.sendall(LIVE)
        for connection in (fresh, kept):
            assert answered(connection).startswith(b"HTTP/1.1 200 ")
            assert until_closed(connection) == b""  # the deadlines hold as ever


async def test_a_request_behind_another_has_its_time_when_it_is_its_turn(
    start: Start, connection: CreatedConnection, database: DatabaseUrls
) -> None:
    """Its body is not read while the one before is worked on, and no answer to it comes first."""
    host = start(TEST_READ_SECONDS="0.3")
    whole, half = (_signed(connection, webhook_body(ticket)) for ticket in ("T-1", "T-2"))
    observer = await asyncpg.connect(database.superuser)
    try:
        with host.connect() as sender:
            async with observer.transaction():
                await observer.execute("lock table delivery")
                sender.sendall(whole + half[:-5])
                await asyncio.sleep(1)
            sender.sendall(half[-5:])
            answers = b""
            while answers.count(b"HTTP/1.1 ") < 2 or not answers.endswith(b"}"):
                answers += (piece := await asyncio.to_thread(sender.recv, 65536))
                assert piece, answers
    finally:
        await observer.close()
    assert answers.count(b"HTTP/1.1 202 ") == 2


def _signed(connection: CreatedConnection, body: bytes) -> bytes:
    proof = sign(connection.webhook_secret, body)["x-postbox-signature"]
    head = f"POST {connection.webhook_url} HTTP/1.1\r\nHost: x\r\nx-postbox-signature: {proof}\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body


@pytest.mark.promise("slow-senders")
def test_a_large_head_is_refused(start: Start) -> None:
    """A request whose head exceeds 32 KiB is answered 431 as a problem and closed, even if the head never ends."""
    host = start()
    head = b"GET /health/live HTTP/1.1\r\nHost: x\r\nX-Large: " + b"x" * 33_000
    for ending in (b"\r\n\r\n", b""):
        with host.connect() as large:
            large.sendall(head + ending)
            answer = until_closed(large)
        assert answer.startswith(b"HTTP/1.1 431 ")
        assert b"application/problem+json" in answer
    assert httpx.get(f"{host.url}/health/live", headers={"X-Large": "x" * 20_000}).status_code == 200


def test_a_stopping_host_answers_what_it_has_begun(start: Start, connection: CreatedConnection) -> None:
    """After SIGTERM a webhook in flight is still answered 202, new connections are refused, and the exit code is 0."""
    host = start()
    request = _signed(connection, webhook_body())
    with host.connect() as sender:
        sender.sendall(request[:-5])
        assert httpx.get(f"{host.url}/health/live").status_code == 200
        host.process.send_signal(signal.SIGTERM)
        _await_refusal(host)
        sender.sendall(request[-5:])
        answer = until_closed(sender)
    assert answer.startswith(b"HTTP/1.1 202 "), answer
    assert host.process.wait(PATIENCE) == 0


def _await_refusal(host: Host) -> None:
    while True:
        try:
            host.connect().close()
        except ConnectionRefusedError:
            return
        except ConnectionResetError:
            continue  # it came while the port was being closed


def test_a_host_that_chose_its_port_gives_out_that_port(start: Start, connection: CreatedConnection) -> None:
    """With port 0 the status address has the port the host really listens on; no heavy library was loaded."""
    host = start()
    body = webhook_body()
    answer = httpx.post(host.url + connection.webhook_url, content=body, headers=sign(connection.webhook_secret, body))
    assert answer.json()["status_url"].startswith(f"{host.url}/api/v1/deliveries/")
    assert host.said["heavy"] == []


def test_nothing_about_a_webhook_is_logged(start: Start, connection: CreatedConnection) -> None:
    """The log is JSON lines without the body, the secret or the address, whether the webhook was taken or refused."""
    host = start(AIOPS_LOG_LEVEL="DEBUG")
    body = webhook_body(note="canary-in-the-body")
    for headers in (sign(connection.webhook_secret, body), {"x-postbox-signature": "canary-in-a-header"}):
        httpx.post(host.url + connection.webhook_url, content=body, headers=headers)
    host.process.terminate()
    host.process.wait(PATIENCE)
    text = host.log.read_text()
    assert [json.loads(line)["level"] for line in text.splitlines()]
    for canary in ("canary-in", connection.webhook_secret, connection.endpoint_id):
        assert canary not in text


def _superuser(database: DatabaseUrls) -> tuple[list[str], str]:
    return [], database.superuser


def _owner_member(database: DatabaseUrls) -> tuple[list[str], str]:
    return ["grant aiops_owner to aiops_app"], database.app


def _bypass(database: DatabaseUrls) -> tuple[list[str], str]:
    return ["alter role aiops_app bypassrls"], database.app


@pytest.mark.parametrize(
    ("weaken", "undo"),
    [
        (_superuser, "select 1"),
        (_owner_member, "revoke aiops_owner from aiops_app"),
        (_bypass, "alter role aiops_app nobypassrls"),
    ],
    ids=["superuser", "member of the owner", "bypasses policies"],
)
@pytest.mark.attack(3)
async def test_a_bad_role_is_refused_before_a_port_opens(
    database: DatabaseUrls,
    key: Path,
    tmp_path: Path,
    weaken: Callable[[DatabaseUrls], tuple[list[str], str]],
    undo: str,
) -> None:
    """A database role that is not bound by the policies makes the start fail with exit code 2, naming the role."""
    statements, url = weaken(database)
    await execute_as_superuser(database.superuser, *statements)
    try:
        code, said, log = _refused(environment(database, key, AIOPS_DATABASE_URL=url), tmp_path)
    finally:
        await execute_as_superuser(database.superuser, undo)
    assert (code, said) == (2, "")
    assert "The database role aiops_" in log


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"AIOPS_KEY_FILE": "nowhere/key"}, "AIOPS_KEY_FILE nowhere/key"),
        ({"AIOPS_KEY_FILE": ""}, "Set AIOPS_KEY_FILE"),
        ({"AIOPS_INTAKE_DATABASE_URL": ""}, "Set AIOPS_INTAKE_DATABASE_URL"),
        ({"AIOPS_DATABASE_URL": "postgresql://aiops_app@127.0.0.1:1/none"}, "PostgreSQL cannot be reached"),
        ({"AIOPS_HOST": "192.0.2.1"}, "Cannot listen on 192.0.2.1"),
    ],
    ids=["no key", "key not named", "no intake", "no database", "not our address"],
)
def test_a_start_that_cannot_work_says_what_to_change(
    database: DatabaseUrls, key: Path, tmp_path: Path, changed: dict[str, str], says: str
) -> None:
    """Without key, database or address the start fails with exit code 2 and one sentence, never a traceback."""
    code, said, log = _refused(environment(database, key, **changed), tmp_path)
    assert (code, said) == (2, "")
    assert says in log
    assert "Traceback" not in log


def _refused(env: dict[str, str], folder: Path) -> tuple[int, str, str]:
    """Run a host that ends by itself; return its exit code, what it said, and its log."""
    log = folder / "refused.log"
    with spawn(env, log) as process:
        try:
            said, _ = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    return process.returncode, said, log.read_text()
