"""What the pages of runs, plugins and health make of the host's answers, without a server."""

from datetime import UTC, datetime, timedelta
from typing import Any, get_args
from uuid import UUID

import msgspec
import pytest
from tests.unit.admin.test_trees import elements, texts

from aiops_admin import words
from aiops_admin.pages.connection_view import connection_sheet, rotated_dialog
from aiops_admin.pages.health_view import Seen, health_view
from aiops_admin.pages.plugins import plugin_list
from aiops_admin.pages.run_detail import run_detail
from aiops_admin.pages.run_list import Listing, run_list
from aiops_admin.pages.steps import steps
from aiops_admin.safe import Node
from aiops_admin.wire import (
    ConnectionHealth,
    Delivery,
    Figure,
    InstallationFigures,
    Plugin,
    Readiness,
    Run,
    RunDetail,
    RunPage,
    Step,
    TenantFigures,
    TenantLine,
)
from aiops_admin.wire_doors import Connection as DoorConnection
from aiops_admin.wire_doors import Endpoint, Explanation, RotatedSecret, SecretVersion
from aiops_host.data.figures import ConnectionStatus

NOW = datetime(2026, 11, 2, 8, 30, tzinfo=UTC)
ID = UUID(int=7)


def run(**changes: Any) -> Run:
    """Return a run whose note was posted."""
    known = {"id": ID, "attempt": 1, "agent": "enhance", "state": "finished", "started_at": NOW, "outcome": "posted"}
    return Run(**(known | {"finished_at": NOW + timedelta(seconds=2), "ticket_id": "T-1"} | changes))


def step(number: int = 1, **changes: Any) -> Step:
    """Return a step."""
    return Step(**({"number": number, "name": "gather", "started_at": NOW, "milliseconds": 100.0} | changes))


def shown(**changes: Any) -> Listing:
    """Return a list of runs as it is shown first."""
    known: dict[str, Any] = {"page": RunPage(items=()), "has_tenant": True, "filtered": False, "first": True}
    return Listing(**(known | {"live": True, "link": str, "deliveries": "/deliveries"} | changes))


def seen(**changes: Any) -> Seen:
    """Return what a technician's page knows."""
    known: dict[str, Any] = {
        "readiness": Readiness(status="ready"),
        "tenant": "harbor",
        "figures": None,
        "connections": None,
        "installation": None,
        "operator": False,
        "may_manage": False,
        "live": True,
        "troubled": lambda state: f"/deliveries?state={state}",
    }
    return Seen(**(known | changes))


def detail(found: RunDetail) -> Node:
    """Return a run's page."""
    return run_detail(found, back="?", delivery="/deliveries", others="/runs")


def test_every_outcome_of_the_host_has_words() -> None:
    """No outcome the host answers is shown by its raw name."""
    outcomes = {"posted", "posting", "checking", "parked", "refused", "kept", "dry-run", "failed"}
    assert set(words.RUNS) == outcomes
    assert words.outcome_of(run(outcome="brand-new"))[0] == "brand-new"


@pytest.mark.parametrize(
    ("changes", "heading"),
    [
        ({"has_tenant": False}, "You belong to no tenant yet"),
        ({}, "No run yet"),
        ({"filtered": True}, "Nothing matches"),
        ({"first": False}, "No older runs"),
    ],
)
def test_an_empty_list_of_runs_says_what_to_do(changes: dict[str, Any], heading: str) -> None:
    """Each reason for an empty list has its own words."""
    assert heading in texts(run_list(shown(**changes)))


def test_a_ticket_is_called_as_people_read_it() -> None:
    """The number stands in the list and over the run, where the ticketing tool has one beside its id."""
    numbered = run(ticket_id="900017", ticket_number="INC-17")
    assert "INC-17" in texts(run_list(shown(page=RunPage(items=(numbered,)))))
    assert "Ticket INC-17" in texts(detail(RunDetail(run=numbered)))


