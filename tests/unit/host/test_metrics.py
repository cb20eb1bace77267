"""Metrics: what their names promise, what is shown when nothing is known, and bounds on labels."""

import math
import urllib.request
from dataclasses import dataclass

import pytest
from prometheus_client.parser import text_string_to_metric_families

from aiops_core.plugins import PluginRecord, PluginStatus
from aiops_host.watch.metrics import (
    ENHANCEMENT_SECONDS,
    FRESH_SECONDS,
    MOST_STEPS,
    MOST_TENANTS,
    OTHER,
    Backlog,
    Metrics,
    serve_metrics,
)

GOALS = {
    "enhancement_requests_total": "at least 95 % posted",
    "enhancement_success_rate": "at least 0.95",
    "enhancement_duration_seconds": "95 % within 120",
    "queue_depth": "below 100",
    "worker_active_count": "at least 1 per tenant",
    "database_pool_use": "below 0.8",
}


@dataclass(frozen=True)
class Counted:
    """What was counted."""

    depth: int = 7
    oldest_seconds: float = 42.5
    unknown_effects: int = 3
    parked_effects: int = 2
    quarantined: int = 1


@dataclass
class Clock:
    """A clock that is told the time."""

    now: float = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def sample(metrics: Metrics, name: str, /, **labels: str) -> float | None:
    """Return the value that a scrape would show."""
    return metrics.registry.get_sample_value(name, labels)


def shown(metrics: Metrics, name: str) -> list[dict[str, str]]:
    """Return the labels of every sample of a name."""
    return [s.labels for family in metrics.registry.collect() for s in family.samples if s.name == name]


def test_every_metric_states_its_unit_and_its_goal() -> None:
    """Whoever reads /metrics learns what a figure counts and from where on it is bad."""
    texts = {family.name: family.documentation for family in Metrics().registry.collect()}
    assert texts
    for name, text in texts.items():
        assert "Unit: " in text, name
        assert "Goal: " in text or text.endswith("No goal"), name
    for name, goal in GOALS.items():
        assert texts[name.removesuffix("_total")].endswith(goal), name


def test_latency_has_buckets_on_both_sides_of_its_goal() -> None:
    """The goal of 120 s is a bucket, and a missed goal shows by how much."""
    assert 120 in ENHANCEMENT_SECONDS
    assert max(ENHANCEMENT_SECONDS) >= 10 * 120
    metrics = Metrics()
    metrics.ended("posted", seconds=130)
    assert sample(metrics, "enhancement_duration_seconds_bucket", le="120.0") == 0
    assert sample(metrics, "enhancement_duration_seconds_bucket", le="150.0") == 1


def test_success_is_counted_from_zero() -> None:
    """Every way to end stands at zero before the first, so that no increase is lost, and the rate is not yet a number."""
    metrics = Metrics()
    for outcome in ("posted", "dead", "parked", "quarantined"):
        assert sample(metrics, "enhancement_requests_total", outcome=outcome) == 0
    rate = sample(metrics, "enhancement_success_rate")
    assert rate is not None
    assert math.isnan(rate)


def test_success_is_the_share_of_ended_enhancements() -> None:
    """Three notes on their tickets and one dead letter make 0.75, by the gauge and by the counters."""
    metrics = Metrics()
    for outcome in ("posted", "posted", "dead", "posted"):
        metrics.ended(outcome, seconds=1 if outcome == "posted" else None)
    assert sample(metrics, "enhancement_success_rate") == 0.75
    assert sample(metrics, "enhancement_requests_total", outcome="posted") == 3
    assert sample(metrics, "enhancement_requests_total", outcome="dead") == 1
    assert sample(metrics, "enhancement_duration_seconds_count") == 3


def test_a_replay_is_not_timed_from_its_first_webhook() -> None:
    """A note posted again after a week is a success, and says nothing about latency."""
    metrics = Metrics()
    metrics.ended("posted", seconds=None)
    assert sample(metrics, "enhancement_requests_total", outcome="posted") == 1
    assert sample(metrics, "enhancement_duration_seconds_count") == 0


