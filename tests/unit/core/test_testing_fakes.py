"""The test doubles for authors of plugins keep the contract's promises."""

from __future__ import annotations

import asyncio
import traceback
from datetime import timedelta

import pytest

from aiops_core import (
    AiopsError,
    Claim,
    Evidence,
    HttpFailed,
    LLMUnavailable,
    NoteDraft,
    NoteSection,
    Ticket,
    check_draft,
)
from aiops_core.testing.checks import assert_aware, assert_typed, mutated_bodies, no_io
from aiops_core.testing.fakes import (
    Answer,
    FakeHttp,
    FakeServices,
    FrozenClock,
    HangingHttp,
    InMemoryAssets,
    InMemoryHistory,
    InMemoryKnowledge,
    RecordingLog,
    ScriptedBackend,
    SystemClock,
    make_evidence,
    make_request,
    make_ticket,
)
from aiops_core.tickets import TicketComment


def test_frozen_clock_moves_only_when_told() -> None:
    """Both of its times stand still until advanced, and advance together."""
    clock = FrozenClock()
    now, seconds = clock.now(), clock.monotonic()
    assert (clock.now(), clock.monotonic()) == (now, seconds)
    clock.advance(90)
    assert clock.now() - now == timedelta(seconds=90)
    assert clock.monotonic() - seconds == 90
    assert_aware(now)
    assert_aware(SystemClock().now())


def test_log_keeps_formatted_lines() -> None:
    """Lines are kept by level with their arguments put in."""
    log = RecordingLog()
    log.debug("a %s", 1)
    log.info("100 %")
    log.warning("b %d %s", 2, "c")
    assert log.lines == [("debug", "a 1"), ("info", "100 %"), ("warning", "b 2 c")]
    assert log.text == "a 1\n100 %\nb 2 c"


async def test_http_answers_by_its_function() -> None:
    """A request is recorded and answered; header names of either side do not depend on case."""
    http = FakeHttp(lambda request: Answer(201, json={"path": request.url}, headers={"Retry-After": "7"}))
    answer = await http.request("POST", "https://desk.example/a", headers={"Accept": "x"}, content=b"{}")
    assert (answer.status_code, answer.content) == (201, b'{"path":"https://desk.example/a"}')
    assert answer.headers["retry-after"] == "7"
    assert dict(answer.headers) == {"retry-after": "7"}
    (sent,) = http.requests
    assert (sent.method, sent.headers["ACCEPT"], sent.content) == ("POST", "x", b"{}")


async def test_http_without_a_peer_refuses() -> None:
    """Without a function nothing is reached; a silent peer ends with the request's timeout as sent."""
    with pytest.raises(HttpFailed) as refused:
        await FakeHttp().request("GET", "https://desk.example/")
    assert refused.value.sent is False
    with pytest.raises(HttpFailed) as silent:
        await HangingHttp().request("GET", "https://desk.example/", timeout=0.01)
    assert silent.value.sent is True


async def test_records_are_ranked_by_shared_words() -> None:
    """History and knowledge base return what shares most words first, within the limit, and nothing unrelated."""
    items = [
        Evidence(source="ticket", ref=str(n), title=t, text="") for n, t in enumerate(["vpn drops", "vpn", "printer"])
    ]
    assert [e.ref for e in await InMemoryHistory(items).similar("The VPN drops")] == ["0", "1"]
    assert [e.ref for e in await InMemoryKnowledge(items).search("The VPN drops", limit=1)] == ["0"]
    assert await InMemoryHistory(items).similar("mail") == []


async def test_assets_are_found_by_whole_words() -> None:
    """An asset is found by its address or name in any case, not by a part of it."""
    asset = Evidence(source="asset", ref="A1", title="LAPTOP-0042", text="Laptop of Dana Kim (10.20.30.40).")
    inventory = InMemoryAssets([asset])
    assert await inventory.find(["laptop-0042"]) == [asset]
    assert await inventory.find(["10.20.30.40", "x"]) == [asset]
    assert await inventory.find(["10.20.30.4"]) == []
    assert await inventory.find([]) == []