def test_a_run_without_note_or_evidence_says_so() -> None:
    """A run that broke off shows why, and no empty box."""
    found = set(texts(detail(RunDetail(run=run(outcome="failed", state="failed", reason="No model answered.")))))
    assert {"No model answered.", "The run recorded no step."} <= found
    assert any("broke off before its note was written" in text for text in found)
    assert any("Nothing was found" in text for text in found)


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({}, []),
        ({"model": "m"}, ["m"]),
        ({"model": "m", "prompt_tokens": 1000, "completion_tokens": 500}, ["m", "1,500 tokens"]),
        ({"model": "m", "cost_usd": 0.00042}, ["m", "$0.0004"]),
        ({"model": "m", "cost_usd": 12.5}, ["m", "$12.50"]),
    ],
)
def test_what_a_step_used_is_told(changes: dict[str, Any], parts: list[str]) -> None:
    """Model, tokens and cost, each only where there is one."""
    assert words.used_by(step(**changes)) == parts


def test_steps_lie_on_one_line_of_time() -> None:
    """A bar begins where its step began and is as long as it took, and even the shortest is visible."""
    tree = steps([step(1, milliseconds=750.0), step(2, started_at=NOW + timedelta(milliseconds=999), milliseconds=1.0)])
    bars = [bar["a"] for bar in elements(tree, "span") if bar["a"].get("class") == "bar"]
    assert [(bar["data-from"], bar["data-span"]) for bar in bars] == [("0.00", "75.00"), ("99.40", "0.60")]


@pytest.mark.parametrize(
    ("score", "expected"), [([0.5, 0.25], ["100", "50"]), ([0.5], []), ([0.0, 0.0], []), ([-1.0, -2.0], [])]
)
def test_scores_are_compared_within_one_source(score: list[float], expected: list[str]) -> None:
    """A bar stands beside a score only where there is another of its source to compare it with."""
    items = [{"source": "ticket", "ref": f"T-{n}", "title": "t", "text": "x", "score": s} for n, s in enumerate(score)]
    items.append({"source": "article", "ref": "a", "title": "t", "text": "x", "score": 9.0})
    tree = detail(RunDetail(run=run(), draft={"evidence": items}))
    bars = [bar["a"]["data-span"] for bar in elements(tree, "span") if bar["a"].get("class") == "bar"]
    assert bars == expected


def test_evidence_is_numbered_as_the_note_numbers_it() -> None:
    """The note leaves out what no claim rests on and counts the rest anew; what it left out follows unnumbered."""
    items = [{"source": "ticket", "ref": ref, "title": ref, "text": "x"} for ref in ("T-1", "T-12", "T-2")]
    listed = [
        "[1] ticket T-2: T-2, 2026-01-01",
        {"type": "link", "text": "[2] ticket T-1: T-1", "url": "https://x.example"},
    ]
    enhancement = {"body": [{"type": "list", "items": listed}]}
    tree = detail(RunDetail(run=run(), draft={"evidence": items}, enhancement=enhancement))
    found = [list(texts(item))[:3] for item in elements(tree, "li")][-3:]
    assert found == [["[1]", "ticket", "T-2"], ["[2]", "ticket", "T-1"], ["ticket", "T-12", "T-12"]]
    assert "Found, but not cited" in texts(tree)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "share", "—"),
        (0.9876, "share", "98.8 %"),
        (1.0, "share", "100 %"),
        (8.24, "seconds", "8.2 s"),
        (120.0, "seconds", "120 s"),
        (1919.0, "seconds", "32 min"),
        (90_000.0, "seconds", "25 h"),
        (3.0, "deliveries", "3"),
    ],
)
def test_a_figure_is_written_for_people(value: float | None, unit: str, text: str) -> None:
    """Shares as per cent, times in seconds, counts as they are."""
    assert words.quantity(value, unit) == text


@pytest.mark.parametrize(
    ("met", "words_"), [(True, "Goal met"), (False, "Goal missed"), (None, "Nothing to judge yet")]
)
def test_a_figure_says_whether_its_goal_is_met(met: bool | None, words_: str) -> None:
    """The card has the goal's line and the verdict in words, not in colour alone."""
    figure = Figure(name="success-rate", unit="share", rule="at-least", goal=0.95, detail="d", met=met)
    found = list(texts(health_view(seen(figures=TenantFigures(hours=24, figures=(figure,))))))
    assert words_ in found
    assert "Goal: at least 95 %" in found


