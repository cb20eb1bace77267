"""What can be counted and timed, for Prometheus. Labels are bounded: no ticket, delivery or person is one.

Host and worker show the same names; what a process has no part in stays at zero or without a sample.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from aiops_core.plugins import PluginRecord

ENHANCEMENT_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 45, 60, 90, 120, 150, 180, 300, 600, 1800)
"""Past the goal of 120 s on both sides, so that a missed goal shows by how much."""
STEP_SECONDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 110)
LAG_SECONDS = (0.005, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
INTAKE_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 2.5, 10)
FRESH_SECONDS = 30.0
"""Older counts are not shown: a figure that nobody takes any more must be missing, not reassuring."""
MOST_TENANTS = 200
MOST_STEPS = 100
MOST_PROVIDERS = 50
OTHER = "other"
ENHANCEMENT_OUTCOMES = ("posted", "parked", "dead", "quarantined")
ANSWERS = ("2xx", "4xx", "5xx")
EGRESS_REASONS = ("address", "size")

# A second series for each counter and bucket, which no rule reads.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Counted(Protocol):
    """What was counted over all tenants."""

    @property
    def depth(self) -> int:
        """Deliveries that have not ended."""
        ...

    @property
    def oldest_seconds(self) -> float:
        """Age of the oldest of them, 0 without any."""
        ...

    @property
    def unknown_effects(self) -> int:
        """Writes that may have arrived."""
        ...

    @property
    def parked_effects(self) -> int:
        """Writes that cannot be verified."""
        ...

    @property
    def quarantined(self) -> int:
        """Deliveries in quarantine."""
        ...


class Backlog(Collector):
    """Gauges of what was counted last; they have no sample once that is too long ago."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Take a clock in seconds."""
        self._clock = clock
        self._counted: Counted | None = None
        self._tenants: Sequence[str] = ()
        self._until = 0.0

    def show(self, counted: Counted, tenants: Sequence[str] = ()) -> None:
        """Show the counts, and the tenants whose work this process takes up, until they are too old."""
        self._counted, self._tenants = counted, tenants
        self._until = self._clock() + FRESH_SECONDS

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Return every gauge, with samples where they are fresh."""
        counted = self._counted if self._clock() <= self._until else None
        for name, text, of in _BACKLOG:
            yield GaugeMetricFamily(name, text, value=None if counted is None else of(counted))
        yield self._active(self._tenants if counted is not None else ())

    def _active(self, tenants: Sequence[str]) -> GaugeMetricFamily:
        family = GaugeMetricFamily(
            "worker_active_count",
            "Workers that can take up a tenant's work. Unit: workers, summed over processes. Goal: at least 1 per tenant",
            labels=("tenant",),
        )
        for tenant in tenants[:MOST_TENANTS]:
            family.add_metric((tenant,), 1)
        if len(tenants) > MOST_TENANTS:
            family.add_metric((OTHER,), 1)
        return family


_BACKLOG: tuple[tuple[str, str, Callable[[Counted], float]], ...] = (
    (
        "queue_depth",
        "Deliveries that wait or are worked on. Unit: deliveries, over all tenants. Goal: below 100",
        lambda c: c.depth,
    ),
    (
        "oldest_unfinished_seconds",
        "Age of the oldest delivery that has not ended. Unit: seconds. Goal: at most 300, beyond it work is stuck",
        lambda c: c.oldest_seconds,
    ),
    (
        "unknown_effects",
        "Writes to tickets that may have arrived and are being looked for. Unit: writes. Goal: back to 0 within minutes",
        lambda c: c.unknown_effects,
    ),
    (
        "parked_effects",
        "Writes to tickets that cannot be verified and wait for a person. Unit: writes. Goal: 0",
        lambda c: c.parked_effects,
    ),
    (
        "quarantined_deliveries",
        "Deliveries in quarantine that wait for a person. Unit: deliveries. Goal: 0",
        lambda c: c.quarantined,
    ),
)


class Metrics:
    """The metrics of one process, in a registry of their own."""

    def __init__(self) -> None:
        """Register everything at zero."""
        self.registry = CollectorRegistry()
        self.backlog = Backlog()
        self.registry.register(self.backlog)
        self._enhance()
        self._receive()
        self._work()
        self._run_process()
        self._step_names: set[str] = set()
        self._providers: set[str] = set()
        self._tools: frozenset[str] = frozenset()
        self._posted = 0
        self._ended = 0

    def _enhance(self) -> None:
        self.enhancements = self._counter(
            "enhancement_requests_total",
            "Deliveries that asked for a note, by how they ended. Unit: deliveries. Goal: at least 95 % posted",
            "outcome",
        )
        for outcome in ENHANCEMENT_OUTCOMES:
            self.enhancements.labels(outcome)
        self.success = Gauge(
            "enhancement_success_rate",
            "Share of enhancements ended by this process whose note is on the ticket. Unit: ratio 0 to 1, NaN before the "
            "first. Goal: at least 0.95",
            registry=self.registry,
        )
        self.success.set(float("nan"))
        self.enhancement_seconds = self._histogram(
            "enhancement_duration_seconds",
            "From a webhook to its note on the ticket. Unit: seconds. Goal: 95 % within 120",
            ENHANCEMENT_SECONDS,
        )
        self.tokens = self._counter(
            "aiops_llm_tokens_total", "Tokens of language models. Unit: tokens. No goal", "kind"
        )

        self.llm_calls = self._counter(
            "aiops_llm_calls_total",
            "Calls to language models by provider and how they ended; left-out and budget were not made. Unit: calls. "
            "Goal: at least 95 % ok",
            "provider",
            "outcome",
        )
        self.breakers_open = self._gauge(
            "aiops_llm_breakers_open",
            "Providers this worker leaves out for a tenant because they failed. Unit: pairs of both. Goal: 0",
        )
        self.budgets = Gauge(
            "aiops_llm_budgets",
            "Budgets by how far they are used: warning from 80 %, reached at 100 %. Unit: budgets, over all tenants. "
            "Goal: 0 reached",
            ("level",),
            registry=self.registry,
        )

    def _receive(self) -> None:
        self.webhooks = self._counter(
            "aiops_webhook_answers_total",
            "Answers to webhooks by ticketing tool and class of status. Unit: answers. Goal: no 5xx",
            "ticketing_tool",
            "status",
        )
        self.intake = self._histogram(
            "aiops_intake_seconds",
            "From a webhook's head to its answer. Unit: seconds. Goal: 99 % within 0.05",
            INTAKE_SECONDS,
        )
        self.quarantined = self._counter(
            "quarantined_total",
            "Deliveries put into quarantine: unreadable, or their workers died. Unit: deliveries. Goal: 0",
        )

    def _work(self) -> None:
        self.duplicates = self._counter(
            "duplicate_effect_total", "Notes found on a ticket more than once. Unit: notes. Goal: 0"
        )
        self.lease_steals = self._counter(
            "lease_steals_total", "Leases that ended while their work went on. Unit: leases. Goal: 0"
        )
        self.egress_denied = self._counter(
            "egress_denied_total",
            "Calls of plugins that were refused or cut off, by reason. Unit: calls. Goal: 0",
            "reason",
        )
        for reason in EGRESS_REASONS:
            self.egress_denied.labels(reason)
        self.redaction_hits = self._counter(
            "redaction_hits_total",
            "Personal data replaced before a model saw it, by kind. Unit: pieces. No goal",
            "kind",
        )
        self.observer_failures = self._counter(
            "aiops_observer_failures_total", "Failures of observing plugins. Unit: events. Goal: 0"
        )
        self.steps = self._histogram(
            "aiops_step_seconds", "Steps of runs. Unit: seconds. Goal: a whole run within 110", STEP_SECONDS, "step"
        )
        self.running = self._gauge("aiops_running", "Deliveries this worker works on. Unit: deliveries. No goal")

    def _run_process(self) -> None:
        self.rls_self_check = self._gauge(
            "rls_self_check",
            "Whether roles and tables kept tenants apart when this process started. Unit: 1 when they did. Goal: 1",
        )
        self.pool = self._gauge(
            "database_pool_use",
            "Share of this process's PostgreSQL connections in use. Unit: ratio 0 to 1. Goal: below 0.8",
        )
        self.loop_lag = self._histogram(
            "event_loop_lag_seconds",
            "How late this process's event loop woke, looked at twenty times a second: what blocks it holds up all work. "
            "Unit: seconds. Goal: at most 0.25",
            LAG_SECONDS,
        )
        self.longest_lag = self._gauge(
            "event_loop_lag_max_seconds",
            "The latest it woke within the last minute. Unit: seconds. Goal: at most 0.25",
        )
        self.longest_turn = self._gauge(
            "event_loop_turn_max_seconds",
            "The most processor time it used between two looks within the last minute; a lag far beyond it is a wait for the "
            "processor, or a call that blocks. Unit: seconds. Goal: at most 0.25",
        )
        self.plugins = Gauge(
            "aiops_plugin",
            "Installed plugins. Unit: 1 when loaded, else 0. Goal: 1",
            ("name", "version", "status"),
            registry=self.registry,
        )

    def ended(self, outcome: str, *, seconds: float | None = None) -> None:
        """Count an enhancement that ended; one that posted is timed from its webhook where ``seconds`` are given."""
        self.enhancements.labels(outcome).inc()
        self._ended += 1
        self._posted += outcome == "posted"
        if seconds is not None:
            self.enhancement_seconds.observe(seconds)
        self.success.set(self._posted / self._ended)

    def answered(self, ticketing_tool: str, status: int, seconds: float) -> None:
        """Count and time the answer to a webhook; what is no installed ticketing tool shares one label."""
        tool = ticketing_tool if ticketing_tool in self._tools else OTHER
        self.webhooks.labels(tool, f"{status // 100}xx").inc()
        self.intake.observe(seconds)

    def step(self, name: str, seconds: float) -> None:
        """Time a step; an agent that invents ever new names fills one label only."""
        if len(self._step_names) < MOST_STEPS:
            self._step_names.add(name)
        self.steps.labels(name if name in self._step_names else OTHER).observe(seconds)

    def llm_call(self, provider: str, outcome: str) -> None:
        """Count a call to a language model; providers beyond the first fifty share one label."""
        if len(self._providers) < MOST_PROVIDERS:
            self._providers.add(provider)
        self.llm_calls.labels(provider if provider in self._providers else OTHER, outcome).inc()

    def show_breakers(self, count: Callable[[], int]) -> None:
        """Show at each scrape how many providers are left out."""
        self.breakers_open.set_function(count)

    def show_budgets(self, levels: Mapping[str, int]) -> None:
        """Show how many budgets there are at each level."""
        for level, number in levels.items():
            self.budgets.labels(level).set(number)

    def show_plugins(self, records: Iterable[PluginRecord]) -> None:
        """Show the installed plugins, loaded or not."""
        for record in records:
            self.plugins.labels(record.name, record.version, record.status).set(record.status == "loaded")

    def expect_webhooks(self, ticketing_tools: Iterable[str]) -> None:
        """Show the answers to these ticketing tools' webhooks, from zero on."""
        self._tools = frozenset(ticketing_tools)
        for tool in (*sorted(self._tools), OTHER):
            for status in ANSWERS:
                self.webhooks.labels(tool, status)

    def show_pool(self, usage: Callable[[], tuple[int, int]]) -> None:
        """Show the pools' use at each scrape; ``usage`` returns connections in use and the most there may be."""

        def share() -> float:
            busy, most = usage()
            return busy / most

        self.pool.set_function(share)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: Sequence[float], *labels: str) -> Histogram:
        return Histogram(name, text, labels, buckets=buckets, registry=self.registry)


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
