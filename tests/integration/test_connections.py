"""Connections and settings with sealed secrets, and which process may open which."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
from tests.support.databases import TwoTenants
from tests.support.egress import LoopbackHttp
from tests.support.keys import make_vault
from tests.support.postbox import Postbox, postbox_plugins

from aiops_core import (
    AiopsError,
    ConfigInvalid,
    LLMBackend,
    LLMBackendSpec,
    PluginConfig,
    PluginManager,
    Secret,
    UnknownContribution,
    hookimpl,
)
from aiops_host.data import connections as stored
from aiops_host.data import intake, tenants
from aiops_host.data.connections import ConnectionRefused, UnknownConnection
from aiops_host.data.session import Database
from aiops_host.data.tenants import TenantRefused, UnknownTenant
from aiops_host.trust.connections import (
    CreatedConnection,
    NewConnection,
    NewSetting,
    SecretOutOfReach,
    SecretReader,
    create_connection,
    load_connection,
    load_settings,
    make_for_intake,
    make_for_worker,
    put_connection_secret,
    set_plugin_setting,
)
from aiops_host.trust.vault import SecretUnreadable, Vault


class OracleConfig(PluginConfig, frozen=True, kw_only=True):
    """What an LLM backend of the tests needs."""

    api_key: Secret
    model: str = "small"


def _no_backend(*_: Any) -> LLMBackend:
    raise NotImplementedError


class OraclePlugin:
    """A backend that is configured and never asked."""

    @hookimpl
    def aiops_register_llm_backends(self) -> Iterable[LLMBackendSpec]:
        """Contribute it, and a second one."""
        return [
            LLMBackendSpec(name=name, title=name, factory=_no_backend, config=OracleConfig)
            for name in ("oracle", "augur")
        ]


@pytest.fixture
def plugins() -> PluginManager:
    """The postbox and two backends."""
    manager = postbox_plugins()
    manager.load("oracle", OraclePlugin, distribution="tests", version="1")
    return manager


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    """A vault with a key of its own."""
    return make_vault(tmp_path)


@pytest.fixture
async def made(opened: Database, vault: Vault, plugins: PluginManager, two_tenants: TwoTenants) -> CreatedConnection:
    """A connection of tenant a that needs a token."""
    new = NewConnection(name="front door", ticketing_tool="postbox", config={"needs_token": True, "api_token": "t0ken"})
    return await create_connection(opened, vault, plugins.registry, two_tenants.a.tenant_id, new)


def opened_by(secret: Secret | None) -> str:
    """Return a secret's plaintext."""
    assert secret is not None
    with secret.open() as value:
        return value


async def test_the_worker_opens_credentials_and_no_webhook_secret(
    opened: Database, vault: Vault, plugins: PluginManager, two_tenants: TwoTenants, made: CreatedConnection
) -> None:
    """A ticketing tool made in the worker reads its token; its webhook secrets raise when they are opened."""
    loaded = await load_connection(
        opened, SecretReader(vault, "credentials"), two_tenants.a.tenant_id, made.connection_id
    )
    tool = make_for_worker(plugins.registry, loaded, SecretReader(vault, "credentials"), LoopbackHttp())
    assert isinstance(tool, Postbox)
    assert opened_by(tool.config.api_token) == "t0ken"
    with pytest.raises(SecretOutOfReach, match="webhook secrets open in the host"):
        opened_by(tool.services.webhook_secrets[0])


async def test_the_host_opens_webhook_secrets_and_no_credential(
    opened: Database, vault: Vault, plugins: PluginManager, made: CreatedConnection
) -> None:
    """A ticketing tool made in the host reads its webhook secret; its token is there but raises when it is opened."""
    row = await intake.endpoint(opened, made.endpoint_id)
    assert row is not None
    reader = SecretReader(vault, "webhook")
    await reader.prepare(opened, row.tenant_id, [sealed for _, sealed in row.sealed_secrets])
    tool = make_for_intake(plugins.registry, row, reader)
    assert isinstance(tool, Postbox)
    assert [opened_by(s) for s in tool.services.webhook_secrets] == [made.webhook_secret]
    with pytest.raises(SecretOutOfReach, match="credentials in the worker"):
        opened_by(tool.config.api_token)
    with pytest.raises(AiopsError, match="without calling anybody"):
        await tool.services.http.request("GET", "https://example.com")


