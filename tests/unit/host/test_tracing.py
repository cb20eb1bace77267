"""Spans: none where no collector is named, children of another process's, and nothing private in them."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from aiops_core.errors import ConfigInvalid
from aiops_host.watch import tracing
from aiops_host.watch.tracing import annotate, configure, span, trace_id, traceparent

PARENT = f"00-{'a' * 32}-{'b' * 16}-01"


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Spans are exported to here."""
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "_tracer", provider.get_tracer("test"))
    yield exporter
    provider.shutdown()


def test_without_a_collector_nothing_is_traced() -> None:
    """No span is made, no trace begins, and neither the SDK nor its exporter is loaded."""
    code = (
        "import sys\n"
        "from aiops_host.watch.tracing import configure, span, traceparent\n"
        "end = configure('worker')\n"
        "with span('work', parent='00-' + 'a' * 32 + '-' + 'b' * 16 + '-01') as current:\n"
        "    assert not current.is_recording() and traceparent() is None\n"
        "end()\n"
        "loaded = [n for n in sys.modules if n.startswith(('opentelemetry.sdk.trace', 'opentelemetry.exporter', 'requests'))]\n"
        "assert not loaded, loaded\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"])
def test_another_protocol_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Spans that a collector would not understand are not sent in silence: the variable to change is named."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv(name, "grpc")
    with pytest.raises(ConfigInvalid, match=name):
        configure("host")


def test_a_span_continues_the_trace_of_another_process(exported: InMemorySpanExporter) -> None:
    """The child of a ``traceparent`` is in its trace; what is done inside is its child in turn."""
    with span("delivery", kind="consumer", parent=PARENT):
        inside = traceparent()
        with span("tool"):
            pass
    child, parent = exported.get_finished_spans()
    assert trace_id(inside) == "a" * 32
    assert parent.context is not None
    assert parent.parent is not None
    assert f"{parent.parent.span_id:016x}" == "b" * 16
    assert child.parent == parent.context
    assert inside == f"00-{'a' * 32}-{parent.context.span_id:016x}-01"


def test_a_failed_span_names_the_type_only(exported: InMemorySpanExporter) -> None:
    """What an error says may quote a body or a secret: a span has its type."""
    with pytest.raises(ValueError, match="canary"), span("tool"):
        raise ValueError("canary")
    (failed,) = exported.get_finished_spans()
    assert failed.status.description == "ValueError"
    assert "canary" not in failed.to_json()
    assert failed.events == ()


def test_facts_are_added_to_the_current_span(exported: InMemorySpanExporter) -> None:
    """What is learnt on the way, such as the delivery's id, stands in the span that is open."""
    annotate(delivery_id="before any span")
    with span("webhook", attributes={"a": 1}):
        annotate(delivery_id="d")
    (done,) = exported.get_finished_spans()
    assert dict(done.attributes or {}) == {"a": 1, "delivery_id": "d"}


@pytest.mark.parametrize(("parent", "found"), [(PARENT, "a" * 32), (None, None), ("", None), ("junk", None)])
def test_the_trace_id_is_read_from_a_traceparent(parent: str | None, found: str | None) -> None:
    """Log lines name the trace even where nothing is exported."""
    assert trace_id(parent) == found
