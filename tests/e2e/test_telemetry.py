"""What is seen of a running installation: metrics, one trace per delivery, log lines, and nothing that is secret."""

import hashlib
import hmac
import json
import secrets
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from tests.support.desk import Desk
from tests.support.installation import ACCOUNT, Installation
from tests.support.llm_stub import Answer, LLMStub, fails, note, says
from tests.support.otlp import Collector, Span, collector
from tests.support.prometheus import prometheus
from tests.support.threads import llm_stub_in_thread
from tests.support.waiting import wait_for

TENANTS = ("plain", "modelled")
SPANS = {"webhook", "enqueue", "delivery", "get ticket", "run", "tool", "llm", "update ticket"}


@dataclass
class Seen:
    """An installation whose parts log at DEBUG and export spans, and what nobody must find in either."""

    installation: Installation
    collector: Collector
    model: LLMStub
    canaries: list[str]

    def canary(self, prefix: str = "canary") -> str:
        """Return a text to look for later."""
        made = f"{prefix}{secrets.token_hex(8)}"
        self.canaries.append(made)
        return made

    @property
    def desks(self) -> dict[str, Desk]:
        """The connections by their tenants."""
        return {desk.tenant: desk for desk in self.installation.desks}

    def tenant_id(self, slug: str) -> str:
        """Return a tenant's id."""
        listed = self.installation.aiops("tenants", "list", "--json")
        return next(str(tenant["id"]) for tenant in listed if tenant["slug"] == slug)

    def handled(self, slug: str, **ticket: Any) -> str:
        """Let a ticket have its note; return its delivery's id."""
        desk, api = self.desks[slug], self.installation.api
        assert api
        _, delivery_id = desk.deliver(desk.ticket(self.canary(), f"Our VPN drops. {self.canary()}", **ticket))
        assert api.await_end(slug, delivery_id)["delivery"]["state"] == "done"
        return delivery_id

    def lines(self, part: str) -> list[dict[str, Any]]:
        """Return what a part has logged."""
        return [json.loads(line) for line in self.installation.log(part).splitlines()]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """An installation with a tenant that has the offline backend and one whose model is a server of the test."""
    with ExitStack() as stack:
        collecting, model = stack.enter_context(collector()), stack.enter_context(llm_stub_in_thread(says(None)))
        environment = {
            "AIOPS_LOG_LEVEL": "DEBUG",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collecting.url,
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }
        running = Installation(tmp_path_factory.mktemp("telemetry"), environment)
        stack.callback(running.close)
        made = Seen(running, collecting, model, [])
        for slug in TENANTS:
            _connect(made, slug)
        key = made.canary("sk-")
        config = {"models": [{"model": "openai/stub", "api_base": model.url, "api_key": key}]}
        running.aiops("providers", "allow", "stub", "--address", model.url)
        command = ("backends", "set", "litellm", "--tenant", "modelled", "--config", "-")
        running.aiops(*command, stdin=json.dumps(config))
        yield made
        running.end()


def _connect(seen: Seen, slug: str) -> None:
    token = seen.canary()
    url = seen.installation._simulator("jira", token)
    seen.installation.create_tenant(slug)
    config = {"base_url": url, "email": ACCOUNT, "api_token": token}
    desk = seen.installation.connect(slug, "jira", config, url)
    assert desk.proof.secret
    seen.canaries.append(desk.proof.secret)


def answering(seen: Seen, text: str) -> Answer:
    """Let the model write a note that contains a canary."""
    return says(note(("summary", [(f"{text} {seen.canary()}", [1])]), ("next_steps", [("Look at the gateway", ())])))


def trace_of(seen: Seen, delivery_id: str) -> dict[str, Span]:
    """Wait until all of a delivery's spans have arrived, and return its trace."""

    def whole() -> dict[str, Span] | None:
        spans = list(seen.collector.spans)
        found = next((s for s in spans if s.attributes.get("delivery_id") == delivery_id), None)
        trace = seen.collector.trace(found.trace_id) if found else {}
        return trace if {span.name for span in trace.values()} >= SPANS else None

    return wait_for(whole, f"the trace of delivery {delivery_id}", logs=seen.installation.logs)


