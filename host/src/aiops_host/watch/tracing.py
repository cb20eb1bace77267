"""Spans over OTLP where the operator names a collector; nothing is made and nothing is sent otherwise."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
KINDS = {
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "consumer": SpanKind.CONSUMER,
    "internal": SpanKind.INTERNAL,
}

Attributes = Mapping[str, str | int | float | bool]

_propagator = TraceContextTextMapPropagator()


def configure(part: str) -> Callable[[], None]:
    """Export spans as ``aiops-<part>`` where the standard ``OTEL_EXPORTER_OTLP_*`` variables name a collector.

    Returns:
        A function that sends what is left and ends the export.
    """
    if not any(os.environ.get(name) for name in ENDPOINTS):
        return lambda: None
    # Half a second of imports, needed only where a collector is named.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    resource = Resource.create({"service.name": os.environ.get("OTEL_SERVICE_NAME", f"aiops-{part}")})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return provider.shutdown


@contextmanager
def span(
    name: str, *, kind: str = "internal", parent: str | None = None, attributes: Attributes | None = None
) -> Iterator[Span]:
    """Time the block as a span; an exception marks it failed by its type, never by its text.

    Args:
        name: What is done, without ids.
        kind: ``internal``, ``server``, ``client`` or ``consumer``.
        parent: The ``traceparent`` of another process's span; the current span by default.
        attributes: Bounded facts: no bodies, no secrets.
    """
    context = _propagator.extract({"traceparent": parent}) if parent else None
    tracer = trace.get_tracer("aiops")
    with tracer.start_as_current_span(
        name,
        context=context,
        kind=KINDS[kind],
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as current:
        try:
            yield current
        except BaseException as error:
            current.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise


def traceparent() -> str | None:
    """Return the current span as a ``traceparent``; ``None`` when nothing is traced."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return carrier.get("traceparent")


def trace_id(parent: str | None) -> str | None:
    """Return the trace's id in a ``traceparent``."""
    parts = (parent or "").split("-")
    return parts[1] if len(parts) == 4 else None  # noqa: PLR2004 - version, trace, span, flags
