"""What can be counted and timed, for Prometheus. Labels are bounded: no ticket, delivery or person is one."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from aiops_core.plugins import PluginRecord

log = logging.getLogger(__name__)

ENHANCEMENT_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 45, 60, 90, 120, 150, 180, 300, 600, 1800)
"""Past the goal of 120 s on both sides, so that a missed goal shows by how much."""
STEP_SECONDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 110)
INTAKE_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 2.5, 10)
MOST_TENANTS = 200
MOST_STEPS = 100
OTHER = "other"


class Metrics:
    """The metrics of one process, in a registry of their own."""

    def __init__(self) -> None:
        """Register everything at zero."""
        self.registry = CollectorRegistry()
        self._count()
        self._time()
        self._gauge()
        self._step_names: set[str] = set()
        self._posted = 0
        self._ended = 0

    def _count(self) -> None:
        self.webhooks = Counter(
            "aiops_webhooks_total",
            "Webhooks by what became of them",
            ("ticketing_tool", "outcome"),
            registry=self.registry,
        )
        self.enhancements = Counter(
            "enhancement_requests_total",
            "Deliveries that asked for a note, by how they ended",
            ("outcome",),
            registry=self.registry,
        )
        self.tokens = Counter("aiops_llm_tokens_total", "Tokens of language models", ("kind",), registry=self.registry)
        self.lease_steals = Counter(
            "aiops_lease_steals_total", "Leases that ended while their work went on", registry=self.registry
        )
        self.observer_failures = Counter(
            "aiops_observer_failures_total", "Failures of observing plugins", registry=self.registry
        )

    def _time(self) -> None:
        self.intake = Histogram(
            "aiops_intake_seconds",
            "From a webhook's first byte to its answer",
            buckets=INTAKE_SECONDS,
            registry=self.registry,
        )
        self.enhancement_seconds = Histogram(
            "enhancement_duration_seconds",
            "From a webhook to its note on the ticket",
            buckets=ENHANCEMENT_SECONDS,
            registry=self.registry,
        )
        self.steps = Histogram(
            "aiops_step_seconds", "Steps of runs", ("step",), buckets=STEP_SECONDS, registry=self.registry
        )

    def _gauge(self) -> None:
        self.success = Gauge(
            "enhancement_success_rate",
            "Share of ended enhancements whose note is on the ticket, of this process",
            registry=self.registry,
        )
        self.queue_depth = Gauge(
            "queue_depth", "Deliveries and notes that wait or are worked on", registry=self.registry
        )
        self.oldest = Gauge(
            "oldest_unfinished_seconds", "Age of the oldest delivery that has not ended", registry=self.registry
        )
        self.doubtful = Gauge(
            "aiops_needs_attention",
            "Deliveries and notes a person should look at, by state",
            ("state",),
            registry=self.registry,
        )
        self.active = Gauge(
            "worker_active_count", "Workers that can take up a tenant's work", ("tenant",), registry=self.registry
        )
        self.running = Gauge("aiops_running", "Deliveries this worker works on", registry=self.registry)
        self.pool = Gauge(
            "database_pool_use", "Share of this process's PostgreSQL connections in use", registry=self.registry
        )
        self.plugins = Gauge(
            "aiops_plugin", "Installed plugins: 1 when loaded", ("name", "version", "status"), registry=self.registry
        )

    def ended(self, outcome: str, *, posted: bool, seconds: float) -> None:
        """Count an enhancement that ended; one that posted is timed from its webhook."""
        self.enhancements.labels(outcome).inc()
        self._ended += 1
        if posted:
            self._posted += 1
            self.enhancement_seconds.observe(seconds)
        self.success.set(self._posted / self._ended)

    def step(self, name: str, seconds: float) -> None:
        """Time a step; an agent that invents ever new names fills one label only."""
        if len(self._step_names) < MOST_STEPS:
            self._step_names.add(name)
        self.steps.labels(name if name in self._step_names else OTHER).observe(seconds)

    def show_plugins(self, records: Iterable[PluginRecord]) -> None:
        """Show the installed plugins, loaded or not."""
        for record in records:
            self.plugins.labels(record.name, record.version, record.status).set(record.status == "loaded")

    def active_for(self, tenants: list[str]) -> None:
        """Set for which tenants this worker takes up work; beyond ``MOST_TENANTS`` they share one label."""
        self.active.clear()
        for slug in tenants[:MOST_TENANTS]:
            self.active.labels(slug).set(1)
        if len(tenants) > MOST_TENANTS:
            self.active.labels(OTHER).set(1)


def serve_metrics(metrics: Metrics, host: str, port: int) -> tuple[int, Callable[[], None]]:
    """Answer ``/metrics`` on a port of its own, in a thread.

    Returns:
        The port, chosen by the system if 0 was asked for, and a function that ends the server.
    """
    server: WSGIServer
    thread: threading.Thread
    server, thread = start_http_server(port, addr=host, registry=metrics.registry)

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return int(server.server_port), stop
