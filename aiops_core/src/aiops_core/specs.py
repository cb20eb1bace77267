"""The frozen records that hooks return: a name, a configuration type and a factory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

import msgspec

from aiops_core.agents import Agent
from aiops_core.config import NoConfig, PluginConfig
from aiops_core.keys import KeyProvider
from aiops_core.llm import LLMBackend, ModelRoute
from aiops_core.services import AgentServices, BackendServices, KeyServices, TicketingServices, ToolServices
from aiops_core.ticketing import TicketingToolPlugin
from aiops_core.tools import Tool, ToolEffect


@dataclass(frozen=True, kw_only=True, slots=True)
class TicketingToolSpec:
    """A ticketing tool. ``name`` is the word in the webhook address and in the configuration.

    ``factory`` is called per connection, in host and worker, and must do no I/O; heavy imports belong inside it.
    ``sender_headers`` takes the configuration and returns the static headers a sender must add besides its
    proof; a value that contains ``{secret}`` has the endpoint's webhook secret put in.
    ``setup_help`` tells a person what to enter in the vendor's administration pages.
    """

    kind: ClassVar[str] = "ticketing tool"
    name: str
    title: str
    factory: Callable[[Any, TicketingServices], TicketingToolPlugin]
    config: type[PluginConfig] = NoConfig
    sender_headers: Callable[[Any], dict[str, str]] = field(default=lambda _config: {})
    setup_help: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolSpec:
    """An agent tool. ``description`` is written for the person, and the model, that chooses it."""

    kind: ClassVar[str] = "tool"
    name: str
    title: str
    description: str
    args: type[msgspec.Struct]
    factory: Callable[[Any, ToolServices], Tool[Any]]
    config: type[PluginConfig] = NoConfig
    effect: ToolEffect = "read"


@dataclass(frozen=True, kw_only=True, slots=True)
class LLMBackendSpec:
    """An LLM backend. ``factory`` is called per tenant in the worker; heavy imports belong inside it.

    ``addresses`` returns every address a configuration makes the backend call, for the host to hold against the
    operator's catalogue; it raises ``ConfigInvalid`` where one is missing. ``routes`` makes the configuration that asks
    the given models in their order with the tenant's keys; a backend without it is handed no keys. ``unpriced`` returns
    the models of a configuration whose price the backend does not know, for the host to warn of: under a budget in USD
    they are not asked.
    """

    kind: ClassVar[str] = "LLM backend"
    name: str
    title: str
    factory: Callable[[Any, BackendServices], LLMBackend]
    config: type[PluginConfig] = NoConfig
    addresses: Callable[[Any], Iterable[str]] = field(default=lambda _config: ())
    routes: Callable[[Sequence[ModelRoute]], PluginConfig] | None = None
    unpriced: Callable[[Any], Iterable[str]] = field(default=lambda _config: ())


@dataclass(frozen=True, kw_only=True, slots=True)
class AgentSpec:
    """An agent. ``version`` is stored with each run."""

    kind: ClassVar[str] = "agent"
    name: str
    title: str
    version: str
    factory: Callable[[Any, AgentServices], Agent]
    config: type[PluginConfig] = NoConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyProviderSpec:
    """A key provider. ``factory`` is called once per process with the operator's configuration and must do no network I/O.

    It raises ``KeyProviderRefused`` when no key can be had with the configuration: the process then refuses to start.
    """

    kind: ClassVar[str] = "key provider"
    name: str
    title: str
    factory: Callable[[Any, KeyServices], KeyProvider]
    config: type[PluginConfig] = NoConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class CommandSpec:
    """A command of the ``aiops`` program.

    ``target`` is ``package.module:function``, imported when the command is called; the function takes the
    arguments after the command's name and returns the exit code.
    """

    kind: ClassVar[str] = "command"
    name: str
    help: str
    target: str


Spec: TypeAlias = TicketingToolSpec | ToolSpec | LLMBackendSpec | AgentSpec | KeyProviderSpec | CommandSpec
