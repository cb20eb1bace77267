"""Every hook, in the order of their calls. Hooks declare; asynchronous work lives behind the records' factories."""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from aiops_core.agents import RunFinished
from aiops_core.specs import AgentSpec, CommandSpec, KeyProviderSpec, LLMBackendSpec, TicketingToolSpec, ToolSpec

PROJECT = "aiops"
"""The pluggy project name and the entry-point group."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def aiops_register_ticketing_tools() -> Iterable[TicketingToolSpec]:
    """Contribute ticketing tools.

    Called: in every process, once at start-up, per plugin in name order.
    May: no I/O, no heavy import; lists, tuples and generators are all fine.
    Returns: the ticketing tools of this plugin.
    On failure: the plugin is shown as failed and none of its contributions is used; the others work on.
    """
    return ()


@hookspec
def aiops_register_tools() -> Iterable[ToolSpec]:
    """Contribute tools that agents may call.

    Called: in every process, once at start-up, per plugin in name order.
    May: no I/O, no heavy import.
    Returns: the tools of this plugin.
    On failure: the plugin is shown as failed and none of its contributions is used; the others work on.
    """
    return ()


@hookspec
def aiops_register_llm_backends() -> Iterable[LLMBackendSpec]:
    """Contribute ways to reach language models.

    Called: in every process, once at start-up, per plugin in name order.
    May: no I/O, no heavy import.
    Returns: the LLM backends of this plugin.
    On failure: the plugin is shown as failed and none of its contributions is used; the others work on.
    """
    return ()


@hookspec
def aiops_register_agents() -> Iterable[AgentSpec]:
    """Contribute agents.

    Called: in every process, once at start-up, per plugin in name order.
    May: no I/O, no heavy import.
    Returns: the agents of this plugin.
    On failure: the plugin is shown as failed and none of its contributions is used; the others work on.
    """
    return ()


@hookspec
def aiops_register_key_providers() -> Iterable[KeyProviderSpec]:
    """Contribute keepers of the keys that wrap tenants' data keys.

    Called: in every process, once at start-up, per plugin in name order.
    May: no I/O, no heavy import.
    Returns: the key providers of this plugin.
    On failure: the plugin is shown as failed and none of its contributions is used; the others work on.
    """
    return ()


@hookspec
def aiops_register_commands() -> Iterable[CommandSpec]:
    """Contribute commands of the ``aiops`` program.

    Called: when the program starts, once, per plugin in name order; a command's target is imported when it is called.
    May: no I/O, no heavy import.
    Returns: the commands of this plugin.
    On failure: the plugin is shown as failed and none of its contributions is used; the others work on.
    """
    return ()


@hookspec
def aiops_on_run_finished(event: RunFinished) -> None:
    """Observe that a run has ended.

    Called: in the worker, after the run and its note are settled in the database; each observer alone, in a thread.
    May: I/O, within 5 seconds.
    Args: ``event`` is frozen and names tenant, ticket, run and outcome.
    Returns: nothing; a result is ignored.
    On failure: logged and counted; the run is not affected.
    """
