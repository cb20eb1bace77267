"""Every way a call can fail becomes the error the host knows what to do about."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from aiops_core.config import load_config
from aiops_core.errors import (
    AuthenticationFailed,
    EffectUnknown,
    HttpFailed,
    TicketingError,
    TicketingRefused,
    TicketingUnavailable,
    TicketNotFound,
)
from aiops_core.testing.fakes import Answer, FakeHttp, FakeServices, FrozenClock, SentRequest
from aiops_core.testing.ticketing import make_enhancement, make_marker
from aiops_core.ticketing import RemoteRef
from aiops_servicedesk.config import ServiceDeskConfig
from aiops_servicedesk.ticketing import ServiceDeskTool

DONE = {"status_code": 2000, "status": "success"}


def failed(code: int | str = 4001, message: str = "refused", status: int | str = 4000, **more: Any) -> dict[str, Any]:
    """Return a body that says the call failed."""
    line = {"status_code": code, "type": "failed", "message": message, **more}
    return {"response_status": {"status_code": status, "status": "failed", "messages": [line]}}


def tool_with(answer: Callable[[SentRequest], Any]) -> ServiceDeskTool:
    """Return a tool whose other side is a function."""
    config = load_config(ServiceDeskConfig, {"base_url": "https://desk.example", "technician_key": "key-9f"})
    return ServiceDeskTool(config, FakeServices(http=FakeHttp(answer), clock=FrozenClock()))


def answering(status: int, body: object = None, headers: Mapping[str, str] = {}) -> ServiceDeskTool:
    """Return a tool whose every call is answered this way."""
    raw = body if isinstance(body, bytes) else None
    return tool_with(
        lambda _: Answer(status, json=None if raw is not None else body, content=raw or b"", headers=headers)
    )


async def write(tool: ServiceDeskTool) -> RemoteRef:
    """Post a note."""
    return await tool.update_ticket("1", make_enhancement(), make_marker())


# HTTP status, body, error on reading, error on writing
REFUSALS: list[tuple[str, int, object, type[TicketingError], type[TicketingError]]] = [
    ("401", 401, failed(401, "UNAUTHORISED"), AuthenticationFailed, AuthenticationFailed),
    ("401-no-body", 401, b"", AuthenticationFailed, AuthenticationFailed),
    ("200-body-401", 200, failed(401, "x"), AuthenticationFailed, AuthenticationFailed),
    ("400-words", 400, failed(4001, "Invalid technician key"), AuthenticationFailed, AuthenticationFailed),
    ("403", 403, failed(4002, "no permission"), TicketingRefused, TicketingRefused),
    ("404", 404, failed(4007, "Invalid URL"), TicketNotFound, TicketNotFound),
    ("404-html", 404, b"<html>", TicketNotFound, TicketNotFound),
    ("200-body-4007", 200, failed(4007), TicketNotFound, TicketNotFound),
    ("400-body-4007", 400, failed("4007"), TicketNotFound, TicketNotFound),
    ("400", 400, failed(4001, "Value not valid"), TicketingRefused, TicketingRefused),
    ("200-body-4000", 200, failed(4001), TicketingRefused, TicketingRefused),
    ("200-body-4000-list", 200, {"response_status": [failed()["response_status"]]}, TicketingRefused, TicketingRefused),
    (
        "200-text-messages",
        200,
        {"response_status": {"status_code": "4000", "messages": ["no"]}},
        TicketingRefused,
        TicketingRefused,
    ),
    ("413", 413, b"", TicketingRefused, TicketingRefused),
    ("422", 422, b"{}", TicketingRefused, TicketingRefused),
    ("302", 302, b"", TicketingRefused, TicketingRefused),
    ("429", 429, b"", TicketingUnavailable, TicketingUnavailable),
    ("400-body-4015", 400, failed(4015), TicketingUnavailable, TicketingUnavailable),
    ("200-body-4015", 200, failed(4015), TicketingUnavailable, TicketingUnavailable),
    ("500", 500, failed(4004, "Internal Error"), TicketingUnavailable, EffectUnknown),
    ("500-body-401", 500, failed(401, "UNAUTHORISED"), TicketingUnavailable, EffectUnknown),
    ("502-html", 502, b"<html>", TicketingUnavailable, EffectUnknown),
    ("503", 503, b"", TicketingUnavailable, EffectUnknown),
    ("503-body-4015", 503, failed(4015), TicketingUnavailable, EffectUnknown),
    ("408", 408, b"", TicketingUnavailable, EffectUnknown),
    ("200-body-4004", 200, failed(4004, "Internal Error"), TicketingUnavailable, EffectUnknown),
    ("200-in-part", 200, {"response_status": {"status_code": 3000}}, TicketingUnavailable, EffectUnknown),
    ("200-empty", 200, b"", TicketingUnavailable, EffectUnknown),
    ("200-login-page", 200, b"<html>Sign in</html>", TicketingUnavailable, EffectUnknown),
    ("200-no-verdict", 200, {"request": {"id": "1"}, "note": {"id": "1"}}, TicketingUnavailable, EffectUnknown),
    ("200-nothing-in-it", 200, {"response_status": DONE}, TicketingUnavailable, EffectUnknown),
    ("200-wrong-types", 200, {"response_status": DONE, "request": [], "note": 5}, TicketingUnavailable, EffectUnknown),
    ("200-deep", 200, b'{"request":' * 50_000, TicketingUnavailable, EffectUnknown),
    ("204-write", 204, b"", TicketingUnavailable, EffectUnknown),
]


@pytest.mark.parametrize(
    ("status", "body", "reading", "writing"), [r[1:] for r in REFUSALS], ids=[r[0] for r in REFUSALS]
)
async def test_an_answer_is_judged_by_status_and_body(
    status: int, body: object, reading: type[TicketingError], writing: type[TicketingError]
) -> None:
    """Each kind of answer raises its error, for a read and for a write."""
    with pytest.raises(TicketingError) as read:
        await answering(status, body).get_ticket("1")
    assert type(read.value) is reading
    with pytest.raises(TicketingError) as written:
        await write(answering(status, body))
    assert type(written.value) is writing


@pytest.mark.parametrize(("sent", "writing"), [(False, TicketingUnavailable), (True, EffectUnknown)])
async def test_no_answer_is_judged_by_what_was_sent(sent: bool, writing: type[TicketingError]) -> None:
    """A write that may have reached the other side is unknown; one that surely did not is tried again."""

    def fail(_: SentRequest) -> Any:
        raise HttpFailed("desk.example did not answer", sent=sent)

    with pytest.raises(TicketingUnavailable, match="did not answer"):
        await tool_with(fail).get_ticket("1")
    with pytest.raises(TicketingError) as written:
        await write(tool_with(fail))
    assert type(written.value) is writing


async def test_the_vendors_words_and_field_are_told() -> None:
    """The refusal's message and field reach the reader, cleaned and bounded."""
    with pytest.raises(TicketingRefused, match=r"Value not valid \(field description\)"):
        await write(answering(400, failed(4001, "Value\x00 not\u202e valid", field="description")))
    with pytest.raises(TicketingRefused) as error:
        await write(answering(400, failed(4001, "x" * 10_000)))
    assert len(str(error.value)) < 400


