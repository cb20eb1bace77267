"""The LiteLLM backend against a real server on loopback: order of models, retries, bounds, secrecy."""

import asyncio
import json
import logging
import os
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.egress import LoopbackHttp
from tests.support.llm_stub import (
    Answer,
    Asked,
    LLMStub,
    Reply,
    chat,
    fails,
    in_turn,
    llm_stub,
    load_litellm,
    note,
    refuses_format,
    says,
    sends,
    speaks_both,
)

from aiops_agents.backends import library, prices
from aiops_agents.backends.config import LiteLLMConfig, ModelConfig
from aiops_agents.backends.failures import explained
from aiops_agents.backends.litellm import LiteLLMBackend
from aiops_agents.backends.metering import BACKOFF
from aiops_core import Claim, LLMRefused, LLMUnavailable, NoteSection, Secret, check_draft, load_config
from aiops_core.testing.fakes import FakeServices, RecordingLog, make_request, make_ticket
from aiops_host.trust.destinations import Destinations
from aiops_host.trust.egress import GuardedHttp

KEY = "sk-canary-7f3e9d1c5b"
ANSWER = note(("summary", [("The tunnel's packets are too large.", [1])]))
SECTIONS = (NoteSection("summary", (Claim("The tunnel's packets are too large.", (1,)),)),)
PROBE = Path(__file__).parent / "litellm_probe.py"


@pytest.fixture(scope="module", autouse=True)
def _loaded() -> None:
    load_litellm()


class Pauses:
    """Counts the waits between tries and takes no time over them."""

    def __init__(self) -> None:
        """Start with none."""
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        """Keep the wait."""
        self.seconds.append(seconds)


def _backend(
    *urls: str, pauses: Pauses | None = None, log: RecordingLog | None = None, **fields: Any
) -> LiteLLMBackend:
    models = [
        {"model": f"openai/model-{n}", "api_base": url, "api_key": Secret.of(KEY), **fields}
        for n, url in enumerate(urls, 1)
    ]
    config = load_config(LiteLLMConfig, {"models": models})
    return LiteLLMBackend(
        config, FakeServices(http=LoopbackHttp(), log=log or RecordingLog()), pause=pauses or Pauses()
    )


@asynccontextmanager
async def _served(*answers: Answer, **options: Any) -> AsyncIterator[tuple[LiteLLMBackend, list[LLMStub]]]:
    """Run one server per answer, and a backend whose models they are."""
    async with _stubs(answers) as stubs:
        yield _backend(*(stub.url for stub in stubs), **options), stubs


@asynccontextmanager
async def _stubs(answers: tuple[Answer, ...]) -> AsyncIterator[list[LLMStub]]:
    if not answers:
        yield []
        return
    async with llm_stub(answers[0]) as first, _stubs(answers[1:]) as others:
        yield [first, *others]


def keeping() -> list[object]:
    """Return the library's clients that could keep a key: all but its plain HTTP clients without headers or cookies."""
    kept = library.loaded().in_memory_llm_clients_cache.cache_dict.values()
    plain = [c for c in kept if type(c).__name__ == "AsyncHTTPHandler"]
    assert KEY not in repr([(c.client.headers, list(c.client.cookies.jar)) for c in plain])
    return [client for client in kept if client not in plain]


async def test_asks_for_the_structure_and_reads_it() -> None:
    """The request carries the messages, a bound on the answer and a strict schema; the structure comes back as claims."""
    async with _served(says(ANSWER)) as (backend, (stub,)):
        completion = await backend.complete(make_request(max_tokens=321))
    (asked,) = stub.asked
    assert completion.draft.sections == SECTIONS
    assert asked.path == "/v1/chat/completions"
    assert [m["role"] for m in asked.body["messages"]] == ["system", "user", "user", "user"]
    assert asked.body["max_tokens"] == 321
    schema = asked.body["response_format"]["json_schema"]["schema"]
    assert schema["required"] == ["sections"]
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["Claim"]["required"] == ["text", "citations"]


async def test_tokens_are_counted_and_an_unknown_price_is_none() -> None:
    """Tokens come from the server; a model without a listed price has no cost."""
    async with _served(says(ANSWER)) as (backend, _):
        usage = (await backend.complete(make_request())).usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.cost_usd) == (1000, 200, None)


async def test_a_listed_price_is_charged() -> None:
    """A model of the bundled price list costs its tokens' price."""
    async with _served(says(ANSWER), model="openai/gpt-4o-mini") as (backend, _):
        usage = (await backend.complete(make_request())).usage
    assert usage.cost_usd is not None
    assert 0.0001 < usage.cost_usd < 0.01


