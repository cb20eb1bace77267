"""The operator's catalogue, tenants' keys, budgets and usage by command."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.integration.cli.conftest import Aiops
from tests.integration.cli.test_commands import stored_bytes
from tests.support.databases import DatabaseUrls, run_apart
from tests.support.probing import alive

from aiops_host.cli import asking
from aiops_host.cli.main import main

KEY = "canary-key-1414"


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A file with a key in it."""
    file = tmp_path / "openai.key"
    file.write_text(f"{KEY}\n")
    return file


def test_the_catalogue(aiops: Aiops) -> None:
    """Three providers are there; more are listed, changed, priced and taken out, and what cannot be listed is explained."""
    assert [p["name"] for p in aiops("providers", "list", "--json")] == ["openai", "azure", "anthropic"]
    aiops("providers", "allow", "inhouse", "--address", "https://llm.example/v1", "--title", "Ours")
    aiops("providers", "price", "inhouse", "llama", "--input", "0.2", "--output", "0.6")
    aiops("providers", "allow", "inhouse", "--address", "https://llm2.example/v1")
    (entry,) = [p for p in aiops("providers", "list", "--json") if p["name"] == "inhouse"]
    assert (entry["address"], entry["prices"]) == ("https://llm2.example/v1", {"llama": {"input": 0.2, "output": 0.6}})
    aiops("providers", "price", "inhouse", "llama", "--listed")
    assert "https://llm2.example/v1" in aiops("providers", "list")
    assert "without user" in aiops("providers", "allow", "x", "--address", "https://u@llm.example", code=2)
    aiops("providers", "remove", "inhouse")
    assert "there are: openai, azure, anthropic" in aiops("providers", "remove", "inhouse", code=1)
    acts = [entry["act"] for entry in aiops("audit", "list", "--json")["items"]]
    assert acts[0] == "provider.remove"
    assert {"provider.allow", "provider.price"} <= set(acts)


@pytest.mark.usefixtures("worker")
def test_a_key_by_command(aiops: Aiops, key: Path, database: DatabaseUrls) -> None:
    """A key is sealed, listed by its models and never shown; dropped, nothing is left of it."""
    aiops("tenants", "create", "acme")
    models = ("--tenant", "acme", "--models", "gpt-4o, gpt-4o-mini", "--key-file", key)
    assert "is used from now on" in aiops("providers", "set", "openai", *models, "--untested")
    (held,) = aiops("providers", "keys", "--tenant", "acme", "--json")
    assert (held["name"], held["state"], held["models"]) == ("openai", "live", ["gpt-4o", "gpt-4o-mini"])
    assert KEY not in aiops("providers", "keys", "--tenant", "acme")
    assert KEY.encode() not in stored_bytes(database)
    aiops("providers", "grant", "anthropic", *models, "--untested")
    aiops("providers", "order", "anthropic", "openai", "--tenant", "acme")
    assert [(k["name"], k["origin"]) for k in aiops("providers", "keys", "--tenant", "acme", "--json")] == [
        ("anthropic", "operator"),
        ("openai", "tenant"),
    ]
    aiops("providers", "drop", "openai", "--tenant", "acme")
    assert "no key for openai" in aiops("providers", "test", "openai", "--tenant", "acme", code=1).lower()


def test_without_a_worker_no_key_is_taken(aiops: Aiops, key: Path, database: DatabaseUrls) -> None:
    """A key nobody can try is not stored, and the command says what to start."""
    aiops("tenants", "create", "acme")
    said = aiops("providers", "set", "openai", "--tenant", "acme", "--models", "m", "--key-file", key, code=1)
    assert "No worker is running" in said
    assert aiops("providers", "keys", "--tenant", "acme", "--json") == []
    assert KEY.encode() not in stored_bytes(database)