@pytest.mark.parametrize("status", [200, 201])
@pytest.mark.parametrize("key", ["note", "request_note"])
async def test_a_success_names_the_note(status: int, key: str) -> None:
    """Whatever name the edition gives the note, its id and time are read."""
    note = {"id": 88, "added_time": {"value": "1770106332000"}, "added_by": {"id": "4"}}
    ref = await write(answering(status, {key: note, "response_status": [DONE]}))
    assert (ref.id, ref.url) == ("88", "https://desk.example/WorkOrder.do?woMode=viewWO&woID=1")
    assert ref.created_at is not None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("999999", 3600.0),
        ("Mon, 02 Mar 2026 12:00:30 GMT", 30.0),
        ("Mon, 02 Mar 2026 11:00:00 GMT", 0.0),
        ("soon", 2.0),
        ("", 2.0),
        ("1e3", 2.0),
        ("-1", 2.0),
    ],
)
async def test_the_wait_is_as_asked(header: str, seconds: float) -> None:
    """Retry-After is read as seconds or as a date and bounded; without a readable one the wait is ours to choose."""
    with pytest.raises(TicketingUnavailable) as error:
        await answering(429, b"", {"Retry-After": header}).get_ticket("1")
    assert error.value.retry_after == seconds


async def test_a_failing_server_may_ask_to_wait_too() -> None:
    """A 503 with Retry-After is tried again when it asked."""
    with pytest.raises(TicketingUnavailable) as error:
        await answering(503, b"", {"Retry-After": "20"}).get_ticket("1")
    assert error.value.retry_after == 20.0