async def test_prose_is_read_without_a_second_call() -> None:
    """An answer in prose becomes cited claims and suggestions, from one call."""
    async with _served(says("The MTU is too large [1]. Lower the MTU.")) as (backend, (stub,)):
        completion = await backend.complete(make_request())
    assert len(stub.asked) == 1
    assert {s.kind: s.claims for s in completion.draft.sections} == {
        "summary": (Claim("The MTU is too large.", (1,)),),
        "next_steps": (Claim("Lower the MTU."),),
    }


@pytest.mark.parametrize("text", ["", "{", '{"sections": 7}', "\x00\ufffd}{][", "[" * 3000, None])
async def test_garbage_leaves_nothing_cited(text: str | None) -> None:
    """Whatever a model answers instead of a note, no claim with a citation comes of it and nothing is raised."""
    async with _served(says(text)) as (backend, _):
        draft = (await backend.complete(make_request())).draft
    assert not [c for s in check_draft(draft).sections for c in s.claims if c.citations]


async def test_a_server_that_refuses_the_format_is_asked_without_it() -> None:
    """A server that does not know response_format is asked again without it, and from then on only without."""
    async with _served(refuses_format(says(ANSWER))) as (backend, (stub,)):
        first = await backend.complete(make_request())
        second = await backend.complete(make_request())
    assert first.draft.sections == second.draft.sections == SECTIONS
    assert ["response_format" in asked.body for asked in stub.asked] == [True, False, False]


async def test_too_many_requests_waits_as_told() -> None:
    """A 429 with Retry-After is tried again after exactly that time."""
    pauses = Pauses()
    async with _served(in_turn(fails(429, retry_after="7"), says(ANSWER)), pauses=pauses) as (backend, _):
        completion = await backend.complete(make_request())
    assert completion.draft.sections == SECTIONS
    assert pauses.seconds == [7.0]
    assert [bool(a.error) for a in completion.attempts] == [True, False]


@pytest.mark.parametrize("status", [429, 500, 502, 503])
async def test_what_may_pass_is_tried_again(status: int) -> None:
    """A passing failure is tried again after 2, 4 and 8 s, then given up as unavailable."""
    pauses = Pauses()
    async with _served(fails(status), pauses=pauses) as (backend, (stub,)):
        with pytest.raises(LLMUnavailable, match=f"openai/model-1 .*HTTP {status}"):
            await backend.complete(make_request())
    assert pauses.seconds == list(BACKOFF) == [2, 4, 8]
    assert len(stub.asked) == 4


@pytest.mark.parametrize(
    ("status", "said"),
    [(401, "refused the API key"), (403, "does not permit"), (404, "check the model's name"), (413, "too large")],
)
async def test_what_will_not_pass_is_not_tried_again(status: int, said: str) -> None:
    """A refusal for good is neither waited for nor repeated, and says in plain words what is wrong."""
    pauses = Pauses()
    async with _served(fails(status), pauses=pauses) as (backend, (stub,)):
        with pytest.raises(LLMRefused, match=said):
            await backend.complete(make_request())
    assert pauses.seconds == []
    assert len({json.dumps(asked.body.get("response_format")) for asked in stub.asked}) == len(stub.asked)


async def test_models_are_asked_in_the_given_order() -> None:
    """The second model is asked once the first has failed for good, the third not at all."""
    async with _served(fails(401), says(ANSWER), says(ANSWER)) as (backend, stubs):
        completion = await backend.complete(make_request())
    assert completion.model == "openai/model-2"
    assert [(a.model, a.error is None) for a in completion.attempts] == [
        ("openai/model-1", False),
        ("openai/model-2", True),
    ]
    assert [len(stub.asked) for stub in stubs] == [1, 1, 0]


async def test_a_wait_longer_than_the_models_time_goes_to_the_next() -> None:
    """A model that asks for a longer wait than its share of the time is left for the next one at once."""
    pauses = Pauses()
    async with _served(fails(429, retry_after="40"), says(ANSWER), pauses=pauses) as (backend, _):
        completion = await backend.complete(make_request(timeout=60))
    assert completion.model == "openai/model-2"
    assert pauses.seconds == []


async def test_a_silent_model_leaves_time_for_the_next() -> None:
    """A model that hangs is given its share of the time, and the next one still answers."""
    async with _served(sends(Reply(kind="hang")), says(ANSWER)) as (backend, _):
        completion = await backend.complete(make_request(timeout=6.0))
    assert completion.model == "openai/model-2"
    assert completion.attempts[0].error is not None
    assert "did not answer" in completion.attempts[0].error


