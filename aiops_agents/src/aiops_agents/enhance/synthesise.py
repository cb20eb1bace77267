"""The third step: one question to the model, with the ticket and the evidence as quoted data."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from aiops_agents.enhance.prompts import prompt
from aiops_agents.enhance.state import RunState, StepResult
from aiops_core import (
    BudgetExceeded,
    Completion,
    CompletionRequest,
    Evidence,
    LLMRefused,
    LLMUnavailable,
    Message,
    NoteDraft,
    RunContext,
    Ticket,
    draft_schema,
)
from aiops_core.sanitise import quoted
from aiops_core.services import JsonObject

RESERVE_SECONDS = 3.0
"""Kept of the run's time for checking and composing the note."""

_TICKET_CHARS = 6000
_COMMENT_CHARS = 600
_COMMENTS = 5
_ITEM_CHARS = 1800
_SCHEMA = draft_schema()
NO_MODEL = "No language model answered ({reason}); this note was made without AI text."
NO_BUDGET = "No language model was asked: {reason}. This note lists what the records say, without AI text."


async def synthesise(state: RunState, context: RunContext) -> StepResult:
    """Ask the run's LLM; when none answers, the note goes on without AI text."""
    evidence = state["evidence"]
    request = CompletionRequest(
        messages=messages(state["ticket"], evidence),
        evidence=evidence,
        output_schema=_SCHEMA,
        timeout=max(context.deadline - context.clock.monotonic() - RESERVE_SECONDS, 1.0),
        max_tokens=context.budget.max_tokens,
    )
    inputs: JsonObject = {"messages": msgspec.to_builtins(request.messages), "timeout": round(request.timeout, 1)}
    try:
        completion = await context.llm.complete(request)
    except (LLMUnavailable, LLMRefused, BudgetExceeded) as error:
        reason = str(error).strip().rstrip(".")
        notice = (NO_BUDGET if isinstance(error, BudgetExceeded) else NO_MODEL).format(reason=reason)
        notices = (*state["notices"], notice)
        update: RunState = {"draft": NoteDraft((), evidence), "answered": False, "notices": notices}
        tried: JsonObject = {"attempts": msgspec.to_builtins(error.attempts)} if error.attempts else {}
        return StepResult(update=update, inputs=inputs, outputs=tried, error=str(error))
    return _answered(completion, evidence, inputs)


def messages(ticket: Ticket, evidence: Sequence[Evidence]) -> tuple[Message, ...]:
    """Return the conversation: our instructions, the quoted ticket, the quoted evidence, the question."""
    return (
        Message(role="system", content=prompt("instructions"), purpose="instructions"),
        Message(role="user", content="The ticket:\n" + quoted(_ticket_text(ticket), _TICKET_CHARS), purpose="ticket"),
        Message(role="user", content=_evidence_text(evidence), purpose="evidence"),
        Message(role="user", content=prompt("question"), purpose="question"),
    )


def _answered(completion: Completion, evidence: tuple[Evidence, ...], inputs: JsonObject) -> StepResult:
    usage = completion.usage
    return StepResult(
        # Only the claims are the model's: evidence, triage and notices it may have sent are not looked at.
        update={"draft": NoteDraft(completion.draft.sections, evidence), "answered": True},
        inputs=inputs,
        outputs={
            "sections": msgspec.to_builtins(completion.draft.sections),
            "attempts": msgspec.to_builtins(completion.attempts),
        },
        model=completion.model,
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        cost_usd=usage.cost_usd,
    )


def _ticket_text(ticket: Ticket) -> str:
    comments = [c.text[:_COMMENT_CHARS] for c in ticket.comments[-_COMMENTS:]]
    return "\n\n".join(part for part in (ticket.title, ticket.description, *comments) if part)


def _evidence_text(evidence: Sequence[Evidence]) -> str:
    if not evidence:
        return "There is no evidence."
    return "The evidence:\n" + "\n".join(
        f"[{n}]\n{quoted(_item_text(e), _ITEM_CHARS)}" for n, e in enumerate(evidence, 1)
    )


def _item_text(item: Evidence) -> str:
    when = f", {item.time:%Y-%m-%d}" if item.time else ""
    lines = [f"{item.source} {item.ref}{when}: {item.title}"]
    if item.category:
        lines.append(f"Category: {item.category}")
    if item.resolution:
        lines.append(f"Resolution: {item.resolution[: _ITEM_CHARS // 2]}")
    lines.append(item.text)
    return "\n".join(lines)
