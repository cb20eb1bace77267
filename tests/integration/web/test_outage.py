"""The intake while PostgreSQL is away."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from litestar import Litestar
from tests.integration.web.conftest import Bell
from tests.support.postbox import sign, webhook_body

from aiops_core import PluginManager
from aiops_host.data import tenants
from aiops_host.data.migrate import LOGIN_ROLES, migrate
from aiops_host.data.session import Database
from aiops_host.embedded import EmbeddedPostgres
from aiops_host.settings import Settings
from aiops_host.trust.connections import NewConnection, create_connection
from aiops_host.trust.vault import Vault
from aiops_host.web.app import create_app


class Server:
    """A PostgreSQL that can be stopped and started again at the same address, over the same data."""

    def __init__(self, folder: Path) -> None:
        self._data, self._address = folder / "data", folder / "pg"
        self._server: EmbeddedPostgres | None = None

    def start(self) -> EmbeddedPostgres:
        """Start it; the address is a link to wherever the sockets are this time."""
        self._server = EmbeddedPostgres.start(self._data, fsync=False)
        self._address.unlink(missing_ok=True)
        self._address.symlink_to(self._server.socket_folder)
        return self._server

    def stop(self) -> None:
        """Stop it, whatever is connected."""
        if self._server is not None:
            self._server.stop()

    def url(self, role: str) -> str:
        """Return the lasting address for a role."""
        assert self._server is not None
        return self._server.url(role, self._server.password(role)).replace(
            str(self._server.socket_folder), str(self._address)
        )


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A PostgreSQL of the test's own."""
    own = Server(tmp_path_factory.mktemp("own"))
    own.start()
    yield own
    own.stop()


async def test_an_outage_is_a_503_until_it_ends(
    server: Server, settings: Settings, plugins: PluginManager, vault: Vault, bell: Bell
) -> None:
    """While PostgreSQL is stopped webhooks answer 503 with Retry-After; once it is back they are taken, each one kept."""
    urls = {"app": server.url("aiops_app"), "intake": server.url("aiops_intake")}
    await migrate(server.url("aiops_superuser"), [server.url(role) for role in LOGIN_ROLES])
    database = await Database.open(urls, dict.fromkeys(urls, 4))
    tenant = await tenants.create(database, "tenant-a", "A")
    new = NewConnection(name="front door", ticketing_tool="postbox")
    made = await create_connection(database, vault, plugins.registry, tenant.id, new)
    app: Litestar = create_app(settings, plugins, database, vault, bell)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="https://aiops.example") as client:

        async def post(ticket: str, path: str = made.webhook_url) -> httpx.Response:
            body = webhook_body(ticket)
            return await client.post(path, content=body, headers=sign(made.webhook_secret, body))

        accepted = {(await post("before")).json()["delivery_id"]}
        server.stop()
        for path in (made.webhook_url, f"/webhooks/postbox/{'0' * 32}"):
            away = await post("during", path)
            assert (away.status_code, away.headers["content-type"]) == (503, "application/problem+json")
            assert int(away.headers["retry-after"]) > 0
        assert (await client.get("/health/ready")).status_code == 503
        assert (await client.get("/api/v1/me", headers={"Authorization": "Bearer x"})).status_code == 503
        server.start()
        back = await post("during")
        assert back.status_code == 202
        accepted.add(back.json()["delivery_id"])
        assert (await client.get("/health/ready")).status_code == 200
    async with database.tenant(tenant.id) as con:
        assert {str(r["delivery_id"]) for r in await con.fetch("select delivery_id from delivery")} == accepted
    await database.close()
