"""What a tenant may enter to connect a Jira."""

from __future__ import annotations

from typing import Any

import pytest

from aiops_core.config import Secret, config_schema, load_config, secret_fields
from aiops_core.errors import ConfigInvalid
from aiops_core.plugins import PluginManager
from aiops_core.testing.fakes import FakeServices
from aiops_core.ticketing import TicketingToolPlugin
from aiops_jira import plugin
from aiops_jira.config import JiraConfig

CLOUD = {"base_url": "https://example.atlassian.net", "email": "a@example.com", "api_token": "t"}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param({"email": None}, "Jira Cloud needs email", id="cloud without email"),
        pytest.param({"api_token": None}, "Jira Cloud needs email and api_token", id="cloud without token"),
        pytest.param({"personal_access_token": "p"}, "Data Center", id="cloud with personal access token"),
        pytest.param({"edition": "datacenter", "email": None}, "Data Center needs", id="data center with nothing"),
        pytest.param({"base_url": "example.atlassian.net"}, "base_url", id="no scheme"),
        pytest.param({"base_url": "https://me:pw@example.atlassian.net"}, "base_url", id="credentials in the address"),
        pytest.param({"base_url": "https://example.atlassian.net/?a=b"}, "base_url", id="query in the address"),
        pytest.param({"projects": ["ops; DROP"]}, "projects", id="project that is no key"),
        pytest.param({"webhook_header": "X Secret"}, "webhook_header", id="header with a space"),
        pytest.param({"automation": {"ticket": ""}}, "automation", id="empty path"),
        pytest.param({"user": "x"}, "user", id="unknown field"),
    ],
)
def test_wrong_configuration_is_refused_by_name(change: dict[str, Any], told: str) -> None:
    """A configuration Jira would refuse is refused when entered, and the message says which field."""
    with pytest.raises(ConfigInvalid, match=told):
        load_config(JiraConfig, {**CLOUD, **change})


@pytest.mark.parametrize(
    "credentials",
    [
        pytest.param({"personal_access_token": "p"}, id="personal access token"),
        pytest.param({"email": "svc-aiops", "api_token": "password"}, id="user name and password"),
    ],
)
def test_data_center_takes_either_credential(credentials: dict[str, str]) -> None:
    """Data Center takes a personal access token, or a user name with its password."""
    values = {"base_url": "https://jira.example.com/jira", "edition": "datacenter", **credentials}
    assert load_config(JiraConfig, values).edition == "datacenter"


def test_tokens_are_secrets() -> None:
    """Both tokens are declared as secrets, write-only in the schema and hidden in the repr."""
    assert secret_fields(JiraConfig) == ("api_token", "personal_access_token")
    properties = config_schema(JiraConfig)["properties"]
    assert any(option.get("writeOnly") for option in properties["api_token"]["anyOf"])
    assert "hunter2" not in repr(load_config(JiraConfig, {**CLOUD, "api_token": "hunter2"}))


def test_plugin_contributes_the_ticketing_tool() -> None:
    """The plugin loads through its hook, and its factory makes the tool without any I/O."""
    manager = PluginManager()
    assert manager.load("jira", lambda: plugin, distribution="aiops-jira", version="1").status == "loaded"
    spec = manager.registry.ticketing_tools["jira"]
    made = spec.factory(load_config(spec.config, CLOUD), FakeServices(webhook_secrets=(Secret.of("s"),)))
    assert isinstance(made, TicketingToolPlugin)
    assert plugin.AUTOMATION_TEMPLATE in spec.setup_help


@pytest.mark.parametrize(
    ("choice", "headers"),
    [
        pytest.param({}, {}, id="signature"),
        pytest.param({"webhook_proof": "header"}, {"X-AIOps-Secret": "{secret}"}, id="own header"),
        pytest.param(
            {"webhook_proof": "header", "webhook_header": "Authorization"},
            {"Authorization": "Bearer {secret}"},
            id="authorization",
        ),
    ],
)
def test_sender_is_told_its_headers(choice: dict[str, str], headers: dict[str, str]) -> None:
    """A sender needs no header where Jira signs, and the one chosen where an Automation rule cannot."""
    (spec,) = plugin.aiops_register_ticketing_tools()
    assert spec.sender_headers(load_config(JiraConfig, {**CLOUD, **choice})) == headers
