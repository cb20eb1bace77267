"""Keys, budgets and usage of language models as trees; nothing here knows a server."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from aiops_admin.pages.bits import cells, chip, coded, empty, heading, skeleton, table, when
from aiops_admin.pages.connection_view import dialog
from aiops_admin.pages.forms import Asked, labelled, problem, send_or_cancel
from aiops_admin.safe import Node, h
from aiops_admin.wire_money import Budget, Provider, TenantBudget, Unpriced, Usage

KEY_COLUMNS = ("Provider", "Key", "Models", "Last test", "")
BUDGET_COLUMNS = ("Budget", "Set by", "Used", "What it means", "")
USAGE_COLUMNS = ("Agent", "Model", "Calls", "Tokens asked", "Tokens answered", "Cost")
TENANT_COLUMNS = ("Tenant", "Budget", "Level", "What it means")
STATES = {
    "none": ("No key", "neutral", "This provider is not asked."),
    "live": ("In use", "success", "Notes are written with this key."),
    "trying": ("Being tested", "info", "A worker makes one small call with it; it is used once that went well."),
    "refused": ("Refused", "error", "The key did not work and was not saved."),
    "unreached": (
        "Not reached",
        "warning",
        "The provider did not answer; the key was not saved. Enter it again later.",
    ),
    "unlisted": ("Not listed", "warning", "The operator took this provider out of the catalogue; the key is not used."),
}
LEVELS = {
    "ok": ("In bounds", "success"),
    "warning": ("Nearly used up", "warning"),
    "reached": ("Used up", "error"),
}
OPEN = ("queued", "running")


@dataclass(slots=True)
class Known:
    """What the host answered last."""

    providers: tuple[Provider, ...] | None = None
    budgets: tuple[Budget, ...] = ()
    unpriced: tuple[Unpriced, ...] = ()
    """Models a budget in USD keeps from being asked."""
    usage: tuple[Usage, ...] = ()
    tenants: tuple[TenantBudget, ...] = ()
    asked: str = ""
    """The provider the open question is about."""
    wanted: dict[str, str] = field(default_factory=dict)
    """What was entered into a form the host refused, without any key."""


def whole(known: Known, *, may_manage: bool) -> Node:
    """Return the page."""
    if known.providers is None:
        return h("div", heading("Language models"), skeleton(), class_="list", aria_busy="true")
    return h(
        "div",
        heading("Language models"),
        *(_told(budget) for budget in known.budgets if budget.level != "ok"),
        *(_unpriced(model) for model in known.unpriced),
        _keys(known.providers, may_manage=may_manage),
        _budgets(known.budgets, may_manage=may_manage),
        _usage(known.usage),
        _tenants(known.tenants) if known.tenants else None,
        class_="list",
    )


def key_question(provider: Provider, asked: Asked, wanted: dict[str, str]) -> Node:
    """Return the form for a key."""
    title = f"{'New key' if provider.state == 'live' else 'Key'} for {provider.title}"
    key = h("input", type="password", name="key", autocomplete="new-password", spellcheck="false")
    before = wanted.get("models") or "\n".join(provider.models)
    models = h("textarea", before, name="models", rows=2, spellcheck="false")
    hint = "As the provider calls them, the one to ask first in front. One per line."
    form = h(
        "form",
        labelled("API key", key, hint="Kept sealed; nobody can read it here afterwards.", wrong=asked.wrong.get("key")),
        labelled("Models", models, hint=hint, wrong=asked.wrong.get("models")),
        _endpoint(provider, asked, wanted) if provider.needs_endpoint else None,
        h("p", "A worker tries the key with one small call. It is used once that went well."),
        send_or_cancel("Test and save"),
        data_action="enter",
    )
    return dialog(title, problem(asked.refusal), form, key=f"key-{provider.name}")


def drop_question(provider: Provider, asked: Asked) -> Node:
    """Return the dialog that asks before a key is destroyed."""
    text = f"The key for {provider.title} is destroyed. Enter it anew to use it again."
    form = h("form", h("p", text), send_or_cancel("Destroy it"), data_action="drop-now")
    return dialog(f"Take the key for {provider.title} away?", problem(asked.refusal), form, key="drop")


def budget_question(asked: Asked, wanted: dict[str, str]) -> Node:
    """Return the form for a budget."""
    options = [
        h("option", text, value=value, selected=wanted.get("period") == value)
        for value, text in (("month", "a month"), ("day", "a day"))
    ]
    usd = h("input", type="number", name="usd", min=0, step="any", value=wanted.get("usd"), autocomplete="off")
    tokens = h("input", type="number", name="tokens", min=0, step=1, value=wanted.get("tokens"), autocomplete="off")
    form = h(
        "form",
        labelled("For", h("select", *options, name="period")),
        labelled("Most money, in USD", usd, hint="Empty: no limit in money.", wrong=asked.wrong.get("usd")),
        labelled("Most tokens", tokens, hint="Asked and answered. Empty: no limit.", wrong=asked.wrong.get("tokens")),
        h("p", "When it is used up, notes list what the records say, without AI text."),
        send_or_cancel("Set"),
        data_action="set-budget",
    )
    return dialog("Set a budget", problem(asked.refusal), form, key="budget")


def _keys(providers: Sequence[Provider], *, may_manage: bool) -> Node:
    if not providers:
        return empty("No provider yet", "The operator lists none. `aiops providers allow` adds one to the catalogue.")
    rows = [_provider(p, place, may_manage=may_manage) for place, p in enumerate(providers)]
    return h(
        "section",
        h("h2", "Providers and keys"),
        h("p", "Asked from top to bottom: each one when those above it failed.", class_="quiet"),
        table("Providers in the order they are asked", KEY_COLUMNS, rows, "keys"),
        class_="money",
    )


def _provider(provider: Provider, place: int, *, may_manage: bool) -> Node:
    name, tone, sentence = STATES.get(provider.state, (provider.state, "neutral", ""))
    granted = " from the operator" if provider.origin == "operator" else ""
    values = (
        h("div", h("b", provider.title), h("small", provider.endpoint or provider.address)),
        h("div", chip(name, tone, sentence), h("small", when(provider.since), granted) if provider.since else None),
        h("span", *(h("code", model, class_="tag") for model in provider.models), class_="tags")
        if provider.models
        else h("span", "—", class_="quiet"),
        _test(provider),
        _key_buttons(provider, first=place == 0) if may_manage else "",
    )
    return h("tr", *cells(KEY_COLUMNS, values), key=provider.name)


def _test(provider: Provider) -> Node:
    test = provider.test
    if test is None:
        return h("span", "—", class_="quiet")
    if test.state in OPEN:
        return h("p", "A worker is trying the key …", class_="notice tone-info", role="status")
    tone = "success" if test.state == "ok" else "error"
    return h("p", test.result or "", class_=f"notice tone-{tone}", role="status")


def _key_buttons(provider: Provider, *, first: bool) -> Node:
    has = provider.state == "live"
    theirs = provider.origin == "operator"
    shown = (
        ("key", "New key …" if has else "Enter key …", not theirs and provider.state != "unlisted"),
        ("test", "Test", has),
        ("first", "Ask first", has and not first),
        ("drop", "Remove …", provider.state != "none" and not theirs),
    )
    return _buttons(provider.name, [(action, text) for action, text, offered in shown if offered])


def _budgets(budgets: Sequence[Budget], *, may_manage: bool) -> Node:
    offered = h("button", "Set a budget …", type="button", data_action="budget") if may_manage else None
    title = h("div", h("h2", "Budgets"), offered, class_="heading")
    if not budgets:
        return h(
            "section",
            title,
            h("p", "There is no budget: nothing bounds what is spent.", class_="quiet"),
            class_="money",
        )
    rows = [_budget(budget, may_manage=may_manage) for budget in budgets]
    return h(
        "section", title, table("Budgets and how far they are used", BUDGET_COLUMNS, rows, "budgets"), class_="money"
    )


def _budget(budget: Budget, *, may_manage: bool) -> Node:
    name, tone = LEVELS.get(budget.level, (budget.level, "neutral"))
    own = may_manage and budget.set_by == "tenant"
    values = (
        h("b", f"{limit_of(budget)} a {budget.period}"),
        "the tenant" if budget.set_by == "tenant" else "the operator",
        h("div", chip(name, tone), h("small", _used(budget))),
        budget.sentence,
        _buttons(budget.period, [("drop-budget", "Remove")]) if own else "",
    )
    return h("tr", *cells(BUDGET_COLUMNS, values), key=f"{budget.set_by}-{budget.period}")


def limit_of(budget: Budget) -> str:
    """Return a budget's limit in words."""
    parts = [
        f"{budget.usd:,.2f} USD" if budget.usd is not None else "",
        f"{budget.tokens:,} tokens" if budget.tokens is not None else "",
    ]
    return " and ".join(part for part in parts if part)


