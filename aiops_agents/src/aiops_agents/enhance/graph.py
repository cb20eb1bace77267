"""The enhancing agent: a LangGraph graph that walks five steps, each recorded in the run's timeline."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langsmith import tracing_context

from aiops_agents.enhance.nodes import GRAPH, STEPS
from aiops_agents.enhance.state import RunState
from aiops_core import Agent, NoteDraft, RunContext, Step, Ticket


@dataclass(frozen=True, slots=True)
class _Walk:
    """LangGraph hands a dataclass to the nodes, never a Protocol."""

    run: RunContext


class EnhanceAgent(Agent):
    """Writes the first note on a ticket: gather, rank, synthesise, check, compose."""

    def __init__(self) -> None:
        """Compile the graph; it holds no state of any run."""
        self._graph = _compiled()

    async def run(self, ticket: Ticket, context: RunContext) -> NoteDraft:
        """Walk the graph once."""
        # LangChain would send traces to its makers' service if an environment variable told it to.
        with tracing_context(enabled=False):
            walked = await self._graph.ainvoke(
                {"ticket": ticket}, context=_Walk(context), output_keys="draft", version="v2"
            )
        draft: NoteDraft = walked.value
        return draft


def _compiled() -> Any:
    graph: StateGraph[RunState, _Walk, RunState, RunState] = StateGraph(RunState, context_schema=_Walk)
    previous = START
    for name, steps in GRAPH.items():
        graph.add_node(name, _node(steps))
        graph.add_edge(previous, name)
        previous = name
    graph.add_edge(previous, END)
    return graph.compile()


def _node(steps: tuple[str, ...]) -> Callable[..., Awaitable[RunState]]:
    async def walked(state: RunState, runtime: Runtime[_Walk]) -> RunState:
        update: RunState = {}
        for name in steps:
            update |= await _recorded(name, state | update, runtime.context.run)
        return update

    return walked


async def _recorded(name: str, state: RunState, context: RunContext) -> RunState:
    started, start = context.clock.now(), context.clock.monotonic()

    def record(**facts: Any) -> None:
        elapsed = round((context.clock.monotonic() - start) * 1000, 1)
        context.record_step(Step(name=name, started_at=started, milliseconds=elapsed, **facts))

    try:
        result = await STEPS[name](state, context)
    except BaseException as error:
        record(error=f"ended by {type(error).__name__}")
        raise
    record(
        inputs=result.inputs,
        outputs=result.outputs,
        error=result.error,
        model=result.model,
        prompt_tokens=result.prompt_tokens,
        completion_tokens=result.completion_tokens,
        cost_usd=result.cost_usd,
    )
    return result.update
