"""The host while its key provider is away, or refuses."""

import httpx
import pytest
from litestar import Litestar
from tests.integration.web.conftest import Door, Staff
from tests.support.keys import NoProvider

from aiops_core import KeyProviderRefused
from aiops_host.trust.vault import Vault

NEW = {"name": "second", "ticketing_tool": "postbox", "config": {"api_token": "t0ken-of-the-test"}}


async def test_nothing_is_judged_or_sealed_while_the_provider_is_away(
    app: Litestar, http: httpx.AsyncClient, door: Door, staff: Staff, vault: Vault
) -> None:
    """Webhooks and new secrets are answered with 503 and when to come again, readiness says why, and all goes on after."""
    provider, vault.keys.provider = vault.keys.provider, NoProvider()
    for answer in (
        await door.post(b'{"ticket": "T-1"}'),
        await http.post("/api/v1/connections", json=NEW, headers=staff.admin_a),
    ):
        assert (answer.status_code, "retry-after" in answer.headers) == (503, True), answer.text
    ready = await http.get("/health/ready")
    assert (ready.status_code, "key" in ready.json()["detail"]) == (503, True)

    vault.keys.provider = provider
    assert (await door.post(b'{"ticket": "T-1"}')).status_code == 202
    assert (await http.post("/api/v1/connections", json=NEW, headers=staff.admin_a)).status_code == 201


async def test_a_refusal_of_the_provider_is_explained(
    http: httpx.AsyncClient, staff: Staff, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the provider refuses for good, the answer says what it says, and is no server error."""

    async def refuse(*_: object) -> None:
        raise KeyProviderRefused("The token may not encrypt.")

    monkeypatch.setattr(vault.keys.provider, "wrap", refuse)
    answer = await http.post("/api/v1/connections", json=NEW, headers=staff.admin_a)
    assert (answer.status_code, answer.json()["code"]) == (409, "key-provider-refused")
    assert answer.json()["detail"] == "The token may not encrypt."
