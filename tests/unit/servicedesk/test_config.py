"""The connection's form, its secrets and the plugin's own record."""

import subprocess
import sys

import pytest

from aiops_core.config import config_schema, load_config, secret_fields
from aiops_core.errors import ConfigInvalid
from aiops_core.testing.fakes import FakeServices
from aiops_core.ticketing import TicketingToolPlugin
from aiops_servicedesk import plugin
from aiops_servicedesk.config import ServiceDeskConfig

GOOD = {"base_url": "https://desk.example", "technician_key": "key-1"}
CLOUD = {
    "base_url": "https://x.example",
    "edition": "cloud",
    "client_id": "c",
    "client_secret": "s",
    "refresh_token": "r",
}


@pytest.mark.parametrize("missing", ["client_id", "client_secret", "refresh_token"])
def test_the_cloud_needs_its_credentials(missing: str) -> None:
    """A cloud connection without one of its three credentials is refused by name."""
    with pytest.raises(ConfigInvalid, match=f"cloud needs {missing}"):
        load_config(ServiceDeskConfig, {name: value for name, value in CLOUD.items() if name != missing})


@pytest.mark.parametrize("edition", ["on-prem", "msp"])
def test_the_other_editions_need_a_key(edition: str) -> None:
    """On-premises and MSP are refused without a technician key, whatever else is given."""
    with pytest.raises(ConfigInvalid, match="needs technician_key"):
        load_config(ServiceDeskConfig, {**CLOUD, "edition": edition})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("base_url", "desk.example"),
        ("base_url", "ftp://desk.example"),
        ("base_url", "https://user:pw@desk.example"),
        ("base_url", "https://desk.example?x=1"),
        ("edition", "cloudy"),
        ("portal", "../x"),
        ("portal_id", "a"),
        ("proof", "none"),
        ("proof_header", "X Y"),
        ("proof_header", "X:\r\nY"),
        ("ticket_id_field", "a..b"),
        ("event_words", {"x": "exploded"}),
        ("calls_per_minute", 0),
        ("calls_per_minut", 30),
    ],
)
def test_wrong_values_are_refused_by_name(field: str, value: object) -> None:
    """A value that cannot be meant is refused, and the message names the field."""
    with pytest.raises(ConfigInvalid, match=field):
        load_config(ServiceDeskConfig, {**GOOD, field: value})


def test_secrets_do_not_print() -> None:
    """Key, client secret and refresh token are secrets, in the form and when printed."""
    assert secret_fields(ServiceDeskConfig) == ("technician_key", "client_secret", "refresh_token")
    assert "key-1" not in repr(load_config(ServiceDeskConfig, GOOD))


def test_every_field_is_explained() -> None:
    """Each field of the form has a title and a sentence."""
    properties = config_schema(ServiceDeskConfig)["properties"]
    assert set(properties) == set(ServiceDeskConfig.__struct_fields__)
    assert [name for name, field in properties.items() if not (field.get("title") and field.get("description"))] == []


def test_the_defaults_are_the_safe_ones() -> None:
    """Thirty calls a minute, the secret in our own header."""
    config = load_config(ServiceDeskConfig, GOOD)
    assert (config.calls_per_minute, config.proof, config.proof_header) == (30, "header", "X-AIOps-Webhook-Secret")


def test_a_sender_is_told_its_header() -> None:
    """A sender adds the secret's header, and none where it signs."""
    (spec,) = plugin.aiops_register_ticketing_tools()
    assert spec.sender_headers(load_config(spec.config, GOOD)) == {"X-AIOps-Webhook-Secret": "{secret}"}
    assert spec.sender_headers(load_config(spec.config, {**GOOD, "proof_header": "X-Own"})) == {"X-Own": "{secret}"}
    assert spec.sender_headers(load_config(spec.config, {**GOOD, "proof": "signed"})) == {}


def test_the_factory_opens_a_connection() -> None:
    """The record's factory makes the tool without I/O or a running loop."""
    (spec,) = plugin.aiops_register_ticketing_tools()
    for values in (GOOD, CLOUD):
        assert isinstance(spec.factory(load_config(spec.config, values), FakeServices()), TicketingToolPlugin)


def test_the_plugin_module_is_light() -> None:
    """Importing the hooks loads neither the HTTP side nor anything beyond core."""
    code = "import sys, aiops_servicedesk.plugin; print(sorted(m for m in sys.modules if '.' not in m or 'servicedesk' in m))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "'aiops_servicedesk.plugin'" in loaded
    assert [
        name for name in ("aiops_servicedesk.client", "httpx", "litestar", "asyncio") if f"'{name}'" in loaded
    ] == []
