"""Each kind of secret is planted and used, things go wrong at DEBUG, and no place anybody can look at has one of them."""

import asyncio
import base64
import contextlib
import json
import os
import re
import secrets
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import redis
from bokeh.util.token import get_token_payload
from playwright.sync_api import Page, WebSocket, sync_playwright
from tests.support.databases import run_apart
from tests.support.desk import Desk
from tests.support.dumps import dump
from tests.support.installation import ACCOUNT, Installation
from tests.support.llm_stub import LLMStub, Reply, fails, note, says
from tests.support.otlp import Collector, collector
from tests.support.programs import clean_environment, program_of
from tests.support.system import require_program
from tests.support.threads import llm_stub_in_thread
from tests.support.waiting import wait_for

from aiops_host.data import keys as stored
from aiops_host.data.session import Database
from aiops_host.data.tenants import directory
from aiops_host.trust.vault import Vault

SINKS = (
    "logs",
    "traces",
    "metrics",
    "refusals",
    "API answers",
    "command line",
    "arguments of processes",
    "database dump",
    "database files",
    "Redis traffic",
    "Redis dump",
    "dashboard",
)
"""Where secrets are looked for."""
TENANT = "canaried"
PERSON = "pat@msp.example"
MOST_PAGES = 25


@dataclass
class Scene:
    """What was planted, and what each sink held afterwards."""

    canaries: dict[str, bytes] = field(default_factory=dict)
    sinks: dict[str, bytearray] = field(default_factory=lambda: {sink: bytearray() for sink in SINKS})

    def plant(self, name: str, prefix: str = "") -> str:
        """Return a secret to look for."""
        value = f"{prefix}canary{secrets.token_hex(12)}"
        self.canaries[name] = value.encode()
        return value

    def saw(self, sink: str, *texts: str | bytes) -> None:
        """Add to what a sink holds."""
        for text in texts:
            self.sinks[sink] += (text.encode() if isinstance(text, str) else text) + b"\n"

    def found_in(self, sink: str) -> list[str]:
        """Return which secrets a sink holds, as they are or as hexadecimal or base64 text."""
        return [name for name, value in self.canaries.items() if any(form in self.sinks[sink] for form in forms(value))]


def forms(value: bytes) -> list[bytes]:
    """Return the value as it may appear: itself, in hexadecimal, and inside base64 at each of its three offsets."""
    shifted = [base64.b64encode(bytes(shift) + value)[4 if shift else 0 : -4] for shift in range(3)]
    return [value, value.hex().encode(), value.hex().upper().encode(), *shifted]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """An installation that was used and mistreated, all secrets known, all sinks read."""
    browser = require_program("chromium")
    with ExitStack() as stack:
        collecting, model = stack.enter_context(collector()), stack.enter_context(llm_stub_in_thread(says(None)))
        made = Scene()
        environment = {
            "AIOPS_LOG_LEVEL": "DEBUG",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collecting.url,
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "AIOPS_SMTP_URL": f"smtp://aiops:{made.plant('SMTP password')}@127.0.0.1:9",
            "AIOPS_MAIL_FROM": "aiops@msp.example",
        }
        installation = Installation(tmp_path_factory.mktemp("canaries"), environment)
        stack.callback(installation.close)
        run = Run(made, installation, model, collecting)
        with run.redis_watched():
            run.prepare()
            run.use()
            run.mistreat()
            run.look_at_dashboard(browser)
            run.collect()
        yield made
        installation.end()