def _used(budget: Budget) -> str:
    parts = [
        f"{budget.used_usd:,.2f} USD" if budget.usd is not None else "",
        f"{budget.used_tokens:,} tokens" if budget.tokens is not None else "",
    ]
    return f"{budget.share:.0%}: " + " and ".join(part for part in parts if part)


def _usage(usage: Sequence[Usage]) -> Node:
    title = h("h2", "Used this month")
    if not usage:
        return h("section", title, h("p", "No language model was asked this month.", class_="quiet"), class_="money")
    rows = [_line(agent, model, lines) for (agent, model), lines in _grouped(usage)]
    doubtful = sum(row.doubtful_usd for row in usage)
    told = None
    if any(row.doubtful_tokens for row in usage):
        told = h(
            "p", f"Calls that ended without an answer may have cost up to {doubtful:,.4f} USD more.", class_="quiet"
        )
    return h("section", title, table("Use of each model by agent", USAGE_COLUMNS, rows, "usage"), told, class_="money")


def _grouped(usage: Iterable[Usage]) -> list[tuple[tuple[str, str], list[Usage]]]:
    found: dict[tuple[str, str], list[Usage]] = {}
    for row in usage:
        found.setdefault((row.agent, f"{row.provider}: {row.model}"), []).append(row)
    return sorted(found.items())