async def test_failing_services_fail_and_hanging_ones_hang() -> None:
    """The failing services raise at once; the hanging ones end only by cancellation."""
    failing, hanging = FakeServices.failing(), FakeServices.hanging()
    for call in (failing.history.similar("x"), failing.knowledge.search("x"), failing.assets.find(["x"])):
        with pytest.raises(AiopsError):
            await call
    for call in (hanging.history.similar("x"), hanging.knowledge.search("x"), hanging.assets.find(["x"])):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(call, 0.01)


async def test_scripted_backend_answers_in_turn() -> None:
    """Drafts, texts and errors come in the order of the script; then the backend is unavailable."""
    draft = NoteDraft((NoteSection("summary", (Claim("A", (1,)),)),))
    backend = ScriptedBackend(draft, "It drops [1].", LLMUnavailable("busy"))
    request = make_request()
    assert (await backend.complete(request)).draft == draft
    assert (await backend.complete(request)).draft == NoteDraft((NoteSection("summary", (Claim("It drops.", (1,)),)),))
    with pytest.raises(LLMUnavailable, match="busy"):
        await backend.complete(request)
    with pytest.raises(LLMUnavailable):
        await backend.complete(request)
    assert backend.requests == [request] * 4
    assert (await backend.check_health()).status == "ok"


def test_made_records_are_sound() -> None:
    """The ticket, evidence and request made for tests hold what their types declare."""
    assert_typed(make_ticket(), Ticket)
    assert make_ticket(title="Other").title == "Other"
    for item in make_evidence():
        assert_typed(item, Evidence)
    request = make_request(max_tokens=5)
    assert request.max_tokens == 5
    assert all(f"[{n}] {e.title}" in request.messages[2].content for n, e in enumerate(request.evidence, 1))
    assert check_draft(NoteDraft((), evidence=request.evidence)).evidence == ()


def test_wrong_types_and_naive_times_are_noticed() -> None:
    """The check of a record's types sees what constructors let through, at any depth."""
    naive = make_ticket().created_at.replace(tzinfo=None)  # type: ignore[union-attr]
    for wrong in (
        make_ticket(title=7),
        make_ticket(priority="urgent"),
        make_ticket(labels=("a", 1)),
        make_ticket(requester={"name": 3}),
    ):
        with pytest.raises(Exception, match=r"\$\."):
            assert_typed(wrong, Ticket)
    for wrong in (make_ticket(created_at=naive), make_ticket(comments=(TicketComment(text="x", created_at=naive),))):
        with pytest.raises(AssertionError, match="timezone"):
            assert_typed(wrong, Ticket)


def test_io_is_noticed() -> None:
    """Opening a connection or looking up a name inside the block fails; outside it does not."""
    import socket  # noqa: PLC0415 - the audit hook must see the call, whenever the module came in

    def dial() -> None:
        with socket.socket() as s:
            s.connect_ex(("127.0.0.1", 9))

    dial()
    with pytest.raises(AssertionError, match=r"socket\.connect"), no_io():
        dial()
    dial()


def test_mutations_are_many_and_repeatable() -> None:
    """The damaged bodies differ from the good one, are the same for a seed, and replace every JSON value."""
    body = b'{"ticket": {"id": "3", "tags": ["a", "b"]}, "kind": "new"}'
    damaged = list(mutated_bodies(body, seed=1))
    assert damaged == list(mutated_bodies(body, seed=1))
    assert len(set(damaged)) > 300
    assert b'{"ticket":{"id":null,"tags":["a","b"]},"kind":"new"}' in damaged
    assert b'{"ticket":{"id":"3","tags":["a",[]]},"kind":"new"}' in damaged
    assert list(mutated_bodies(b"a=b", seed=1, count=3)) != []


def test_failed_contract_shows_its_values() -> None:
    """An assertion of the contract's own modules is rewritten by pytest, so that its failure shows the values."""
    with pytest.raises(AssertionError) as error:
        assert_typed(make_evidence()[0], Ticket)
    assert "Evidence" in "".join(traceback.format_exception_only(error.value))