@dataclass
class Run:
    """One installation's life in this test."""

    scene: Scene
    installation: Installation
    model: LLMStub
    collecting: Collector
    desk: Desk = field(init=False)

    @property
    def settings(self) -> dict[str, str]:
        """What the installation's own processes are told."""
        lines = (self.installation.data / "aiops.env").read_text().splitlines()
        return {name: value for name, _, value in (line.partition("=") for line in lines)}

    @property
    def api(self) -> httpx.Client:
        """The administrator's session."""
        assert self.installation.api
        return self.installation.api.http

    def prepare(self) -> None:
        """Make a tenant with a connection, a backend's key, a person and an API token."""
        scene, installation = self.scene, self.installation
        token = scene.plant("connection credential")
        url = installation._simulator("jira", token)
        installation.create_tenant(TENANT)
        config = {"base_url": url, "email": ACCOUNT, "api_token": token}
        self.desk = installation.connect(TENANT, "jira", config, url)
        scene.canaries["webhook secret"] = str(self.desk.proof.secret).encode()
        installation.aiops("providers", "allow", "stub", "--address", self.model.url)
        key = scene.plant("LLM key", "sk-")
        models = {"models": [{"model": "openai/stub", "api_base": self.model.url, "api_key": key}]}
        command = ("backends", "set", "litellm", "--tenant", TENANT, "--config", "-")
        installation.aiops(*command, stdin=json.dumps(models))
        password = scene.plant("password")
        installation.aiops("users", "create", PERSON, "--platform-admin", "--password-stdin", stdin=password + "\n")
        api_token = installation.aiops("tokens", "create", "reader", "--for", PERSON, "--json")
        scene.canaries["API token"] = str(api_token["token"]).encode()
        scene.canaries["session token"] = self.api.headers["authorization"].removeprefix("Bearer ").encode()
        for name, value in self.settings.items():
            if name.endswith("DATABASE_URL"):
                scene.canaries[f"{name}'s password"] = str(urlsplit(value).password).encode()
        self._know_keys()

    def _know_keys(self) -> None:
        key_file = Path(self.settings["AIOPS_KEY_FILE"])
        roots = re.findall(rb'"0:0": "([^"]+)"', key_file.read_bytes())
        for name, root in zip(("the key", "the key before"), roots, strict=False):
            self.scene.canaries[name] = base64.b64decode(root)
        for name, value in run_apart(data_keys(self.settings["AIOPS_DATABASE_URL"], key_file)).items():
            self.scene.canaries[name] = value

    def use(self) -> None:
        """Let a ticket have its note, so that each secret was used."""
        self.model.answer = says(note(("summary", [("The gateway restarts", [1])])))
        self._handled()
        key = self.scene.canaries["LLM key"].decode()
        assert {asked.headers["authorization"] for asked in self.model.asked} == {f"Bearer {key}"}
        bearer = {"authorization": f"Bearer {self.scene.canaries['API token'].decode()}"}
        self.scene.saw("API answers", self.api.get("/api/v1/me", headers=bearer).text)

    def _handled(self) -> None:
        _, delivery_id = self.desk.deliver(self.desk.ticket("VPN drops", "Since this morning."))
        assert self.installation.api
        self.installation.api.await_end(TENANT, delivery_id)
        self.scene.saw("API answers", self.api.get(f"/api/v1/deliveries/{delivery_id}", params={"tenant": TENANT}).text)

    def mistreat(self) -> None:
        """Have everything go wrong that may tempt a part to say more than it should."""
        key = self.scene.canaries["LLM key"].decode()
        for answer in (
            fails(401, text=f"Incorrect API key provided: {key}."),
            fails(400, text=f"authorization: Bearer {key}"),
            fails(500, text=key),
            lambda _asked: Reply(headers={"content-type": "application/json"}, body=b"no JSON"),
        ):
            self.model.answer = answer
            self._handled()
        self.model.answer = says(note(("summary", [("The gateway restarts", [1])])))
        self.desk.behave(fail_with=500, times=2)
        self._handled()
        self.desk.behave()
        worker = self.installation.pid("worker")
        os.kill(worker, signal.SIGKILL)
        self.installation.await_restart("worker", worker)
        self._handled()
        self._send_bad_webhooks()
        self._send_bad_requests()
        self._run_bad_commands()

    def _send_bad_webhooks(self) -> None:
        secret = self.scene.canaries["webhook secret"].decode()
        for headers in (
            {"x-hub-signature": f"sha256={secret}"},
            {"authorization": f"Bearer {secret}"},
            {"x-atlassian-webhook-identifier": secret, "x-hub-signature": "sha256=" + "0" * 64},
        ):
            answer = self.desk.send(headers, json.dumps({"secret": secret}).encode())
            assert answer.status_code == 401
            self.scene.saw("refusals", answer.text, str(answer.headers))
        self.scene.saw("refusals", httpx.post(f"{self.desk.webhook_url}0", content=b"{}", trust_env=False).text)

    def _send_bad_requests(self) -> None:
        canary = {name: value.decode() for name, value in self.scene.canaries.items() if value.isascii()}
        token, password = canary["connection credential"], canary["password"]
        login = {"email": PERSON, "password": password + "x"}
        made = {"name": "second", "ticketing_tool": "jira"}
        config = {"base_url": "not an address", "email": ACCOUNT, "api_token": token}
        for path, body in (
            ("/login", login),
            ("/login", {"email": [password], "password": password}),
            ("/login", {"email": PERSON, "password": password, "surplus": password}),
            ("/connections", {**made, "config": config}),
            ("/connections", {**made, "config": {**config, "base_url": "https://x.example", "api_token": [token]}}),
            ("/connections", {**made, "config": {**config, token: token}}),
            ("/connections", {**made, "ticketing_tool": "none", "config": config}),
            ("/connections", {**made, "config": token}),
        ):
            answer = self.api.post(f"/api/v1{path}", json=body, params={"tenant": TENANT})
            assert answer.status_code >= 400, path
            self.scene.saw("refusals", answer.text)
        stranger = httpx.get(f"{self.api.base_url}/api/v1/me", headers={"authorization": f"Bearer {token}"})
        assert stranger.status_code == 401
        self.scene.saw("refusals", stranger.text)

    def _run_bad_commands(self) -> None:
        token = self.scene.canaries["connection credential"].decode()
        config = json.dumps({"base_url": "https://x.example", "email": 7, "api_token": token})
        create = (
            "connections",
            "create",
            "--tenant",
            TENANT,
            "--name",
            "x",
            "--tool",
            "jira",
            "--config",
            "-",
            "--json",
        )
        for command, given in (
            (create, config),
            (create, config[:-1]),
            (create, f'["{token}"]'),
            (("connections", "list", "--tenant", TENANT, "--json"), ""),
            (("connections", "test", "test", "--tenant", TENANT), ""),
            (("backends", "show", "litellm", "--tenant", TENANT), ""),
            (("backends", "list", "--tenant", TENANT, "--json"), ""),
            (("webhooks", "explain", "test", "--tenant", TENANT), ""),
            (("audit", "list", "--tenant", TENANT, "--json"), ""),
            (("audit", "list", "--json"), ""),
            (("keys", "rotate", "--data-keys"), ""),
            (("keys", "rewrap"), ""),
            (("keys", "status"), ""),
            (("tokens", "list", "--json"), ""),
        ):
            environment = {**clean_environment(), "AIOPS_ENV_FILE": str(self.installation.data / "aiops.env")}
            ran = subprocess.run(
                [program_of(self.installation.python), *command],
                input=given,
                capture_output=True,
                text=True,
                env={**environment, "AIOPS_LOG_LEVEL": "DEBUG"},
                check=False,
            )
            self.scene.saw("command line", " ".join(command), ran.stdout, ran.stderr)
        self._know_keys()

    @contextlib.contextmanager
    def redis_watched(self) -> Iterator[None]:
        """Record every command that Redis gets while the block runs."""
        client = redis.Redis.from_url(self.settings["AIOPS_REDIS_URL"])
        monitor = client.monitor()
        ended = threading.Event()

        def listen() -> None:
            with contextlib.suppress(redis.ConnectionError, OSError, ValueError, AttributeError):
                while not ended.is_set():
                    self.scene.saw("Redis traffic", str(monitor.next_command()["command"]))

        with monitor:
            listener = threading.Thread(target=listen, daemon=True)
            listener.start()
            try:
                yield
            finally:
                ended.set()
                client.ping()  # one more command, for the listener to see that it is over
                listener.join(30)
        self.scene.saw("Redis dump", *(key for key in client.scan_iter()), b"scanned")
        self.scene.saw("Redis dump", *(client.dump(key) or b"" for key in client.scan_iter()))
        client.close()

    def look_at_dashboard(self, browser: str) -> None:
        """Log in and open every page that links lead to, keeping what is shown and what the sockets carry."""
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"])
            context = chromium.new_context()
            page = context.new_page()
            page.on("websocket", self._listen)
            page.goto(self.installation.state["admin_url"])
            page.get_by_label("Email").fill(PERSON)
            page.get_by_label("Password").fill(self.scene.canaries["password"].decode())
            page.get_by_role("button", name="Log in").click()
            page.wait_for_url(lambda url: "login" not in url)
            self._visit(page)
            for cookie in context.cookies():
                if cookie.get("httpOnly"):
                    self.scene.canaries[f"cookie {cookie['name']}"] = str(cookie["value"]).encode()
            chromium.close()

    def _listen(self, socket: WebSocket) -> None:
        socket.on("framereceived", lambda frame: self.scene.saw("dashboard", frame))

    def _visit(self, page: Page) -> None:
        origin = self.installation.state["admin_url"]
        waiting, seen = [page.url, f"{origin}/?tenant={TENANT}"], set()
        while waiting and len(seen) < MOST_PAGES:
            url = waiting.pop(0)
            shape = ONE_OF_MANY.sub("", url)
            if shape in seen or not url.startswith(origin) or "logout" in url:
                continue
            seen.add(shape)
            answer = page.goto(url)
            page.wait_for_load_state("networkidle")
            source = answer.text() if answer else ""
            self.scene.saw("dashboard", url, source, page.content(), *map(decoded, TOKEN.findall(source)))
            waiting += page.eval_on_selector_all("a[href]", "all => all.map(a => a.href.split('#')[0])")

    def collect(self) -> None:
        """Read everything that is left behind."""
        scene, installation = self.scene, self.installation
        scene.saw("logs", *(path.read_bytes() for path in installation.logs() if path != installation.program.out))
        state = installation.state
        scene.saw("metrics", *(httpx.get(url, trust_env=False).text for url in state["metrics"].values()))
        self._ask_everything()
        wait_for(lambda: self.collecting.raw, "spans", logs=installation.logs)
        scene.saw("traces", *self.collecting.raw)
        for process in installation.program.family():
            with contextlib.suppress(OSError):
                scene.saw("arguments of processes", Path(f"/proc/{process.pid}/cmdline").read_bytes())
        self._read_database()

    def _ask_everything(self) -> None:
        document = self.api.get("/openapi.json").json()
        asked = 0
        for path, verbs in document["paths"].items():
            if "get" in verbs and "{" not in path:
                answer = self.api.get(path, params={"tenant": TENANT})
                self.scene.saw("API answers", path, answer.text)
                asked += answer.status_code == 200
        assert asked > 10

    def _read_database(self) -> None:
        folder = self.installation.data / "postgres"
        superuser = "aiops_superuser"
        password = (folder / "passwords" / superuser).read_text()
        parts = urlsplit(self.settings["AIOPS_DATABASE_URL"])
        url = parts._replace(netloc=f"{superuser}:{password}@").geturl()
        self.scene.saw("database dump", dump(url))
        run_apart(checkpoint(url))
        for file in folder.rglob("*"):
            if file.is_file() and "passwords" not in file.parts:
                with contextlib.suppress(OSError):
                    self.scene.saw("database files", file.read_bytes())