def ancestors(trace: dict[str, Span], span: Span) -> list[str]:
    """Return the names of a span's ancestors, nearest first."""
    names = []
    while span.parent_id:
        span = trace[span.parent_id]
        names.append(span.name)
    return names


def test_one_trace_leads_from_the_webhook_to_the_ticket(seen: Seen) -> None:
    """Webhook, wake-up, run, tools, model and the write to the ticket are one tree, over both processes."""
    seen.model.answer = answering(seen, "The gateway restarts")
    delivery_id = seen.handled("modelled")
    trace = trace_of(seen, delivery_id)
    by_name: dict[str, list[Span]] = {}
    for span in trace.values():
        by_name.setdefault(span.name, []).append(span)
    assert {name: ancestors(trace, spans[0]) for name, spans in by_name.items() if name != "find effects"} == {
        "webhook": [],
        "enqueue": ["webhook"],
        "delivery": ["webhook"],
        "get ticket": ["delivery", "webhook"],
        "run": ["delivery", "webhook"],
        "tool": ["run", "delivery", "webhook"],
        "llm": ["run", "delivery", "webhook"],
        "llm call": ["llm", "run", "delivery", "webhook"],
        "update ticket": ["delivery", "webhook"],
    }
    tools = {str(span.attributes["tool"]) for span in by_name["tool"]}
    assert tools == {"similar_tickets", "knowledge_base", "asset_lookup"}
    (root,), (llm,) = by_name["webhook"], by_name["llm"]
    assert {span.service for span in trace.values()} == {"aiops-host", "aiops-worker"}
    assert (root.service, root.kind, root.attributes["http.response.status_code"]) == ("aiops-host", "server", 202)
    assert by_name["delivery"][0].kind == "consumer"
    assert root.attributes["tenant_id"] == by_name["delivery"][0].attributes["tenant_id"] == seen.tenant_id("modelled")
    assert (llm.attributes["backend"], llm.attributes["prompt_tokens"]) == ("litellm", 1000)
    assert not any(span.failed for span in trace.values())


def test_every_delivery_has_a_trace_of_its_own(seen: Seen) -> None:
    """Two deliveries do not share a trace."""
    first, second = (trace_of(seen, seen.handled("plain")) for _ in range(2))
    assert not first.keys() & second.keys()


def test_log_lines_of_both_parts_name_trace_tenant_and_delivery(seen: Seen) -> None:
    """From a line of either part one finds the delivery, its tenant and its trace."""
    delivery_id = seen.handled("plain")
    (trace_id,) = {span.trace_id for span in trace_of(seen, delivery_id).values()}
    for part in ("host", "worker"):
        named = [line for line in seen.lines(part) if line.get("delivery_id") == delivery_id]
        assert named, part
        assert {(line["tenant_id"], line["trace_id"]) for line in named} == {(seen.tenant_id("plain"), trace_id)}


@pytest.mark.attack(22)
def test_neither_logs_nor_spans_hold_bodies_or_secrets(seen: Seen) -> None:
    """At DEBUG, through refusals and failures on all sides, no text of a ticket, note or model and no secret leaks."""
    desk, api = seen.desks["modelled"], seen.installation.api
    assert api
    seen.model.answer = answering(seen, "The gateway restarts")
    delivery_ids = [seen.handled("modelled")]
    seen.model.answer = fails(400, text=seen.canary())
    delivery_ids.append(seen.handled("modelled"))
    seen.model.answer = answering(seen, "The gateway restarts")
    desk.behave(fail_with=500, times=2)
    delivery_ids.append(seen.handled("modelled"))
    desk.behave()
    wrong = {"x-hub-signature": f"sha256={seen.canary()}", "authorization": f"Bearer {seen.canary()}"}
    assert desk.send(wrong, seen.canary().encode()).status_code == 401
    unreadable = desk.webhook(desk.add(desk.ticket(seen.canary())))[1][:-1]
    assert desk.send({**signed(desk, unreadable)}, unreadable).status_code == 202
    for delivery_id in delivery_ids:
        trace_of(seen, delivery_id)
    logged = "".join(path.read_text() for path in seen.installation.logs())
    assert '"level":"DEBUG"' in logged
    sent = b"".join(seen.collector.raw)
    assert [text for text in seen.canaries if text in logged] == []
    assert [text for text in seen.canaries if text.encode() in sent] == []