async def test_a_refused_connection_is_unavailable() -> None:
    """Where nothing listens the model could not be reached, which may pass, but not while somebody waits."""
    pauses = Pauses()
    async with llm_stub(says(ANSWER)) as stub:
        closed = stub.url
    for url in (closed, closed.replace("127.0.0.1", "localhost")):
        with pytest.raises(LLMUnavailable, match="could not be reached: nothing listens at its address"):
            await _backend(url, pauses=pauses).complete(make_request())
    async with llm_stub(says(ANSWER)) as stub:
        completion = await _backend(closed, stub.url, pauses=pauses).complete(make_request())
    assert completion.model == "openai/model-2"
    assert pauses.seconds == []


async def test_an_endless_answer_is_cut_off_and_not_repeated() -> None:
    """An answer that does not stop is given up at the size limit, once, as a refusal."""
    async with _served(sends(Reply(kind="endless"))) as (backend, (stub,)):
        with pytest.raises(LLMRefused, match="answer without end"):
            await backend.complete(make_request(timeout=30))
    assert len(stub.asked) == 1


async def test_a_redirect_is_not_followed() -> None:
    """A server that sends the request elsewhere gets no second look: the key stays with the host it was given for."""
    async with llm_stub(says(ANSWER)) as other:
        moved = fails(307, location=f"{other.url}/chat/completions")
        async with _served(moved) as (backend, _):
            with pytest.raises(LLMRefused, match="HTTP 307"):
                await backend.complete(make_request())
    assert other.asked == []


async def test_the_key_is_sent_and_never_told(caplog: pytest.LogCaptureFixture) -> None:
    """The key reaches the server it is for, and neither errors nor logs at debug level nor the library's memory keep it."""
    log = RecordingLog()
    leaking = fails(401, text=f"Incorrect API key provided: {KEY}")
    with caplog.at_level(logging.DEBUG):
        async with _served(leaking, fails(500, text=KEY), log=log) as (backend, stubs):
            with pytest.raises(LLMUnavailable) as failure:
                await backend.complete(make_request(timeout=20))
            health = await backend.check_health()
    assert {asked.headers["authorization"] for stub in stubs for asked in stub.asked} == {f"Bearer {KEY}"}
    told = [
        str(failure.value),
        repr(failure.value.__cause__),
        health.detail,
        log.text,
        caplog.text,
        repr(backend._models),
    ]
    assert not [text for text in told if KEY in text]
    assert make_ticket().title not in caplog.text
    assert not keeping()


async def test_a_server_without_key_gets_none_of_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenant's own server without a configured key is not sent the operator's key from the environment."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    async with llm_stub(says(ANSWER)) as stub:
        config = load_config(LiteLLMConfig, {"models": [{"model": "openai/local", "api_base": stub.url}]})
        await LiteLLMBackend(config, FakeServices(http=LoopbackHttp())).complete(make_request())
    assert KEY not in stub.asked[0].headers["authorization"]


async def test_health_names_what_is_wrong() -> None:
    """Health is one small call: ok, degraded when a later model answers, failed with the reasons."""
    async with _served(says("ok")) as (backend, (stub,)):
        assert (await backend.check_health()).status == "ok"
        assert stub.asked[0].body["max_tokens"] <= 16
    async with _served(fails(401), says("ok")) as (backend, _):
        health = await backend.check_health()
        assert health.status == "degraded"
        assert "openai/model-1 refused the API key" in health.detail
    async with _served(fails(404)) as (backend, _):
        assert (await backend.check_health()).status == "failed"


async def test_nothing_is_left_behind() -> None:
    """After a call no task of the library runs on, and threads do not grow with calls."""
    async with _served(says(ANSWER)) as (backend, _):
        await backend.complete(make_request())
        tasks, threads = len(asyncio.all_tasks()), threading.active_count()
        for _ in range(5):
            await backend.complete(make_request())
        async with asyncio.timeout(60):
            while len(asyncio.all_tasks()) > tasks:  # noqa: ASYNC110 - tasks end by themselves
                await asyncio.sleep(0)
        assert threading.active_count() <= threads + 5