def _line(agent: str, model: str, lines: Sequence[Usage]) -> Node:
    failures = sum(row.failures for row in lines)
    unpriced = sum(row.unpriced_calls for row in lines)
    calls = h("div", f"{sum(row.calls for row in lines):,}", h("small", f"{failures:,} failed") if failures else None)
    cost = f"{sum(row.cost_usd for row in lines):,.4f} USD"
    values = (
        agent,
        h("code", model, class_="tag"),
        calls,
        f"{sum(row.prompt_tokens for row in lines):,}",
        f"{sum(row.completion_tokens for row in lines):,}",
        h("div", cost, h("small", f"{unpriced:,} calls without a price") if unpriced else None),
    )
    return h("tr", *cells(USAGE_COLUMNS, values), key=f"{agent} {model}")


def _tenants(tenants: Sequence[TenantBudget]) -> Node:
    rows = [
        h(
            "tr",
            *cells(
                TENANT_COLUMNS,
                (
                    h("b", one.tenant),
                    f"{limit_of(one.budget)} a {one.budget.period}",
                    chip(*LEVELS.get(one.budget.level, (one.budget.level, "neutral"))),
                    one.budget.sentence,
                ),
            ),
            key=f"{one.tenant}-{one.budget.set_by}-{one.budget.period}",
        )
        for one in tenants
    ]
    return h(
        "section",
        h("h2", "Budgets of all tenants"),
        table("Fullest first", TENANT_COLUMNS, rows, "budgets"),
        class_="money",
    )


def _told(budget: Budget) -> Node:
    tone = LEVELS.get(budget.level, ("", "warning"))[1]
    return h("p", budget.sentence, class_=f"notice tone-{tone}", role="status")


def _unpriced(model: Unpriced) -> Node:
    return h(
        "p", *coded(model.sentence), key=f"{model.provider} {model.model}", class_="notice tone-warning", role="status"
    )


def _endpoint(provider: Provider, asked: Asked, wanted: dict[str, str]) -> Node:
    before = wanted.get("endpoint") or provider.endpoint
    control = h("input", type="text", name="endpoint", value=before, autocomplete="off", spellcheck="false")
    hint = f"Of the form {provider.address}"
    return labelled("Address of your resource", control, hint=hint, wrong=asked.wrong.get("endpoint"))


def _buttons(value: str, pairs: Iterable[tuple[str, str]]) -> Node:
    return h(
        "div",
        *(h("button", text, type="button", data_action=action, data_value=value) for action, text in pairs),
        class_="buttons",
    )