async def test_a_reader_of_the_wrong_purpose_opens_nothing(
    opened: Database, vault: Vault, plugins: PluginManager, two_tenants: TwoTenants, made: CreatedConnection
) -> None:
    """The same sealed secrets, read for the other purpose, raise instead of opening."""
    loaded = await load_connection(
        opened, SecretReader(vault, "credentials"), two_tenants.a.tenant_id, made.connection_id
    )
    tool = make_for_worker(plugins.registry, loaded, SecretReader(vault, "webhook"), LoopbackHttp())
    assert isinstance(tool, Postbox)
    with pytest.raises(SecretOutOfReach):
        opened_by(tool.config.api_token)


async def test_a_secret_moved_to_another_tenant_does_not_open(
    opened: Database, vault: Vault, plugins: PluginManager, two_tenants: TwoTenants, made: CreatedConnection
) -> None:
    """A sealed token copied under the other tenant's connection is not readable there."""
    new = NewConnection(name="front door", ticketing_tool="postbox", config={"api_token": "other"})
    theirs = await create_connection(opened, vault, plugins.registry, two_tenants.b.tenant_id, new)
    ours = await load_connection(
        opened, SecretReader(vault, "credentials"), two_tenants.a.tenant_id, made.connection_id
    )
    async with opened.tenant(two_tenants.b.tenant_id) as con:
        await con.execute("update secret set sealed = $1 where owner_kind = 'connection'", ours.credentials[0].sealed)
    loaded = await load_connection(
        opened, SecretReader(vault, "credentials"), two_tenants.b.tenant_id, theirs.connection_id
    )
    tool = make_for_worker(plugins.registry, loaded, SecretReader(vault, "credentials"), LoopbackHttp())
    assert isinstance(tool, Postbox)
    with pytest.raises(SecretUnreadable):
        opened_by(tool.config.api_token)


async def test_a_replaced_credential_is_the_one_used(
    opened: Database, vault: Vault, plugins: PluginManager, two_tenants: TwoTenants, made: CreatedConnection
) -> None:
    """The newest version counts, and the connection's version tells whoever caches what was made from it."""
    tenant_id = two_tenants.a.tenant_id
    before = await load_connection(opened, SecretReader(vault, "credentials"), tenant_id, made.connection_id)
    await put_connection_secret(opened, vault, before.record, "api_token", "n3w")
    after = await load_connection(opened, SecretReader(vault, "credentials"), tenant_id, made.connection_id)
    tool = make_for_worker(plugins.registry, after, SecretReader(vault, "credentials"), LoopbackHttp())
    assert isinstance(tool, Postbox)
    assert opened_by(tool.config.api_token) == "n3w"
    assert after.record.config_version > before.record.config_version


async def test_no_secret_shows(
    opened: Database, vault: Vault, made: CreatedConnection, two_tenants: TwoTenants
) -> None:
    """What is printed, logged or stored of a connection holds neither its token nor its webhook secret."""
    new = NewConnection(name="x", ticketing_tool="postbox", config={"api_token": "t0ken"})
    loaded = await load_connection(
        opened, SecretReader(vault, "credentials"), two_tenants.a.tenant_id, made.connection_id
    )
    setting = NewSetting(kind="llm-backend", name="oracle", config={"api_key": "t0ken"})
    shown = repr((new, made, loaded, setting)) + str(await stored.list_(opened, two_tenants.a.tenant_id))
    assert "t0ken" not in shown
    assert made.webhook_secret not in shown


async def test_a_connection_of_another_tenant_is_unknown(
    opened: Database, vault: Vault, made: CreatedConnection, two_tenants: TwoTenants
) -> None:
    """Another tenant can neither load nor change it."""
    other = two_tenants.b.tenant_id
    with pytest.raises(UnknownConnection):
        await load_connection(opened, SecretReader(vault, "credentials"), other, made.connection_id)
    with pytest.raises(UnknownConnection):
        await stored.set_state(opened, other, made.connection_id, "paused")
    assert await stored.list_(opened, other) == []


