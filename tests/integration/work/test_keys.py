"""Tenants' own keys: which server sees which key, on every path to a model."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests.support.databases import TenantRow, TwoTenants
from tests.support.llm_stub import (
    Answer,
    LLMStub,
    Reply,
    fails,
    in_turn,
    llm_stub,
    load_litellm,
    note,
    refuses_format,
    says,
    sends,
    speaks_both,
)
from tests.support.model_desk import ModelDesk, model_desk

from aiops_core import ConfigInvalid, LLMUnavailable
from aiops_host.data import probes, providers
from aiops_host.data.session import Database
from aiops_host.trust import audit
from aiops_host.trust.catalogue import AddressUnlisted, take_from_catalogue
from aiops_host.trust.connections import NewSetting, set_plugin_setting
from aiops_host.trust.handles import SecretReader
from aiops_host.trust.tenant_keys import (
    UnknownKey,
    drop_key,
    handle,
    order_keys,
    provider_views,
)
from aiops_host.trust.tenant_keys import (
    test_key as try_again,
)

ANSWER = note(("summary", [("The tunnel's packets are too large.", [1])]))
ENVIRONMENT = {
    "OPENAI_API_KEY": "sk-environment-1",
    "ANTHROPIC_API_KEY": "sk-environment-2",
    "AZURE_API_KEY": "sk-environment-3",
    "AZURE_OPENAI_API_KEY": "sk-environment-4",
    "OPENAI_ORGANIZATION": "org-environment",
}


@pytest.fixture(scope="module", autouse=True)
def _loaded() -> None:
    load_litellm()


@pytest.fixture
async def desk(opened: Database, tmp_path: Path) -> AsyncIterator[ModelDesk]:
    """A worker's way to models."""
    async with model_desk(opened, tmp_path) as made:
        yield made


@pytest.fixture
async def three(desk: ModelDesk) -> AsyncIterator[dict[str, LLMStub]]:
    """A recording server in place of each built-in provider, listed by the operator."""
    async with AsyncExitStack() as stack:
        servers = {}
        for place, (name, protocol) in enumerate(
            (("openai", "openai"), ("azure", "azure"), ("anthropic", "anthropic"))
        ):
            stub = servers[name] = await stack.enter_async_context(llm_stub(speaks_both(ANSWER)))
            address = stub.url if protocol == "openai" else stub.url.removesuffix("/v1")
            version = "2024-10-21" if protocol == "azure" else None
            await desk.provider(name, address, protocol=protocol, api_version=version, position=place)
        yield servers


def seen(stub: LLMStub) -> set[str]:
    """Return every key a server was sent, wherever a protocol puts it."""
    found = set()
    for asked in stub.asked:
        named = (
            asked.headers.get("authorization", "").removeprefix("Bearer "),
            *(asked.headers.get(name, "") for name in ("x-api-key", "api-key")),
        )
        found |= {value for value in named if value}
    return found


def told(stub: LLMStub) -> str:
    """Return everything a server was sent."""
    return "".join(f"{asked.path}{dict(asked.headers)}{asked.body}" for asked in stub.asked)


async def test_a_key_that_works_is_used(desk: ModelDesk, tenant: TenantRow, three: dict[str, LLMStub]) -> None:
    """A key entered is tried with one small call, said to work in a sentence, and used from then on."""
    tried = await desk.enter(tenant, "openai", "sk-own", "gpt-x")
    assert (tried.state, tried.result) == ("ok", "Openai accepted the key: gpt-x answers.")
    assert len(three["openai"].asked) == 1
    assert three["openai"].asked[0].body["max_tokens"] <= 16
    completion = await (await desk.run(tenant)).ask()
    assert completion.model == "openai/gpt-x"
    assert seen(three["openai"]) == {"sk-own"}