def test_a_key_no_worker_answers_for_waits(
    aiops: Aiops, key: Path, monkeypatch: pytest.MonkeyPatch, database: DatabaseUrls
) -> None:
    """Its test stays for the next worker; a test of a key in use is taken back."""
    aiops("tenants", "create", "acme")
    models = ("--tenant", "acme", "--models", "m", "--key-file", key)
    aiops("providers", "set", "anthropic", *models, "--untested")
    run_apart(alive(database))
    monkeypatch.setattr(asking, "ANSWER_SECONDS", 0.2)
    for command in (("set", "openai", *models), ("test", "anthropic", "--tenant", "acme")):
        assert "No worker answered in time" in aiops("providers", *command, code=1)
    held = {view["name"]: view["test"] for view in aiops("providers", "keys", "--tenant", "acme", "--json")}
    assert (held["openai"]["state"], held["anthropic"]) == ("queued", None)


def test_budgets_and_usage_by_command(aiops: Aiops) -> None:
    """Budgets are set, listed with what they mean and removed; usage is there as a table, JSON and CSV."""
    aiops("tenants", "create", "acme")
    said = aiops("budgets", "set", "month", "--tenant", "acme", "--usd", "20", "--tokens", "1000")
    assert "acme: The monthly budget of 20.00 USD and 1,000 tokens, set by the operator, is used to 0%." in said
    (one,) = aiops("budgets", "list", "--json")
    assert (one["tenant"], one["budget"]["level"], one["budget"]["set_by"]) == ("acme", "ok", "operator")
    assert "WHAT IT MEANS" in aiops("budgets", "list", "--tenant", "acme")
    assert "give at least one" in aiops("budgets", "set", "day", "--tenant", "acme", code=2)
    aiops("budgets", "remove", "month", "--tenant", "acme")
    assert "has set no budget" in aiops("budgets", "remove", "month", "--tenant", "acme", code=1)
    assert aiops("usage", "--json") == [{"tenant": "acme", "rows": []}]
    assert aiops("usage", "--tenant", "acme", "--csv").startswith("tenant,day,agent,provider,model,calls,")
    assert "UTC" in aiops("usage", "--from", "2026-01-01", "--to", "2026-01-31")


def test_a_limit_that_is_not_set_again_is_told(aiops: Aiops, capsys: pytest.CaptureFixture[str]) -> None:
    """A budget replaces the one before; what no longer holds is named on the error stream, else nothing is."""
    aiops("tenants", "create", "acme")
    for given, dropped in (
        (("--tokens", "1000"), ""),
        (("--usd", "5"), "acme: the limit of 1,000 tokens a month no longer holds; give --tokens as well to keep it."),
        (("--usd", "6", "--tokens", "7"), ""),
        (("--tokens", "7"), "acme: the limit of 6.00 USD a month no longer holds; give --usd as well to keep it."),
    ):
        assert main(["budgets", "set", "month", "--tenant", "acme", *given]) == 0
        assert capsys.readouterr().err.strip() == dropped
    assert "'abc' is not an amount in USD" in aiops("budgets", "set", "day", "--tenant", "acme", "--usd", "abc", code=2)