@pytest.mark.parametrize(
    ("changed", "error", "says"),
    [
        ({"ticketing_tool": "nothing"}, UnknownContribution, "pigeonhole, postbox"),
        ({"config": {"needs_token": True}}, ConfigInvalid, "api_token"),
        ({"config": {"colour": "red"}}, ConfigInvalid, "colour"),
        ({"name": " "}, ConfigInvalid, "name"),
        ({"run_on": ("exploded",)}, ConfigInvalid, "run_on: 'exploded'"),
        ({"agent": "oracle"}, ConfigInvalid, r"agent: 'oracle' is none of enhance\."),
        ({"link_hosts": ("https://wiki.example.com",)}, ConfigInvalid, "link_hosts"),
        ({"name": "front door"}, ConnectionRefused, "front door"),
    ],
    ids=["tool", "missing", "unknown", "name", "run on", "agent", "link host", "twice"],
)
async def test_a_connection_that_cannot_work_is_refused_whole(
    opened: Database,
    vault: Vault,
    plugins: PluginManager,
    two_tenants: TwoTenants,
    made: CreatedConnection,
    *,
    changed: dict[str, Any],
    error: type[Exception],
    says: str,
) -> None:
    """The refusal names what to change, and leaves no connection, endpoint or secret behind."""
    new = msgspec.structs.replace(NewConnection(name="second", ticketing_tool="postbox"), **changed)
    with pytest.raises(error, match=says):
        await create_connection(opened, vault, plugins.registry, two_tenants.a.tenant_id, new)
    async with opened.tenant(two_tenants.a.tenant_id) as con:
        counts = await con.fetchrow(
            "select (select count(*) from connection) as connections, (select count(*) from endpoint) as endpoints, "
            "(select count(*) from secret) as secrets"
        )
    assert tuple(counts) == (1, 1, 2)


async def test_settings_keep_their_order_and_secrets(
    opened: Database, vault: Vault, plugins: PluginManager, two_tenants: TwoTenants
) -> None:
    """Settings come back in their order with readable secrets; one changed without its secret keeps it."""
    tenant_id, registry = two_tenants.a.tenant_id, plugins.registry

    async def put(name: str, position: int, *, enabled: bool = True, **config: str) -> None:
        new = NewSetting(kind="llm-backend", name=name, position=position, enabled=enabled, config=config)
        await set_plugin_setting(opened, vault, registry, tenant_id, new)

    async def found() -> list[tuple[str, str, str]]:
        reader = SecretReader(vault, "credentials")
        settings = await load_settings(opened, reader, registry, tenant_id, "llm-backend")
        configs: list[Any] = [s.config for s in settings]
        return [(s.name, c.model, opened_by(c.api_key)) for s, c in zip(settings, configs, strict=True)]

    await put("oracle", 2, api_key="one")
    await put("augur", 1, api_key="two")
    assert await found() == [("augur", "small", "two"), ("oracle", "small", "one")]
    await put("oracle", 0, model="large")
    assert await found() == [("oracle", "large", "one"), ("augur", "small", "two")]
    await put("augur", 1, enabled=False)
    assert await found() == [("oracle", "large", "one")]
    assert (
        await load_settings(
            opened, SecretReader(vault, "credentials"), registry, two_tenants.b.tenant_id, "llm-backend"
        )
        == []
    )


async def test_a_setting_that_does_not_fit_is_refused(
    opened: Database, vault: Vault, plugins: PluginManager, two_tenants: TwoTenants
) -> None:
    """A missing secret and an unknown backend are refused, and nothing is stored."""
    tenant_id = two_tenants.a.tenant_id
    for new, error in (
        (NewSetting(kind="llm-backend", name="oracle"), ConfigInvalid),
        (NewSetting(kind="llm-backend", name="nobody"), UnknownContribution),
        (NewSetting(kind="agent", name="oracle"), UnknownContribution),
    ):
        with pytest.raises(error):
            await set_plugin_setting(opened, vault, plugins.registry, tenant_id, new)
    async with opened.tenant(tenant_id) as con:
        assert await stored.settings_of(con, "llm-backend") == []


async def test_tenants_are_made_listed_and_suspended(opened: Database) -> None:
    """A tenant has a slug of its own; the directory shows all; an unknown one is said to be unknown."""
    made = await tenants.create(opened, "acme", "Acme")
    assert await tenants.by_slug(opened, "acme") == made
    for slug in ("acme", "Acme", "a", "-a", "a b", ""):
        with pytest.raises(TenantRefused):
            await tenants.create(opened, slug, "Again")
    with pytest.raises(TenantRefused):
        await tenants.create(opened, "nameless", " ")
    await tenants.set_state(opened, made.id, "suspended")
    assert [(t.slug, t.state) for t in await tenants.directory(opened)] == [("acme", "suspended")]
    with pytest.raises(UnknownTenant):
        await tenants.by_slug(opened, "nobody")


async def test_the_intake_role_reads_no_table(opened: Database, made: CreatedConnection) -> None:
    """The intake's role can call its two functions and read nothing else, not even with a tenant set."""
    async with opened.role("intake") as con:
        for table in ("tenant", "connection", "endpoint", "secret", "delivery", "app_user"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await con.fetch(f"select * from {table}")  # noqa: S608 - named above
