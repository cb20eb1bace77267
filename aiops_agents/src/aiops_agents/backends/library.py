"""The LiteLLM library, loaded on first use and made to keep quiet: no telemetry, no callbacks, no cached keys."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from inspect import isawaitable
from threading import Lock
from types import ModuleType
from typing import Any

from aiops_agents.backends.transport import CLIENT, make_transport
from aiops_core.services import HttpClient

log = logging.getLogger(__name__)

MOST_UNLISTED = 1000
CALLS_PER_CLIENT = 16
"""At a time; each request makes httpcore look at every connection of its client."""


@dataclass(slots=True, eq=False)
class _InUse:
    """A client LiteLLM made, and how many calls are using it."""

    client: Any
    owner: object
    key: str
    calls: int = 1


_loading = Lock()
_loaded: list[ModuleType] = []
_in_use: list[_InUse] = []
_lent: ContextVar[tuple[object, list[_InUse]] | None] = ContextVar("litellm_clients_of_this_call", default=None)
_ENVIRONMENT = {
    # Or it fetches its price list when it is imported, and a list of headers on the first call to a Claude model.
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    # Its own way to OpenAI's API, as to everybody else's: the SDK takes an eighth of a whole run to copy one request.
    "EXPERIMENTAL_OPENAI_BASE_LLM_HTTP_HANDLER": "True",
}
_SILENT = ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy")
_TALKATIVE = ("openai", "httpx", "httpcore")


async def load() -> None:
    """Load LiteLLM on the first call, in a thread, because that takes 5 s; a cancelled call leaves the thread to it."""
    if not _loaded:
        await asyncio.to_thread(_load)


def is_loaded() -> bool:
    """Tell whether :func:`load` has ended."""
    return bool(_loaded)


def loaded() -> Any:
    """Return the library after :func:`load`."""
    return _loaded[0]


@asynccontextmanager
async def one_call(owner: object, http: HttpClient) -> AsyncIterator[None]:
    """Lend the clients LiteLLM asks for inside the block, and close those no other call of ``owner`` is using.

    Whatever they send goes through ``http``.

    A client holds the plaintext of a key, and cookies: it lives while calls are under way, and never serves two owners.
    """
    from litellm._internal_context import is_internal_call  # noqa: PLC0415  see _load

    lent: list[_InUse] = []
    token, sending = _lent.set((owner, lent)), CLIENT.set(http)
    # Calls marked so are not handed to its logging worker, a task that would live as long as the event loop.
    internal = is_internal_call.set(True)
    try:
        yield
    finally:
        is_internal_call.reset(internal)
        CLIENT.reset(sending)
        _lent.reset(token)
        for used in lent:
            used.calls -= 1
            if not used.calls:
                _in_use.remove(used)
                await _close(used.client)


def _load() -> None:
    with _loading:
        if not _loaded:
            os.environ.update(_ENVIRONMENT)
            import litellm  # noqa: PLC0415  5 s and 190 MB

            _quieten(litellm)
            _loaded.append(litellm)
            # Its objects stay for good; each full collection would walk them: 0.3 s during which nothing else happens.
            gc.freeze()


def _quieten(litellm: Any) -> None:
    from litellm.caching.llm_caching_handler import LLMClientCache  # noqa: PLC0415  see _load
    from litellm.litellm_core_utils.litellm_logging import Logging  # noqa: PLC0415  see _load
    from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler  # noqa: PLC0415  see _load

    class ClientsInUse(LLMClientCache):
        """Keeps a client that holds a key only while calls are using it; its plain HTTP clients hold none."""

        def get_cache(self, key: Any, **kwargs: Any) -> Any:
            kept = super().get_cache(key, **kwargs)  # type: ignore[no-untyped-call]
            current = _lent.get()
            if kept is not None or current is None:
                return kept
            owner, lent = current
            for used in _in_use:
                if used.owner is owner and used.key == key and used.calls < CALLS_PER_CLIENT:
                    used.calls += 1
                    lent.append(used)
                    return used.client
            return None

        def set_cache(self, key: str, value: object, litellm_owned_client: bool = False, **kwargs: Any) -> None:
            current = _lent.get()
            if current is None or isinstance(value, AsyncHTTPHandler):
                super().set_cache(key, value, litellm_owned_client, **kwargs)
            else:
                owner, lent = current
                lent.append(_InUse(value, owner, key))
                _in_use.append(lent[-1])

    litellm.in_memory_llm_clients_cache = ClientsInUse()
    # The one place where both of its HTTP paths make their transport; there is no setting for a limit.
    AsyncHTTPHandler.create_async_transport = staticmethod(make_transport)  # type: ignore[method-assign,assignment]
    Logging.response_cost_calculator = _remembering_no_price(Logging.response_cost_calculator)  # type: ignore[method-assign]
    vars(litellm.main)["encoding"] = _WhenAsked()
    litellm.telemetry = False
    litellm.suppress_debug_info = True
    litellm.set_verbose = False
    litellm.drop_params = True
    litellm.disable_hf_tokenizer_download = True
    litellm.num_retries = None
    litellm.callbacks = litellm.success_callback = litellm.failure_callback = []
    # At debug level these log whole requests, Authorization included.
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in _SILENT:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # Its modules load one another on the first call: 0.7 s that would stop the event loop.
    litellm.completion(model="openai/warm-up", messages=[{"role": "user", "content": "-"}], mock_response="-")


class _WhenAsked:
    """The encoding LiteLLM hands to every call: 40 MB that only answers without a count of their tokens need."""

    def __getattr__(self, name: str) -> Any:
        from litellm._lazy_imports import get_default_encoding  # noqa: PLC0415  see _load

        return getattr(get_default_encoding(), name)


def _remembering_no_price(calculate: Callable[..., float | None]) -> Callable[..., float | None]:
    """Return the calculation, which looks everywhere for a model it does not list, doing so once for each."""
    unlisted: set[tuple[str, str]] = set()

    def calculated(logging: Any, result: object, *args: Any, **kwargs: Any) -> float | None:
        model = str(logging.model), str(getattr(result, "model", ""))
        if model in unlisted:
            return None
        cost = calculate(logging, result, *args, **kwargs)
        if cost is None and len(unlisted) < MOST_UNLISTED:
            unlisted.add(model)
        return cost

    return calculated


async def _close(client: Any) -> None:
    close = getattr(client, "aclose", None) or getattr(client, "close", None)
    try:
        result = close() if callable(close) else None
        if isawaitable(result):
            await result
    except Exception as error:  # isolation: an answer that is here is not lost because a client would not close
        log.warning("a client of %s did not close: %s", type(client).__module__, type(error).__name__)
