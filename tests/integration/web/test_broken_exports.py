"""What who takes an export has in hand when it breaks off in the middle: nothing that could be mistaken for an archive."""

from __future__ import annotations

import asyncio
import io
import socket
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from tests.integration.web.conftest import Door, Staff
from tests.support.databases import DatabaseUrls
from tests.support.interrupted import held
from tests.support.postbox import webhook_body
from tests.support.processes import Running, running

from aiops_host.trust.vault import Vault

PATH = "/api/v1/tenant/export"
BREAKS: dict[str, dict[str, Any]] = {
    "the backend is killed": {"kill": True},
    "the table is renamed": {"then": ["alter table run rename to former_run"]},
    "a column is dropped": {"then": ["alter table run drop column ticket cascade"]},
}


@pytest.fixture
def host(database: DatabaseUrls, vault: Vault, tmp_path: Path) -> Iterator[Running]:
    """A host process on the test's database."""
    environment = {
        "AIOPS_DATABASE_URL": database.app,
        "AIOPS_INTAKE_DATABASE_URL": database.intake,
        "AIOPS_KEY_FILE": str(tmp_path / "key"),
        "AIOPS_PORT": "0",
    }
    with running("serve", environment, tmp_path / "host.log") as process:
        yield process


@pytest.mark.parametrize("how", BREAKS)
@pytest.mark.promise("export-whole")
async def test_a_broken_export_is_no_archive(
    host: Running, staff: Staff, door: Door, database: DatabaseUrls, *, how: str
) -> None:
    """The connection ends without the end of the answer, and what arrived does not open; the next export is whole."""
    await door.post(webhook_body("T-4711"))
    received = bytearray()

    async def take(client: httpx.AsyncClient) -> None:
        async with client.stream("GET", PATH, headers=staff.admin_a) as answer:
            assert answer.status_code == 200
            async for part in answer.aiter_raw():
                received.extend(part)

    async with httpx.AsyncClient(base_url=str(host.said["base_url"]), timeout=60) as client:
        async with held(database.superuser, "run", **BREAKS[how]):
            with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
                await take(client)
        assert b"delivery.jsonl" in received
        with pytest.raises(zipfile.BadZipFile):
            zipfile.ZipFile(io.BytesIO(received))
        whole = await client.get(PATH, headers=staff.admin_a)
    with zipfile.ZipFile(io.BytesIO(whole.content)) as bundle:
        assert bundle.namelist()[-1] == "tenant-a/manifest.json"
    (line,) = [line for line in host.log.read_text().splitlines() if "broke off" in line]
    assert "in the table run: " in line
    assert "begin it anew" in line


async def test_a_client_without_chunks_gets_no_archive_either(
    host: Running, staff: Staff, door: Door, database: DatabaseUrls
) -> None:
    """To HTTP/1.0 the end of the connection is the end of the answer: there the archive itself is not whole."""
    where = urlsplit(str(host.said["base_url"]))

    def take() -> bytes:
        with socket.create_connection((where.hostname, where.port), timeout=60) as connection:
            lines = [f"GET {PATH} HTTP/1.0", *(f"{name}: {value}" for name, value in staff.admin_a.items()), "", ""]
            connection.sendall("\r\n".join(lines).encode())
            received = b""
            while piece := connection.recv(65536):
                received += piece
            return received

    async with held(database.superuser, "run", kill=True):
        received = await asyncio.to_thread(take)
    assert received.startswith(b"HTTP/1.1 200")
    assert b"delivery.jsonl" in received
    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(io.BytesIO(received.partition(b"\r\n\r\n")[2]))