ONE_OF_MANY = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|OPS-[0-9]+|(?<==)[^&]+")
"""What differs between pages of one kind: ids, and what stands behind a question mark."""
TOKEN = re.compile(r'"token":\s*"([A-Za-z0-9_=-]{20,}(?:\.[A-Za-z0-9_-]+)?)"')


def decoded(token: str) -> str:
    """Return what a page's session token carries, which is packed."""
    return json.dumps(get_token_payload(token), default=str)


async def data_keys(url: str, key_file: Path) -> dict[str, bytes]:
    """Return every data key, unwrapped."""
    database = await Database.open({"app": url}, {"app": 2})
    vault = await asyncio.to_thread(Vault.load, key_file)
    found = {}
    try:
        for tenant in await directory(database):
            async with database.tenant(tenant.id) as con:
                kept = await stored.all_(con)
            for key in kept:
                found[f"data key {key.purpose} {key.version}"] = await vault.keys.unwrap(key)
    finally:
        await database.close()
    return found


async def checkpoint(url: str) -> None:
    """Have PostgreSQL write everything into its files."""
    import asyncpg  # noqa: PLC0415 - for this one statement

    con: Any = await asyncpg.connect(url)
    await con.execute("checkpoint")
    await con.close()


@pytest.mark.promise("secrets-nowhere-else", figure="19 secrets in 12 places")
@pytest.mark.attack(21)
@pytest.mark.attack(22)
@pytest.mark.parametrize("sink", SINKS)
def test_no_secret_is_anywhere(scene: Scene, sink: str) -> None:
    """No credential, key, password or token shows in logs, traces, metrics, answers, dumps or pages, whatever failed."""
    assert scene.found_in(sink) == []