def test_a_budget_in_usd_warns_of_models_without_a_price(
    aiops: Aiops, key: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each is named with the command that mends it, when the budget is set and when it is listed; priced, none is."""
    aiops("tenants", "create", "acme")
    aiops("providers", "allow", "inhouse", "--address", "https://llm.example/v1")
    aiops("providers", "set", "inhouse", "--tenant", "acme", "--models", "llama", "--key-file", key, "--untested")
    aiops("providers", "set", "openai", "--tenant", "acme", "--models", "gpt-4o", "--key-file", key, "--untested")
    mended = "aiops providers price inhouse llama --input USD --output USD"
    aiops("budgets", "set", "day", "--tenant", "acme", "--tokens", "1000")
    assert mended not in aiops("budgets", "list")
    assert main(["budgets", "set", "month", "--tenant", "acme", "--usd", "20"]) == 0
    printed = capsys.readouterr()
    assert mended in printed.err
    assert "gpt-4o" not in printed.err
    assert mended not in printed.out
    assert aiops("budgets", "list").count(mended) == 1
    listed = {one["budget"]["period"]: one["unpriced"] for one in aiops("budgets", "list", "--json")}
    assert [(m["model"], m["provider"]) for m in listed["month"]] == [("llama", "inhouse")]
    assert listed["day"] == []
    aiops(*mended.replace("USD", "1").split()[1:])
    assert "No price" not in aiops("budgets", "list")


def test_a_backend_set_by_hand_is_warned_of_too(aiops: Aiops) -> None:
    """Its price belongs into its configuration."""
    aiops("tenants", "create", "acme")
    config = ("--set", 'models=[{"model": "openai/llama", "api_base": "https://api.openai.com/v1", "api_key": "k"}]')
    aiops("backends", "set", "litellm", "--tenant", "acme", *config)
    aiops("budgets", "set", "month", "--tenant", "acme", "--usd", "20")
    said = aiops("budgets", "list")
    assert "No price is known for openai/llama of the backend litellm" in said
    assert "aiops backends set litellm --tenant acme" in said


def test_backends_are_listed_after_the_keys_in_use(aiops: Aiops, key: Path) -> None:
    """A tenant that asks with a key is not said to use nothing of its own."""
    aiops("tenants", "create", "acme")
    assert "acme uses none of its own" in aiops("backends", "list", "--tenant", "acme")
    models = ("--models", "gpt-4o,gpt-4o-mini", "--key-file", key, "--untested")
    aiops("providers", "set", "openai", "--tenant", "acme", *models)
    said = aiops("backends", "list", "--tenant", "acme")
    assert "acme asks with its keys first: openai (gpt-4o, gpt-4o-mini)" in said
    assert "none of its own" not in said
    assert aiops("backends", "list", "--tenant", "acme", "--json") == []


@pytest.mark.parametrize(
    ("address", "listed", "said"),
    [
        (
            "https://10.2.3.4/v1",
            "10.0.0.0/16",
            "allow it with AIOPS_EGRESS_PRIVATE=10.2.3.4/32. Workers do not ask there before that.",
        ),
        ("https://localhost/v1", "", "localhost is at "),
        ("https://10.2.3.4/v1", "10.0.0.0/8", ""),
        ("https://nosuch.invalid/v1", "", ""),
        ("https://8.8.8.8/v1", "", ""),
        ("https://8.8.8.8:9443/v1", "", "AIOPS_EGRESS_PORTS=443,8443,9443"),
    ],
)
def test_an_address_workers_may_not_call_names_the_setting(
    aiops: Aiops,
    key: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    address: str,
    listed: str,
    said: str,
) -> None:
    """A key for a server in a private network or at another port: what lets workers call it is named; DNS may be away."""
    monkeypatch.setenv("AIOPS_EGRESS_PRIVATE", listed)
    aiops("tenants", "create", "acme")
    aiops("providers", "allow", "inhouse", "--address", address)
    models = ("--models", "llama", "--key-file", str(key), "--untested")
    assert main(["providers", "set", "inhouse", "--tenant", "acme", *models]) == 0
    printed = capsys.readouterr().err
    assert (said in printed) if said else not printed


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--from", "2026-13-01"), "There is no day 2026-13-01 (YYYY-MM-DD): month must be in 1..12"),
        (("--to", "31.1.2026"), "'31.1.2026' is no day of the form YYYY-MM-DD, such as 2026-01-31."),
        (("--from", "2026-02-01", "--to", "2026-01-31"), "The first day, 2026-02-01, is after the last, 2026-01-31"),
        (("--to", "2020-01-31"), "left out, --from is the first of this month and --to today"),
    ],
)
def test_days_of_usage_that_are_none_are_refused(aiops: Aiops, options: tuple[str, ...], said: str) -> None:
    """With the form of a day and what is wrong with this one, rather than an empty table."""
    assert said in aiops("usage", *options, code=2)