@pytest.mark.promise("key-tried")
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (fails(401, text="Incorrect API key provided: sk-wrong"), "refused the API key (HTTP 401)"),
        (fails(403), "does not permit this key to use it (HTTP 403)"),
        (fails(404), "is not known there: check the model's name (HTTP 404)"),
        (fails(429, text="insufficient_quota: check your plan"), "has no quota left (HTTP 429)"),
        (fails(402), "has no credit left (HTTP 402)"),
        (fails(500), "failed with HTTP 500"),
        (sends(Reply(kind="endless")), "sent an answer without end"),
    ],
)
async def test_a_key_that_fails_is_explained_and_not_saved(
    desk: ModelDesk, tenant: TenantRow, three: dict[str, LLMStub], answer: Answer, said: str
) -> None:
    """Wrong key, no quota, an unknown model: one plain sentence without the key, and the key is destroyed."""
    three["openai"].answer = answer
    tried = await desk.enter(tenant, "openai", "sk-wrong")
    assert tried.state == "failed"
    assert said in str(tried.result)
    assert str(tried.result).endswith("The key was not saved.")
    assert "sk-wrong" not in str(tried.result)
    (view, *_) = await provider_views(desk.database, tenant.tenant_id)
    assert (view.name, view.state, view.test) == ("openai", "refused", tried)
    async with desk.database.tenant(tenant.tenant_id) as con:
        assert await con.fetchval("select count(*) from secret") == 0
    with pytest.raises(LLMUnavailable, match="no LLM backend is configured"):
        await (await desk.run(tenant)).ask()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://127.0.0.1:1/v1", "127.0.0.1:1 refuses connections. Check the port"),
        ("https://nosuch.invalid/v1", "nosuch.invalid is a name that DNS does not know here. Check how the address"),
        ("https://10.255.0.1/v1", "the operator may allow it with AIOPS_EGRESS_PRIVATE=10.255.0.1/32."),
    ],
)
async def test_an_unreachable_provider_is_said(desk: ModelDesk, tenant: TenantRow, address: str, said: str) -> None:
    """Whether nothing listens, the name is unknown or the address is not permitted; the model as it was typed."""
    await desk.provider("near", address)
    tried = await desk.enter(tenant, "near", "sk-own", "llama")
    assert str(tried.result).startswith("Near: llama could not be reached: ")
    assert said in str(tried.result)
    (view,) = [v for v in await provider_views(desk.database, tenant.tenant_id) if v.name == "near"]
    assert view.state == "unreached"
    async with desk.database.tenant(tenant.tenant_id) as con:
        assert await con.fetchval("select count(*) from secret") == 0


@pytest.mark.promise("key-tried")
async def test_a_new_key_replaces_the_old_one_only_when_it_works(
    desk: ModelDesk, tenant: TenantRow, three: dict[str, LLMStub]
) -> None:
    """While and after a wrong key is tried the old one is used; a right one takes its place and the old is destroyed."""
    await desk.enter(tenant, "openai", "sk-old")
    three["openai"].answer = fails(401)
    assert (await desk.enter(tenant, "openai", "sk-wrong")).state == "failed"
    three["openai"].answer = says(ANSWER)
    three["openai"].asked.clear()
    await (await desk.run(tenant)).ask()
    assert seen(three["openai"]) == {"sk-old"}
    await desk.enter(tenant, "openai", "sk-new")
    three["openai"].asked.clear()
    await (await desk.run(tenant)).ask()
    assert seen(three["openai"]) == {"sk-new"}
    async with desk.database.tenant(tenant.tenant_id) as con:
        assert await con.fetchval("select count(*) from secret") == 1


async def test_a_live_key_that_fails_its_test_stays(
    desk: ModelDesk, tenant: TenantRow, three: dict[str, LLMStub]
) -> None:
    """A test of the key in use that fails is told and changes nothing: the provider may only be down."""
    await desk.enter(tenant, "openai", "sk-own")
    three["openai"].answer = fails(500)
    probe_id = await try_again(desk.database, desk.who(tenant), "openai")
    await desk.prober.take_one()
    found = await probes.show(desk.database, tenant.tenant_id, probe_id)
    assert found.state == "failed"
    assert str(found.result).endswith("The key in use stays as it is.")
    three["openai"].answer = says(ANSWER)
    assert (await (await desk.run(tenant)).ask()).draft.sections


