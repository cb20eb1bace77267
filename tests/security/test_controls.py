"""With a guard taken away the test that watches it fails: each is shown to be able to."""

from __future__ import annotations

import asyncpg
import httpx
import pytest
from litestar import Litestar
from tests.integration.web.conftest import Staff
from tests.support.catalog import offences
from tests.support.databases import DatabaseUrls, execute_as_superuser
from tests.unit.host import test_sealed_names

from aiops_host.trust import vault


@pytest.mark.attack(19)
def test_without_its_context_a_seal_could_be_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    """With nothing bound into a seal the test of all swaps fails."""
    monkeypatch.setattr(vault, "context", lambda *_: b"")
    with pytest.raises(AssertionError):
        test_sealed_names.test_no_two_of_300_secrets_can_change_places()


@pytest.mark.attack(4)
@pytest.mark.parametrize(
    "hole",
    [
        "alter table run no force row level security",
        "alter policy tenant_rows on run using (true)",
        "alter policy tenant_rows on run with check (true)",
        "grant update on audit_entry to aiops_app",
        "alter function audit_append reset search_path",
    ],
)
async def test_without_a_wall_the_catalog_is_not_clean(database: DatabaseUrls, hole: str) -> None:
    """FORCE dropped, a policy made true, or a right too many: each is an offence."""
    con = await asyncpg.connect(database.superuser)
    try:
        before = await offences(con)
        await execute_as_superuser(database.superuser, hole)
        assert len(await offences(con)) > len(before)
    finally:
        await con.close()


@pytest.mark.promise("routes-ask")
async def test_without_its_permission_a_route_is_nobodys(app: Litestar, http: httpx.AsyncClient, staff: Staff) -> None:
    """A route whose permission was taken away is refused to the platform's administrator too, not opened to all."""
    for route in app.routes:
        if route.path == "/api/v1/connections":
            for handler in route.route_handlers:  # type: ignore[union-attr]
                handler.opt.pop("permission", None)  # type: ignore[union-attr]
    assert (await http.get("/api/v1/connections")).status_code == 401
    assert (await http.get("/api/v1/connections?tenant=tenant-a", headers=staff.platform)).status_code == 403