async def test_only_the_asked_call_leaves_the_machine() -> None:
    """Import, completion and health look up no other host and connect to nothing but the model's server."""
    async with llm_stub(speaks_both(ANSWER)) as stub:
        base = stub.url.removesuffix("/v1")
        environment = {k: v for k, v in os.environ.items() if not k.startswith("LITELLM")}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-W", "ignore", str(PROBE), base, stdout=asyncio.subprocess.PIPE, env=environment
        )
        output, _ = await process.communicate()
    seen = json.loads(output)
    host, port = base.removeprefix("http://").split(":")
    assert process.returncode == 0
    assert seen["loaded_before_first_use"] == []
    assert seen["encodings"] == []  # 40 MB that no call needs whose answer counts its tokens
    assert {tuple(c) for c in seen["connected"]} == {(host, int(port))}
    assert {name for name in seen["looked_up"] if name is not None} <= {host}
    assert [asked.path for asked in stub.asked] == ["/v1/chat/completions"] * 2 + ["/v1/messages"] * 2


async def test_the_library_can_still_count_tokens() -> None:
    """The encoding is only loaded later, for whatever has to count by itself."""
    await library.load()
    encoding = library.loaded().main.encoding
    assert encoding.decode(encoding.encode("a VPN that drops")) == "a VPN that drops"
    assert len(encoding.encode("hello world")) == 2


async def test_another_providers_protocol_keeps_the_same_bounds() -> None:
    """What reaches Claude models is bounded, timed and keyed by the same means."""
    async with llm_stub(speaks_both(ANSWER)) as stub:
        base = stub.url.removesuffix("/v1")
        backend = _backend(base, model="anthropic/claude-sonnet-4-5")
        completion = await backend.complete(make_request())
        stub.answer = sends(Reply(kind="endless"))
        with pytest.raises(LLMRefused, match="answer without end"):
            await backend.complete(make_request())
    assert completion.draft.sections == SECTIONS
    assert completion.usage.cost_usd is not None
    assert stub.asked[0].headers["x-api-key"] == KEY
    assert not keeping()


async def test_what_the_host_does_not_call_is_not_called() -> None:
    """Every call goes through the guarded client: an address the operator has not listed is not connected to."""
    async with llm_stub(says(ANSWER)) as stub:
        models = [{"model": "openai/inside", "api_base": stub.url, "api_key": Secret.of(KEY)}]
        http = GuardedHttp.open(Destinations())
        backend = LiteLLMBackend(load_config(LiteLLMConfig, {"models": models}), FakeServices(http=http))
        with pytest.raises(LLMUnavailable, match="could not be reached"):
            await backend.complete(make_request(timeout=1.0))
        await http.aclose()
    assert stub.asked == []


@pytest.mark.parametrize(
    ("value", "expected"),
    [("7", 7.0), ("0", 0.0), ("-3", 0.0), ("soon", None), (format_datetime(datetime.now(UTC) - timedelta(1)), 0.0)],
)
def test_retry_after_is_read_in_both_its_forms(value: str, expected: float | None) -> None:
    """Retry-After may be seconds or a date; one in the past is now, an unreadable one is none."""

    class Refused(Exception):
        status_code = 429
        response = httpx.Response(429, headers={"retry-after": value})

    assert explained(Refused(), 1.0).retry_after == expected


def test_used_up_quota_is_no_passing_failure() -> None:
    """A 429 for want of money is final: waiting does not pay the bill."""

    class Refused(Exception):
        status_code = 429

    assert explained(Refused("You exceeded your quota: insufficient_quota"), 1.0).again is False


async def test_a_model_may_call_tools_in_vain() -> None:
    """A model that answers with tool calls instead of text has said nothing."""
    calls = [{"id": "1", "type": "function", "function": {"name": "close_ticket", "arguments": "{}"}}]

    def answer(_asked: Asked) -> Reply:
        return chat(None, tool_calls=calls)

    async with _served(answer) as (backend, (stub,)):
        completion = await backend.complete(make_request())
    assert completion.draft.sections == ()
    assert "tools" not in stub.asked[0].body


def test_the_bundled_prices_are_the_librarys() -> None:
    """What is said of prices without loading the library holds in a run."""
    models = [ModelConfig(model=f"openai/{name}") for name in ("unlisted", *library.loaded().model_cost)]
    cost = library.loaded().model_cost
    assert [prices.price_in(prices.bundled(), m) for m in models] == [prices.price_in(cost, m) for m in models]
    config = LiteLLMConfig(models=(ModelConfig(model="openai/gpt-4o"), ModelConfig(model="openai/unlisted")))
    assert list(prices.unpriced(config)) == ["openai/unlisted"]