@pytest.mark.parametrize(
    ("sink", "text"),
    [
        ("logs", '"level":"DEBUG"'),
        ("traces", "delivery"),
        ("metrics", "enhancement_success_rate"),
        ("refusals", "api_token"),
        ("API answers", TENANT),
        ("command line", "api_token"),
        ("arguments of processes", "worker"),
        ("database dump", "COPY public.secret"),
        ("database files", TENANT),
        ("Redis traffic", "arq"),
        ("Redis dump", "scanned"),
        ("dashboard", "OPS-"),
    ],
)
def test_each_place_was_looked_at(scene: Scene, sink: str, text: str) -> None:
    """Each place holds what it is there for, so that finding no secret in it means something."""
    assert text.encode() in scene.sinks[sink]


def test_every_kind_of_secret_was_planted(scene: Scene) -> None:
    """Credential, webhook secret, LLM key, password, session, API token, mail and database passwords, and all keys."""
    kinds = {
        *("connection credential", "webhook secret", "LLM key", "password", "session token", "API token"),
        *(
            "SMTP password",
            "the key",
            "the key before",
            "data key credentials 1",
            "data key webhook 1",
            "data key credentials 2",
        ),
    }
    assert kinds <= set(scene.canaries)
    assert any(name.startswith("cookie ") for name in scene.canaries)
    assert len({*scene.canaries.values()}) == len(scene.canaries)
    assert all(len(value) >= 16 for value in scene.canaries.values())


@pytest.mark.parametrize("form", range(6))
def test_a_secret_is_found_in_any_spelling(form: int) -> None:
    """The search finds a secret as it is, in hexadecimal and within base64, wherever it begins."""
    value = secrets.token_bytes(32)
    for offset in range(3):
        scene = Scene(canaries={"it": value})
        text = [value, value.hex().encode(), value.hex().upper().encode()] if form < 3 else []
        scene.saw("logs", text[form] if text else base64.b64encode(bytes(offset) + value + b"end"))
        assert scene.found_in("logs") == ["it"]