@pytest.mark.promise("own-key")
@pytest.mark.attack(18, figure=5)
async def test_each_server_sees_its_tenants_key_on_every_path(
    desk: ModelDesk, two_tenants: TwoTenants, three: dict[str, LLMStub], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chat, retry, fallback and test send the tenant's own key for that provider, never another's nor the operator's."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    for letter, tenant in zip("ab", two_tenants, strict=True):
        for name in three:
            assert (await desk.enter(tenant, name, f"sk-{letter}-{name}", "model-1")).state == "ok"
    for letter, tenant in zip("ab", two_tenants, strict=True):
        for stub in three.values():
            stub.asked.clear()
        three["openai"].answer = refuses_format(fails(503))  # asked again without the format, then thrice more
        three["azure"].answer = in_turn(fails(429, retry_after="0"), fails(401))
        three["anthropic"].answer = in_turn(fails(500), speaks_both(ANSWER))
        completion = await (await desk.run(tenant)).ask(timeout=60)
        assert completion.model == "anthropic/model-1"
        for name, stub in three.items():
            assert len(stub.asked) >= 2, name
            assert seen(stub) == {f"sk-{letter}-{name}"}
            others = [f"sk-{x}-{n}" for x in "ab" for n in three if (x, n) != (letter, name)]
            assert not [key for key in (*others, *ENVIRONMENT.values()) if key in told(stub)]


@pytest.mark.promise("failover")
async def test_order_of_failover(desk: ModelDesk, tenant: TenantRow, three: dict[str, LLMStub]) -> None:
    """OpenAI, then Azure, then Anthropic; a tenant may say otherwise, and every attempt is told."""
    for name in reversed(three):
        await desk.use(tenant, name, f"sk-{name}", "m")
    three["openai"].answer = three["azure"].answer = fails(401)
    run = await desk.run(tenant)
    completion = await run.ask()
    assert [(a.provider, a.error is None) for a in completion.attempts] == [
        ("openai", False),
        ("azure", False),
        ("anthropic", True),
    ]
    assert run.llm.meter.attempts[0].error == "refused the API key (HTTP 401)"
    await order_keys(desk.database, desk.who(tenant), ["anthropic", "azure"])
    completion = await (await desk.run(tenant)).ask()
    assert [a.provider for a in completion.attempts] == ["anthropic"]
    assert desk.figure("aiops_llm_calls_total", provider="openai", outcome="failed") == 1
    assert desk.figure("aiops_llm_calls_total", provider="anthropic", outcome="ok") == 2


async def test_a_tenant_without_key_reaches_nobody(
    desk: ModelDesk, two_tenants: TwoTenants, three: dict[str, LLMStub], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a key of its own a tenant calls no provider: neither its neighbour's nor the operator's key is lent."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-environment-1")
    await desk.use(two_tenants.a, "openai", "sk-a")
    with pytest.raises(LLMUnavailable, match="no LLM backend is configured"):
        await (await desk.run(two_tenants.b)).ask()
    assert not three["openai"].asked


@pytest.mark.promise("own-key")
async def test_the_operators_key_is_used_where_it_was_granted(
    desk: ModelDesk, two_tenants: TwoTenants, three: dict[str, LLMStub]
) -> None:
    """A granted key works in that tenant only; its people can neither replace nor take it away."""
    await desk.enter(two_tenants.a, "openai", "sk-operator", origin="operator")
    await desk.enter(two_tenants.b, "openai", "sk-b")
    three["openai"].asked.clear()
    await (await desk.run(two_tenants.a)).ask()
    assert seen(three["openai"]) == {"sk-operator"}
    three["openai"].asked.clear()
    await (await desk.run(two_tenants.b)).ask()
    assert seen(three["openai"]) == {"sk-b"}
    with pytest.raises(ConfigInvalid, match="The operator granted"):
        await desk.enter(two_tenants.a, "openai", "sk-a")
    with pytest.raises(UnknownKey):
        await drop_key(desk.database, desk.who(two_tenants.a), "openai")
    await drop_key(desk.database, desk.who(two_tenants.a, origin="operator"), "openai")
    with pytest.raises(LLMUnavailable):
        await (await desk.run(two_tenants.a)).ask()


async def test_a_key_opens_in_the_worker_only(desk: ModelDesk, tenant: TenantRow, three: dict[str, LLMStub]) -> None:
    """The host's own reader has no way to a tenant's key, and no view of providers shows it."""
    key_id = await desk.use(tenant, "openai", "sk-canary-4711")
    host = SecretReader(desk.vault, "webhook")
    secret = await handle(desk.database, tenant.tenant_id, key_id, host)
    with pytest.raises(Exception, match="does not open in this process"), secret.open():
        pass
    views = await provider_views(desk.database, tenant.tenant_id)
    assert "canary" not in repr(views)
    assert "canary" not in desk.log.text


@pytest.mark.attack(18)
async def test_what_the_operator_no_longer_lists_is_not_asked(
    desk: ModelDesk, tenant: TenantRow, three: dict[str, LLMStub]
) -> None:
    """A provider taken out of the catalogue, or moved to another address, gets no key at the old one."""
    await desk.use(tenant, "openai", "sk-own")
    async with llm_stub(says(ANSWER)) as moved:
        await desk.provider("openai", moved.url)
        await (await desk.run(tenant)).ask()
        assert seen(moved) == {"sk-own"}
    await take_from_catalogue(desk.database, "openai", actor=audit.operator())
    with pytest.raises(LLMUnavailable, match="openai is not in the operator's catalogue any more"):
        await (await desk.run(tenant)).ask()
    assert not three["openai"].asked
    views = {v.name: v.state for v in await provider_views(desk.database, tenant.tenant_id)}
    assert views["openai"] == "unlisted"


@pytest.mark.attack(18)
async def test_settings_by_hand_keep_to_the_catalogue(
    desk: ModelDesk, tenant: TenantRow, three: dict[str, LLMStub]
) -> None:
    """An API base the operator did not list is refused when it is set, and not used if it was listed once."""
    registry = desk.workshop.plugins.registry
    async with llm_stub(says(ANSWER)) as stub:
        model = {"model": "openai/m", "api_base": stub.url, "api_key": "sk-own"}
        setting = NewSetting(kind="llm-backend", name="litellm", config={"models": [model]})
        with pytest.raises(AddressUnlisted, match="aiops providers allow"):
            await set_plugin_setting(desk.database, desk.vault, registry, tenant.tenant_id, setting)
        await desk.provider("near", stub.url)
        await set_plugin_setting(desk.database, desk.vault, registry, tenant.tenant_id, setting)
        assert (await (await desk.run(tenant)).ask()).draft.sections
        await take_from_catalogue(desk.database, "near", actor=audit.operator())
        stub.asked.clear()
        with pytest.raises(LLMUnavailable, match="not in the operator's catalogue"):
            await (await desk.run(tenant)).ask()
        assert not stub.asked


async def test_keys_follow_the_catalogues_shape(desk: ModelDesk, tenant: TenantRow) -> None:
    """A tenant names no address of its own: only Azure's resource, and only one that fits the operator's pattern."""
    with pytest.raises(ConfigInvalid, match="one address, which the operator set"):
        await desk.use(tenant, "openai", "sk-own", endpoint="https://evil.example")
    with pytest.raises(ConfigInvalid, match="give the address of your resource"):
        await desk.use(tenant, "azure", "sk-own")
    for endpoint in ("https://evil.example", "https://a.b.openai.azure.com", "https://x.openai.azure.com.evil.example"):
        with pytest.raises(AddressUnlisted):
            await desk.use(tenant, "azure", "sk-own", endpoint=endpoint)
    await desk.use(tenant, "azure", "sk-own", endpoint="https://acme.openai.azure.com/")
    with pytest.raises(providers.UnknownProvider, match="there are: openai, azure, anthropic"):
        await desk.use(tenant, "moon", "sk-own")
    for model in ("", "../x", "m?x", "m\n", "m#", "m m", "a//b"):
        with pytest.raises(ConfigInvalid, match="models"):
            await desk.use(tenant, "openai", "sk-own", model)
    for key in ("", "  ", "sk\nx", "sk\x00", "schlüssel"):
        with pytest.raises(ConfigInvalid, match="key"):
            await desk.use(tenant, "openai", key)


async def test_acts_are_in_the_trail(desk: ModelDesk, tenant: TenantRow, three: dict[str, LLMStub]) -> None:
    """Entering, accepting, refusing and destroying a key, and every change of the catalogue, are acts of the trail."""
    await desk.enter(tenant, "openai", "sk-own")
    three["openai"].answer = fails(401)
    await desk.enter(tenant, "openai", "sk-wrong")
    await drop_key(desk.database, desk.who(tenant), "openai")
    async with desk.database.tenant(tenant.tenant_id) as con:
        acts = [
            row["act"] for row in await con.fetch("select act from audit_entry where act like 'key.%' order by number")
        ]
    assert acts == ["key.enter", "key.accept", "key.enter", "key.refuse", "key.remove"]
