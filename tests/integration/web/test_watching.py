"""Webhooks as metrics, spans and log lines show them."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from litestar import Litestar
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests.integration.web.conftest import Bell, Door
from tests.support.databases import DatabaseUrls, execute_as_superuser
from tests.support.postbox import webhook_body

from aiops_core import PluginManager
from aiops_host.data.session import Database
from aiops_host.settings import Settings
from aiops_host.trust.vault import Vault
from aiops_host.watch import tracing
from aiops_host.watch.logs import JsonFormatter
from aiops_host.watch.metrics import Metrics
from aiops_host.web.app import create_app
from aiops_host.web.watching import Watched

CANARY = "canary-5e1f"


@pytest.fixture
def metrics(plugins: PluginManager) -> Metrics:
    """The host's metrics."""
    made = Metrics()
    made.expect_webhooks(plugins.registry.ticketing_tools)
    return made


@pytest.fixture
def app(
    settings: Settings, plugins: PluginManager, opened: Database, vault: Vault, bell: Bell, metrics: Metrics
) -> Litestar:
    """The host's application with these metrics."""
    return create_app(settings, plugins, opened, vault, bell, metrics)


@pytest.fixture
async def http(app: Litestar, metrics: Metrics) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the watched application."""
    transport = httpx.ASGITransport(app=Watched(app, metrics), raise_app_exceptions=False)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="https://aiops.example") as client:
        yield client


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Spans are exported to here."""
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "_tracer", provider.get_tracer("test"))
    yield exporter
    provider.shutdown()


@pytest.fixture
def lines() -> Iterator[list[dict[str, Any]]]:
    """Every line the host logs, at DEBUG."""
    written: list[dict[str, Any]] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            written.append(json.loads(self.format(record)))

    logger, handler = logging.getLogger("aiops_host"), Keep()
    handler.setFormatter(JsonFormatter())
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield written
    logger.removeHandler(handler)
    logger.setLevel(before)


def answers(metrics: Metrics, tool: str, status: str) -> float | None:
    """Return how many webhooks were answered so."""
    return metrics.registry.get_sample_value("aiops_webhook_answers_total", {"ticketing_tool": tool, "status": status})


async def test_answers_are_counted_and_timed(door: Door, http: httpx.AsyncClient, metrics: Metrics) -> None:
    """Each webhook counts under its ticketing tool and class of status, whether it reached a route or not."""
    assert (await door.post(webhook_body())).status_code == 202
    assert (await http.post(door.path, content=b"{}")).status_code == 401
    assert (await http.post("/webhooks/invented/x", content=b"{}")).status_code == 401
    assert (await http.get(door.path)).status_code == 405
    assert (await http.post("/webhooks/postbox", content=b"{}")).status_code == 404
    assert answers(metrics, "postbox", "2xx") == 1
    assert answers(metrics, "postbox", "4xx") == 3
    assert answers(metrics, "other", "4xx") == 1
    assert metrics.registry.get_sample_value("aiops_intake_seconds_count") == 5


async def test_an_answer_of_ours_is_counted_as_such(door: Door, database: DatabaseUrls, metrics: Metrics) -> None:
    """While nothing can be stored, the senders are asked to come again and the 5xx are there to alert on."""
    await execute_as_superuser(database.superuser, "revoke execute on all functions in schema public from aiops_intake")
    assert (await door.post(webhook_body())).status_code >= 500
    assert answers(metrics, "postbox", "5xx") == 1


async def test_only_webhooks_are_counted(http: httpx.AsyncClient, metrics: Metrics) -> None:
    """Health checks and the API are no intake."""
    assert (await http.get("/health/live")).status_code == 200
    assert metrics.registry.get_sample_value("aiops_intake_seconds_count") == 0


async def test_quarantine_is_counted_once_per_delivery(door: Door, metrics: Metrics) -> None:
    """A proven body that cannot be read counts, sending it again does not."""
    for _ in range(2):
        assert (await door.post(b"not json")).status_code == 202
    assert metrics.registry.get_sample_value("quarantined_total") == 1


async def test_the_stored_traceparent_is_the_webhooks_span(
    opened: Database, door: Door, exported: InMemorySpanExporter
) -> None:
    """A worker's spans become children of the webhook's, in the sender's trace where it has one."""
    sent = f"00-{'a' * 32}-{'b' * 16}-01"
    given = (await door.post(webhook_body("T-1"), traceparent=sent)).json()["delivery_id"]
    fresh = (await door.post(webhook_body("T-2"))).json()["delivery_id"]
    stored = await _traceparents(opened, door)
    spans = {str((s.attributes or {}).get("delivery_id")): s for s in exported.get_finished_spans()}
    for delivery_id in (given, fresh):
        assert stored[delivery_id].startswith(_traceparent(spans[delivery_id]))
        assert (spans[delivery_id].attributes or {})["tenant_id"] == str(door.tenant.tenant_id)
        assert (spans[delivery_id].attributes or {})["http.response.status_code"] == 202
    assert stored[given].split("-")[1] == "a" * 32
    assert spans[given].parent is not None
    assert spans[fresh].parent is None


async def test_the_wake_up_is_part_of_the_trace(door: Door, exported: InMemorySpanExporter, bell: Bell) -> None:
    """Announcing the delivery is a child of its webhook; when Redis is away its span says so."""
    bell.broken = True
    await door.post(webhook_body())
    spans: dict[str, ReadableSpan] = {}
    async with asyncio.timeout(30):
        while "enqueue" not in spans:
            await asyncio.sleep(0)
            spans = {span.name: span for span in exported.get_finished_spans()}
    assert spans["enqueue"].parent == spans["webhook"].context
    assert spans["enqueue"].status.description == "ConnectionError"


async def test_log_lines_carry_ids_and_nothing_of_the_body(door: Door, lines: list[dict[str, Any]]) -> None:
    """A stored webhook's line names trace, tenant and delivery, also where no spans are exported."""
    sent = f"00-{'a' * 32}-{'b' * 16}-01"
    answer = await door.post(webhook_body(CANARY, note=CANARY), traceparent=sent, x_postbox_id=CANARY)
    stored = next(line for line in lines if line["message"].startswith("webhook stored"))
    assert stored["trace_id"] == "a" * 32
    assert stored["tenant_id"] == str(door.tenant.tenant_id)
    assert stored["delivery_id"] == answer.json()["delivery_id"]
    assert CANARY not in json.dumps(lines)


async def test_a_refused_webhook_leaves_a_line_with_its_trace(door: Door, lines: list[dict[str, Any]]) -> None:
    """Which check failed is logged with trace and tenant, and with nothing of what was sent."""
    sent = f"00-{'a' * 32}-{'b' * 16}-01"
    answer = await door.http.post(
        door.path, content=CANARY.encode(), headers={"x-postbox-signature": f"sha256={CANARY}", "traceparent": sent}
    )
    assert answer.status_code == 401
    refused = next(line for line in lines if line["message"].startswith("webhook refused"))
    assert (refused["trace_id"], refused["tenant_id"]) == ("a" * 32, str(door.tenant.tenant_id))
    assert CANARY not in json.dumps(lines)


async def _traceparents(opened: Database, door: Door) -> dict[str, str]:
    async with opened.tenant(door.tenant.tenant_id) as con:
        rows = await con.fetch("select delivery_id, traceparent from delivery")
    return {str(row["delivery_id"]): row["traceparent"] for row in rows}


def _traceparent(span: ReadableSpan) -> str:
    assert span.context is not None
    return f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-"
