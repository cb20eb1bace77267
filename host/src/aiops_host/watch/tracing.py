"""Spans over OTLP where the operator names a collector; nothing is made and nothing is sent otherwise."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from aiops_core.errors import ConfigInvalid

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
PROTOCOL = "http/protobuf"
LAST_SENDING_SECONDS = 5.0
"""A stopping process waits no longer for a collector that does not answer."""
KINDS = {
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
    "internal": SpanKind.INTERNAL,
}

Attributes = Mapping[str, str | int | float | bool]

_UNTRACED: AbstractContextManager[Span] = nullcontext(trace.INVALID_SPAN)
_propagator = TraceContextTextMapPropagator()
_tracer: trace.Tracer | None = None
"""Made by :func:`configure` where spans are exported."""


def configure(part: str) -> Callable[[], None]:
    """Export spans as ``aiops-<part>`` where the standard ``OTEL_EXPORTER_OTLP_*`` variables name a collector.

    Returns:
        A function that sends what is left and ends the export.

    Raises:
        ConfigInvalid: The variables ask for another protocol than protobuf over HTTP.
    """
    if not any(os.environ.get(name) for name in ENDPOINTS):
        return lambda: None
    for name in PROTOCOLS:
        if os.environ.get(name, PROTOCOL) != PROTOCOL:
            raise ConfigInvalid(
                f"{name}: spans are sent as {PROTOCOL} only; unset it and name the collector's HTTP port."
            )
    # Half a second of imports, needed only where a collector is named.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    resource = Resource.create({"service.name": os.environ.get("OTEL_SERVICE_NAME", f"aiops-{part}")})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    exporter: Any = OTLPSpanExporter()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    global _tracer  # noqa: PLW0603 - one per process, as in the SDK itself
    _tracer = provider.get_tracer("aiops")

    def end() -> None:
        # The SDK waits 30 s for a collector that is away, whatever it is told.
        sending = threading.Thread(target=provider.shutdown, daemon=True)
        sending.start()
        sending.join(LAST_SENDING_SECONDS)
        exporter.shutdown()

    return end


def span(
    name: str, *, kind: str = "internal", parent: str | None = None, attributes: Attributes | None = None
) -> AbstractContextManager[Span]:
    """Time the block as a span where spans are exported; an exception marks it failed by its type, never by its text.

    Args:
        name: What is done, without ids.
        kind: ``internal``, ``server``, ``client``, ``producer`` or ``consumer``.
        parent: The ``traceparent`` of another process's span; the current span by default.
        attributes: Bounded facts: no bodies, no secrets.
    """
    return _UNTRACED if _tracer is None else _traced(_tracer, name, kind, parent, attributes)


@contextmanager
def _traced(
    tracer: trace.Tracer, name: str, kind: str, parent: str | None, attributes: Attributes | None
) -> Iterator[Span]:
    context = _propagator.extract({"traceparent": parent}) if parent else None
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
            _failed(current, error)
            raise


def begun(name: str, *, kind: str = "internal") -> Span:
    """Begin a span below the current one that outlives the block it begins in; :func:`ended` ends it."""
    return trace.INVALID_SPAN if _tracer is None else _tracer.start_span(name, kind=KINDS[kind])


def ended(span: Span, error: BaseException | None = None) -> None:
    """End a span, as failed by the error's type if there is one."""
    if error is not None:
        _failed(span, error)
    span.end()


def _failed(span: Span, error: BaseException) -> None:
    span.set_status(Status(StatusCode.ERROR, type(error).__name__))


def annotate(**attributes: str | int) -> None:
    """Add bounded facts to the current span, if there is one: no bodies, no secrets."""
    if _tracer is not None:
        trace.get_current_span().set_attributes(attributes)


def traceparent() -> str | None:
    """Return the current span as a ``traceparent``; ``None`` where nothing is traced."""
    if _tracer is None:
        return None
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return carrier.get("traceparent")


def trace_id(parent: str | None) -> str | None:
    """Return the trace's id in a ``traceparent``."""
    parts = (parent or "").split("-")
    return parts[1] if len(parts) == 4 else None  # noqa: PLR2004 - version, trace, span, flags
