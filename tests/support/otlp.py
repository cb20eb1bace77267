"""A collector of spans for tests: takes OTLP over HTTP and decodes it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan


@dataclass(frozen=True, slots=True)
class Span:
    """One span as it arrived; ids are hexadecimal, the parent's is empty for a root."""

    name: str
    service: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    failed: bool
    attributes: dict[str, str | int]


@dataclass
class Collector:
    """What arrived: every request's bytes as they were, and the spans in them."""

    url: str = ""
    raw: list[bytes] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)

    def take(self, path: str, body: bytes) -> int:
        """Decode one request and return the status to answer."""
        if path != "/v1/traces":
            return 404
        self.raw.append(body)
        self.spans.extend(decoded(body))
        return 200

    def trace(self, trace_id: str) -> dict[str, Span]:
        """Return the spans of one trace by their ids."""
        return {span.span_id: span for span in list(self.spans) if span.trace_id == trace_id}


def decoded(body: bytes) -> Iterator[Span]:
    """Yield the spans of an export request."""
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        about = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield _span(about["service.name"], span)


def _span(service: str, span: WireSpan) -> Span:
    values = {pair.key: getattr(pair.value, str(pair.value.WhichOneof("value"))) for pair in span.attributes}
    return Span(
        name=span.name,
        service=service,
        kind=WireSpan.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        failed=span.status.code == 2,
        attributes=values,
    )


@contextmanager
def collector() -> Iterator[Collector]:
    """Run a collector on a random loopback port inside the block."""
    collecting = Collector()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            status = collecting.take(self.path, self.rfile.read(int(self.headers["content-length"])))
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    collecting.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield collecting
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
