"""What the plugin contributes, and that declaring it is cheap."""

import json
import subprocess
import sys

import msgspec
import pytest

from aiops_agents.backends.config import LiteLLMConfig
from aiops_core import ConfigInvalid, config_schema, load_config, load_plugins

HEAVY = ("litellm", "langgraph", "langchain_core", "httpx", "openai", "pydantic")


def test_the_plugin_loads_with_everything_it_offers() -> None:
    """The installed distribution is discovered and contributes three tools, two backends and the agent."""
    record = next(r for r in load_plugins().records if r.name == "agents")
    assert (record.distribution, record.status, record.error) == ("aiops-agents", "loaded", None)
    assert set(record.contributes) == {
        "tool similar_tickets",
        "tool knowledge_base",
        "tool asset_lookup",
        "LLM backend litellm",
        "LLM backend offline",
        "agent enhance",
    }


def test_declaring_loads_nothing_heavy() -> None:
    """Importing the plugin and collecting its records loads neither LiteLLM nor LangGraph nor an HTTP client."""
    program = (
        "import json, sys; from aiops_agents import plugin;"
        "list(plugin.aiops_register_tools()); list(plugin.aiops_register_llm_backends());"
        "list(plugin.aiops_register_agents());"
        f"print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    )
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert json.loads(output) == []


def test_the_configuration_shows_no_key() -> None:
    """A key is a secret in the form's schema and cannot be printed."""
    config = load_config(LiteLLMConfig, {"models": [{"model": "openai/x", "api_key": "sk-canary"}]})
    assert "sk-canary" not in repr(config)
    schema = json.dumps(config_schema(LiteLLMConfig))
    assert '"writeOnly": true' in schema
    assert config.models[0].api_key is not None
    with config.models[0].api_key.open() as key:
        assert key == "sk-canary"


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"models": []},
        {"models": [{"model": ""}]},
        {"models": [{"model": "x", "timeout": 0}]},
        {"models": [{"model": "x", "api_base": "ftp://x"}]},
        {"models": [{"model": "x", "unknown": 1}]},
    ],
)
def test_a_wrong_configuration_is_refused(values: dict[str, object]) -> None:
    """No model, an empty name, no time, another protocol or an unknown field is refused with the field's name."""
    with pytest.raises(ConfigInvalid, match="models"):
        load_config(LiteLLMConfig, values)


def test_the_configuration_is_json() -> None:
    """The schema of the form is plain JSON."""
    assert msgspec.json.decode(msgspec.json.encode(config_schema(LiteLLMConfig)))["properties"]["models"]
