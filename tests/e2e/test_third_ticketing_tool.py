"""The proof that this is a plugin host: a ticketing tool nobody here knows works once its wheel is installed."""

import hmac
import re
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from tests.support.environments import MEMBERS, Wheel, build_wheels, fresh_environment
from tests.support.installation import Installation

THIRD_TOOL = Path(__file__).parent / "third_tool"
KEY = "the-key-under-the-mat"
UNTOUCHED = ("aiops-host", "aiops-admin", "aiops-agents")
SHEET = "Subject: Letterbox is stuck\nTray: in\nFiled: 2026-11-20T08:00:00+00:00\n\nThe flap of the letterbox is stuck."


class Office(ThreadingHTTPServer):
    """Paperdesk: sheets and the slips on them, in plain text."""

    def __init__(self) -> None:
        """Open the office on a random port."""
        super().__init__(("127.0.0.1", 0), Clerk)
        self.sheets = {"A/7": SHEET}
        self.slips: list[dict[str, str]] = []
        self.address = f"http://127.0.0.1:{self.server_address[1]}"


class Clerk(BaseHTTPRequestHandler):
    """Answers one caller."""

    server: Office

    def do_GET(self) -> None:
        """Hand out the door sign, a sheet or the stamps of its slips."""
        sheet, slips = self._asked()
        if self.path == "/door":
            self._answer(200, "open")
        elif sheet not in self.server.sheets:
            self._answer(404)
        elif slips:
            listed = [f"{n} {s['stamp']}" for n, s in enumerate(self.server.slips) if s["sheet"] == sheet]
            self._answer(200, "\n".join(listed))
        else:
            self._answer(200, self.server.sheets[sheet])

    def do_POST(self) -> None:
        """Pin a slip, and lose the first answer on the way."""
        sheet, _ = self._asked()
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        slip = {"sheet": sheet, "text": text, "stamp": self.headers["Paper-Stamp"], "eyes": self.headers["Paper-Eyes"]}
        self.server.slips.append(slip)
        if len(self.server.slips) == 1:
            self.close_connection = True
            return
        self._answer(201, str(len(self.server.slips) - 1))

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

    def _asked(self) -> tuple[str, bool]:
        found = re.fullmatch(r"/sheet/([^/]+)(/slips)?", self.path)
        return (found[1].replace("%2F", "/"), bool(found[2])) if found else ("", False)

    def _answer(self, status: int, text: str = "") -> None:
        if self.headers["Paper-Key"] != KEY:
            status, text = 401, ""
        self.send_response(status)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())


@pytest.fixture
def office() -> Iterator[Office]:
    """An office that is open during the test."""
    with Office() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def sources(wheels: Mapping[str, Wheel]) -> dict[str, bytes]:
    """The files of host, admin and agents as this repository has them, which is how the wheels were built."""
    found: dict[str, bytes] = {}
    for name in UNTOUCHED:
        source = MEMBERS[name] / "src"
        files = {path: content for path, content in wheels[name].files.items() if ".dist-info/" not in path}
        assert {module.relative_to(source).as_posix() for module in source.rglob("*.py")} <= set(files)
        found |= {path: (source / path).read_bytes() for path in files}
    return found


@pytest.fixture
def installation(tmp_path: Path, wheels: Mapping[str, Wheel]) -> Iterator[Installation]:
    """``aiops up`` from a fresh environment with the built wheels and that of the third tool."""
    third = build_wheels(tmp_path, [THIRD_TOOL])
    python = fresh_environment(tmp_path / "environment", [*wheels.values(), *third.values()])
    running = Installation(tmp_path, python=str(python))
    try:
        yield running
        running.end()
    finally:
        running.close()


def test_a_third_ticketing_tool(sources: Mapping[str, bytes], installation: Installation, office: Office) -> None:
    """Its wheel beside ours, no file of host, admin or agents changed: it is listed, proven, read and written to."""
    plugins = {plugin["name"]: plugin for plugin in installation.aiops("plugins", "list", "--json")}
    assert plugins["paperdesk"]["status"] == "loaded"
    assert (plugins["paperdesk"]["distribution"], plugins["paperdesk"]["version"]) == ("aiops-paperdesk", "2.3.0")

    installation.create_tenant("archive")
    created = installation.create_connection("archive", "paperdesk", {"address": office.address, "key": KEY})
    assert "the secret as its seal" in created["setup_help"]
    said = installation.aiops("connections", "test", created["connection_id"], "--tenant", "archive")
    assert said.strip() == "ok: The office is open."

    body = b"event=filed&sheet=A%2F7&serial=1"
    seal = hmac.digest(created["webhook_secret"].encode(), body, "sha256").hex()
    forged = httpx.post(created["webhook_url"], content=body, headers={"Paper-Seal": "0" * 64}, trust_env=False)
    assert forged.status_code == 401
    sent = httpx.post(
        created["webhook_url"], content=body, headers={**created["headers"], "Paper-Seal": seal}, trust_env=False
    )
    assert sent.status_code == 202
    assert installation.api
    ended = installation.api.await_end("archive", sent.json()["delivery_id"])
    assert ended["delivery"]["state"] == "done"
    (slip,) = office.slips
    assert (slip["sheet"], slip["eyes"]) == ("A/7", "staff")
    assert slip["text"].startswith("AI Ops: first findings")
    assert [effect["reference"] for effect in ended["effects"]] == [slip["stamp"].partition("/")[2]]
    (site,) = Path(installation.python).parents[1].glob("lib/python*/site-packages")
    assert [path for path, content in sources.items() if (site / path).read_bytes() != content] == []