async def test_no_call_is_made_before_the_wait_is_over() -> None:
    """While the other side asks to wait, calls fail without reaching it, and say for how long."""
    http = FakeHttp(lambda _: Answer(429, headers={"Retry-After": "30"}))
    clock = FrozenClock()
    config = load_config(ServiceDeskConfig, {"base_url": "https://desk.example", "technician_key": "key-9f"})
    tool = ServiceDeskTool(config, FakeServices(http=http, clock=clock))
    for _ in range(3):
        with pytest.raises(TicketingUnavailable):
            await tool.get_ticket("1")
    clock.advance(12.5)
    with pytest.raises(TicketingUnavailable) as error:
        await write(tool)
    assert (len(http.requests), error.value.retry_after) == (1, 18.0)
    clock.advance(20)
    with pytest.raises(TicketingUnavailable):
        await tool.get_ticket("1")
    assert len(http.requests) == 2


async def test_a_success_ends_the_growing_pauses() -> None:
    """Pauses of our own choice grow with each refusal and begin anew after an answer."""
    answers = [429, 429, 200, 429]
    body = {"request": {"id": "1", "subject": "x"}, "response_status": {"status_code": 2000}}
    clock = FrozenClock()
    http = FakeHttp(lambda _: Answer(answers.pop(0), json=body))
    config = load_config(ServiceDeskConfig, {"base_url": "https://desk.example", "technician_key": "key-9f"})
    tool = ServiceDeskTool(config, FakeServices(http=http, clock=clock))
    waits = []
    while answers:
        try:
            await tool.get_ticket("1")
        except TicketingUnavailable as error:
            waits.append(error.retry_after)
        clock.advance(10)
    assert waits == [2.0, 4.0, 2.0]


@pytest.mark.parametrize(
    ("raw", "title"),
    [(b"caf\xe9 & bar", "caf\ufffd & bar"), (b"cut \\ud83d", "cut ?"), (b"whole \\ud83d\\udee0", "whole \U0001f6e0")],
    ids=range(3),
)
async def test_broken_characters_do_not_hide_a_ticket(raw: bytes, title: str) -> None:
    """A text with bytes that are no UTF-8, or cut amid a character, is read all the same."""
    body = b'{"request": {"id": "1", "subject": "' + raw + b'"}, "response_status": {"status_code": 2000}}'
    assert (await answering(200, body).get_ticket("1")).title == title


async def test_deleting_is_repeatable() -> None:
    """A note that is gone counts as deleted, and a lost answer is one to try again."""
    await answering(404, failed(4007)).delete_effect("1", RemoteRef(id="2"))
    await answering(204).delete_effect("1", RemoteRef(id="2"))
    with pytest.raises(TicketingUnavailable):
        await answering(500).delete_effect("1", RemoteRef(id="2"))
    with pytest.raises(TicketingRefused):
        await answering(403, failed(4002)).delete_effect("1", RemoteRef(id="2"))


@pytest.mark.parametrize("hostile", ["../1", "1?x=1", "", "1/notes", "\uff11"])
async def test_no_foreign_id_reaches_an_address(hostile: str) -> None:
    """Ids that are not digits are refused before any call."""
    http = FakeHttp()
    config = load_config(ServiceDeskConfig, {"base_url": "https://desk.example", "technician_key": "key-9f"})
    tool = ServiceDeskTool(config, FakeServices(http=http))
    with pytest.raises(TicketNotFound):
        await tool.update_ticket(hostile, make_enhancement(), make_marker())
    with pytest.raises(TicketNotFound):
        await tool.find_effects(hostile, make_marker())
    with pytest.raises(TicketingRefused):
        await tool.delete_effect("1", RemoteRef(id=hostile))
    assert http.requests == []


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, failed(401, "UNAUTHORISED"), "Generate the technician's API key again"),
        (403, failed(4002, "no permission"), "role does not allow"),
        (404, b"", "no such ticket"),
        (429, b"", "asks to wait"),
        (500, b"", "failed"),
        (200, b"<html>", "check base_url and portal"),
        (302, b"", "redirect"),
    ],
    ids=range(7),
)
async def test_health_tells_what_is_wrong(status: int, body: object, words: str) -> None:
    """A failing connection is explained in a sentence, without the key."""
    health = await answering(status, body).check_health()
    assert health.status == "failed"
    assert words in health.detail
    assert "key-9f" not in health.detail


async def test_health_of_a_server_that_is_away() -> None:
    """A server that cannot be reached is told as such."""
    health = await ServiceDeskTool(
        load_config(ServiceDeskConfig, {"base_url": "https://desk.example", "technician_key": "k"}), FakeServices()
    ).check_health()
    assert (health.status, health.account_id) == ("failed", None)
    assert "refused" in health.detail
