"""The commands of the demo's page work: a simulator alone, a ticket in it and a webhook its plugin reads."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from tests.docs.pages import ROOT, blocks

from aiops_core import Secret, WebhookRequest, load_config, load_plugins
from aiops_core.testing.fakes import FakeServices

PAGE = (ROOT / "demo" / "README.md").read_text()
STARTS = [block.split() for block in blocks(PAGE, "sh") if "aiops_demo.simulators" in block]
SENDS = [block for block in blocks(PAGE, "sh") if "$WEBHOOK" in block]
CONFIGS = [config for config in re.findall(r"`(\{.*?\})`", PAGE) if "base_url" in config]
SECRET = "s3cret-of-the-endpoint-0123456789abcdef"


class Webhooks(HTTPServer):
    """Keeps the webhooks that are sent to it."""

    def __init__(self) -> None:
        """Listen on a free port."""
        super().__init__(("127.0.0.1", 0), Keep)
        self.kept: list[WebhookRequest] = []


class Keep(BaseHTTPRequestHandler):
    """Keeps one webhook."""

    server: Webhooks

    def do_POST(self) -> None:
        """Keep it as the host hands it to a plugin."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.kept.append(WebhookRequest(headers=headers, body=body, received_at=datetime.now(UTC)))
        self.send_response(202)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def webhooks() -> Iterator[Webhooks]:
    """A server for the webhooks."""
    with Webhooks() as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@contextmanager
def simulator(start: list[str]) -> Iterator[str]:
    """Run the page's command on a free port; yield its address."""
    port = start.index("--port") + 1
    command = [sys.executable, *start[1:port], "0", *start[port + 1 :], "--until-stdin-closes"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdin
        yield process.stdout.readline().strip()
        process.stdin.close()


@pytest.mark.parametrize(
    ("start", "send", "config"), list(zip(STARTS, SENDS, CONFIGS, strict=True)), ids=["jira", "servicedesk"]
)
def test_commands_work_as_shown(start: list[str], send: str, config: str, webhooks: Webhooks) -> None:
    """The ticket is in the simulator, and the plugin accepts the webhook and reads the ticket's id."""
    for program in ("curl", "openssl"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    assert start[0] == ".venv/bin/python"
    with simulator(start) as address:
        (shown,) = set(re.findall(r"http://127\.0\.0\.1:\d+", send))
        script = f"set -e\nWEBHOOK=http://127.0.0.1:{webhooks.server_port}/\nSECRET={shlex.quote(SECRET)}\n"
        script += send.replace(shown, address).replace("curl ", "curl -fsS --noproxy '*' ")
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    (request,) = webhooks.kept
    spec = load_plugins().registry.ticketing_tools[start[start.index("aiops_demo.simulators") + 1]]
    tool = spec.factory(
        load_config(spec.config, json.loads(config)), FakeServices(webhook_secrets=(Secret(lambda: SECRET),))
    )
    assert tool.validate_webhook(request).secret_index == 0
    metadata = tool.extract_metadata(request)
    assert metadata.kind == "opened"
    assert metadata.ticket_id in done.stdout
    assert shown in config