def signed(desk: Desk, body: bytes) -> dict[str, str]:
    """Return the headers that prove a body of our own."""
    digest = hmac.new(str(desk.proof.secret).encode(), body, hashlib.sha256).hexdigest()
    return {**desk.proof.headers, "x-hub-signature": f"sha256={digest}"}


def test_metrics_are_on_loopback_ports_of_their_own(seen: Seen) -> None:
    """Host and worker each answer /metrics on their own loopback port; the host's public port has none."""
    state = seen.installation.state
    ports = {part: urlsplit(url).port for part, url in state["metrics"].items()}
    assert set(ports) == {"host", "worker"}
    assert len({*ports.values(), urlsplit(state["base_url"]).port}) == 3
    for part, url in state["metrics"].items():
        assert f"metrics    {url} of the {part}" in seen.installation.program.out.read_text()
        assert "# HELP enhancement_success_rate" in httpx.get(url, trust_env=False).text
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", ports[part] or 0), timeout=10)
    assert httpx.get(f"{state['base_url']}/metrics", trust_env=False).status_code == 404


def test_a_replay_is_a_success_without_a_latency(seen: Seen) -> None:
    """A note posted again counts as posted; the time since its webhook says nothing about the worker."""
    installation, api = seen.installation, seen.installation.api
    assert api
    delivery_id = seen.handled("plain")
    before = figures(installation)
    installation.aiops("deliveries", "replay", delivery_id, "--tenant", "plain", "--post-again")

    def counted() -> bool:
        return figures(installation)["posted"] == before["posted"] + 1

    wait_for(counted, "the replay to be counted", logs=installation.logs)
    assert figures(installation)["timed"] == before["timed"] > 0


def figures(installation: Installation) -> dict[str, float]:
    """Return how many notes the worker posted and how many of them it timed."""
    text = httpx.get(installation.state["metrics"]["worker"], trust_env=False).text
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {
        "posted": float(values['enhancement_requests_total{outcome="posted"}']),
        "timed": float(values["enhancement_duration_seconds_count"]),
    }


def test_a_real_prometheus_answers_for_all_five_figures(seen: Seen, tmp_path: Path) -> None:
    """Scraped by Prometheus, success, latency, waiting work, workers and pools are known and within their goals."""
    urls = seen.installation.state["metrics"]
    targets = {f"aiops-{part}": urlsplit(url).netloc for part, url in urls.items()}
    with prometheus(tmp_path, targets) as scraped:
        for job in targets:
            scraped.await_target(job)
        seen.model.answer = answering(seen, "The gateway restarts")
        for slug in TENANTS:
            seen.handled(slug)
        (success,) = scraped.await_answer("aiops:enhancement_success:ratio >= 0").values()
        assert success >= 0.95
        (latency,) = scraped.await_answer("aiops:enhancement_duration_seconds:p95 >= 0").values()
        assert 0 < latency <= 120
        assert scraped.await_answer("aiops:queue_depth:max < 100")
        assert scraped.await_answer("aiops:oldest_unfinished_seconds:max >= 0")
        waiting = scraped.await_answer("queue_depth")
        assert {dict(labels)["job"] for labels in waiting} == set(targets), "the host counts too, for want of workers"
        workers = scraped.await_answer("aiops:worker_active_count:by_tenant >= 1")
        assert set(workers) == {(("tenant", seen.tenant_id(slug)),) for slug in TENANTS}
        pools = scraped.await_answer("aiops:database_pool_use:max < 0.8")
        assert {dict(labels)["job"] for labels in pools} == set(targets)
        answered = scraped.await_answer('sum(aiops_webhook_answers_total{ticketing_tool="jira", status="2xx"}) > 0')
        assert answered
        assert scraped.await_answer("sum(aiops_intake_seconds_count) > 0")
        groups = scraped.get("rules")["groups"]
        assert {rule["health"] for group in groups for rule in group["rules"]} == {"ok"}