def test_what_was_counted_is_shown() -> None:
    """Depth, age, doubt and workers per tenant appear as they were counted."""
    metrics = Metrics()
    metrics.backlog.show(Counted(), ["a", "b"])
    found = [
        sample(metrics, name)
        for name in (
            "queue_depth",
            "oldest_unfinished_seconds",
            "unknown_effects",
            "parked_effects",
            "quarantined_deliveries",
        )
    ]
    assert found == [7, 42.5, 3, 2, 1]
    assert shown(metrics, "worker_active_count") == [{"tenant": "a"}, {"tenant": "b"}]


def test_counts_that_are_not_renewed_disappear() -> None:
    """When PostgreSQL is away nobody counts: the last figures go, so that their absence can fire an alert."""
    clock = Clock()
    backlog = Backlog(clock)
    assert [s for family in backlog.collect() for s in family.samples] == []
    backlog.show(Counted(), ["a"])
    clock.now += FRESH_SECONDS
    assert len([s for family in backlog.collect() for s in family.samples]) == 6
    clock.now += 0.1
    assert [s for family in backlog.collect() for s in family.samples] == []


def test_tenants_beyond_the_bound_share_one_label() -> None:
    """A thousand tenants do not make a thousand series."""
    metrics = Metrics()
    metrics.backlog.show(Counted(), [f"t{n}" for n in range(1000)])
    labels = shown(metrics, "worker_active_count")
    assert len(labels) == MOST_TENANTS + 1
    assert labels[-1] == {"tenant": OTHER}


def test_steps_beyond_the_bound_share_one_label() -> None:
    """An agent that names its steps after tickets fills one label only."""
    metrics = Metrics()
    for number in range(MOST_STEPS + 50):
        metrics.step(f"step {number}", 0.1)
    assert len(shown(metrics, "aiops_step_seconds_count")) == MOST_STEPS + 1
    assert sample(metrics, "aiops_step_seconds_count", step=OTHER) == 50


def test_answers_are_labelled_by_installed_ticketing_tools_only() -> None:
    """Whoever invents ticketing tools in the address fills one label; statuses are classes."""
    metrics = Metrics()
    metrics.expect_webhooks(["jira"])
    before = len(shown(metrics, "aiops_webhook_answers_total"))
    metrics.answered("jira", 202, 0.004)
    metrics.answered("jira", 503, 0.004)
    for number in range(500):
        metrics.answered(f"invented-{number}", 401, 0.001)
    assert len(shown(metrics, "aiops_webhook_answers_total")) == before == 6
    assert sample(metrics, "aiops_webhook_answers_total", ticketing_tool="jira", status="2xx") == 1
    assert sample(metrics, "aiops_webhook_answers_total", ticketing_tool="jira", status="5xx") == 1
    assert sample(metrics, "aiops_webhook_answers_total", ticketing_tool=OTHER, status="4xx") == 500
    assert sample(metrics, "aiops_intake_seconds_count") == 502


def test_pool_use_is_read_at_each_scrape() -> None:
    """The share of connections in use is that of now, not of the last time somebody looked."""
    metrics, usage = Metrics(), [(5, 20), (18, 20)]
    metrics.show_pool(lambda: usage.pop(0))
    assert [sample(metrics, "database_pool_use") for _ in range(2)] == [0.25, 0.9]


@pytest.mark.parametrize(("status", "value"), [("loaded", 1), ("failed", 0), ("blocked", 0)])
def test_plugins_are_shown_with_their_status(status: PluginStatus, value: int) -> None:
    """A plugin that failed to load is a figure to alert on."""
    metrics = Metrics()
    metrics.show_plugins([PluginRecord(name="jira", distribution="aiops-jira", version="1.2", status=status)])
    assert sample(metrics, "aiops_plugin", name="jira", version="1.2", status=status) == value


def test_metrics_are_served_on_a_port_of_their_own() -> None:
    """What is scraped can be read by Prometheus' own parser, and the port is free again afterwards."""
    metrics = Metrics()
    metrics.backlog.show(Counted(), ["a"])
    port, stop = serve_metrics(metrics, "127.0.0.1", 0)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            text = answer.read().decode()
    finally:
        stop()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert families["queue_depth"].samples[0].value == 7
    assert "_created" not in text
    again, stop_again = serve_metrics(metrics, "127.0.0.1", port)
    stop_again()
    assert again == port