@pytest.mark.parametrize(
    ("status", "may_manage", "buttons"),
    [("paused", True, 1), ("paused", False, 0), ("failing", True, 0), ("ok", True, 0)],
)
def test_only_who_may_resumes_only_what_is_paused(status: str, *, may_manage: bool, buttons: int) -> None:
    """A button stands beside a paused connection for its administrators."""
    connection = ConnectionHealth(id=ID, name="Desk", ticketing_tool="jira", status=status)
    tree = health_view(seen(connections=(connection,), may_manage=may_manage))
    assert len(list(elements(tree, "button"))) == buttons


def test_every_state_of_a_connection_has_words() -> None:
    """No status the host answers is shown by its raw name, and only one that works is green."""
    assert set(words.CONNECTIONS) == set(get_args(ConnectionStatus))
    assert [status for status, (_, tone, _) in words.CONNECTIONS.items() if tone == "success"] == ["ok"]


def test_a_secret_s_last_use_is_told_as_far_as_it_is_known() -> None:
    """It is written down while there is another: what is older than the newest secret tells nothing of the time since."""

    def used(*last: datetime | None) -> list[Any]:
        secrets = tuple(
            SecretVersion(version=number, current=number == len(last), created_at=NOW, last_used_at=moment)
            for number, moment in sorted(enumerate(last, 1), reverse=True)
        )
        tree = connection_sheet(
            DoorConnection(id=ID, name="Desk", ticketing_tool="jira", state="active", created_at=NOW),
            Explanation(endpoint=Endpoint(id="e", webhook_url="/w", secrets=secrets), summary="s"),
            may_manage=False,
        )
        return [cell["c"][0] for cell in elements(tree, "td") if cell["a"]["data-label"] == "Last used"]

    early, late = NOW - timedelta(days=1), NOW + timedelta(days=1)
    assert used(late) == ["Not kept for the only one"]
    assert used(early, None) == ["Not yet", "Not since 2 was made"]
    assert [used(late, late)[n]["a"]["datetime"] for n in (0, 1)] == [late.isoformat()] * 2


def test_a_silent_installation_tells_how_to_start_a_worker() -> None:
    """Without a worker the operator reads the command; with one tenant there is no table of tenants."""
    line = TenantLine(
        slug="harbor", name="Harbor", state="active", ended=0, posted=0, waiting=0, oldest_seconds=0, needs_attention=0
    )
    installation = InstallationFigures(hours=24, figures=(), tenants=(line,))
    found = list(texts(health_view(seen(operator=True, installation=installation))))
    assert "aiops worker" in found
    assert "Tenants" not in found


def test_contributions_are_grouped_by_kind() -> None:
    """Several of a kind stand under one heading; a failed plugin shows its error and what to do instead."""
    good = Plugin(name="a", distribution="d", version="1", status="loaded", contributes=("tool x", "tool y", "agent z"))
    bad = Plugin(name="b", distribution="e", version="1", status="failed", error="No module named 'x'")
    found = list(texts(plugin_list((good, bad))))
    assert {"Tools", "x", "y", "Agent", "z", "No module named 'x'"} <= set(found)
    assert "b did not load. Mend or uninstall it, then restart host and worker." in found
    assert "No plugin yet" in texts(plugin_list(()))


@pytest.mark.parametrize(
    ("changes", "may"),
    [
        ({"state": "dead"}, True),
        ({"state": "done"}, True),
        ({"state": "queued", "attempt": 1}, True),
        ({"state": "queued", "attempt": 0}, False),
        ({"state": "queued", "attempt": 1, "waits_for": "Desk"}, False),
        ({"state": "running"}, False),
        ({"state": "posting"}, False),
        ({"state": "quarantined", "ticket_id": None}, False),
    ],
)
def test_what_can_be_run_again_is_offered(changes: dict[str, Any], *, may: bool) -> None:
    """Neither what is under way or about to begin, nor what waits for its connection or names no ticket."""
    known = {"id": ID, "received_at": NOW, "connection": "Desk", "ticketing_tool": "jira", "ticket_id": "T-1"}
    assert words.replayable(Delivery(**(known | changes))) is may


def test_the_secret_a_rotation_ended_is_named() -> None:
    """Beside those that stay valid, and only where there is one."""
    made = RotatedSecret(webhook_url="https://a.example/w", webhook_secret="s", previous_until=NOW)
    assert "ended" not in "".join(texts(rotated_dialog(made)))
    third = msgspec.structs.replace(made, ended=(1,))
    assert "Version 1 ended now." in "".join(texts(rotated_dialog(third)))
