"""The whole API against its own description: whatever is asked, the answer is one the description knows.

``AIOPS_SCHEMA_EXAMPLES`` is how many requests of each kind every operation gets.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as hypothesis_settings
from hypothesis.errors import Unsatisfiable
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi import checks
from tests.integration.web.conftest import Door, Staff
from tests.support.databases import DatabaseUrls, TwoTenants
from tests.support.processes import Running, running
from tests.support.rows import fill, tables

from aiops_host.trust.vault import create_key_file

EXAMPLES = int(os.environ.get("AIOPS_SCHEMA_EXAMPLES", "3"))
ENDS_THE_SESSION = ("/logout", "/me/password", "/me/sessions")
CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
    checks.negative_data_rejection,
    checks.missing_required_header,
    checks.unsupported_method,
]
MODES = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)


@pytest.fixture
async def host(
    database: DatabaseUrls, two_tenants: TwoTenants, doors: tuple[Door, Door], staff: Staff, tmp_path: Path
) -> AsyncIterator[Running]:
    """A host process over a database in which both tenants have a row in every table."""
    con = await asyncpg.connect(database.superuser)
    try:
        known = await tables(con)
        for tenant in two_tenants:
            await fill(con, tenant.tenant_id, known)
    finally:
        await con.close()
    key = tmp_path / "key"
    if not key.exists():
        create_key_file(key)
    environment = {
        "AIOPS_DATABASE_URL": database.app,
        "AIOPS_INTAKE_DATABASE_URL": database.intake,
        "AIOPS_KEY_FILE": str(key),
        "AIOPS_PORT": "0",
        "AIOPS_REQUESTS_PER_TENANT": "0",
    }
    with running("serve", environment, tmp_path / "host.log") as process:
        yield process


def _operations(host: Running) -> Iterator[Any]:
    document = httpx.get(f"{host.said['base_url']}/openapi.json", trust_env=False).json()
    for found in schemathesis.openapi.from_dict(document).get_all_operations():
        yield found.ok()


def _tried(operation: Any, mode: Any, base_url: str, headers: dict[str, str], query: dict[str, str]) -> Iterator[str]:
    """Ask an operation a few times and yield what does not fit its description, in a line each."""
    told: dict[str, str] = {}

    @seed(int(os.environ.get("AIOPS_SCHEMA_SEED", "1")))
    @given(case=operation.as_strategy(generation_mode=mode))
    @hypothesis_settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: Any) -> None:
        for name, value in query.items():
            case.query = {**(case.query or {}), name: value}
        answer = case.call(base_url=base_url, headers=headers)
        statuses[answer.status_code] += 1
        try:
            case.validate_response(answer, checks=CHECKS)
        except FailureGroup as group:
            told.update({_line(e): f"{case.as_curl_command()}" for e in group.exceptions})
        except Failure as failure:
            told[_line(failure)] = case.as_curl_command()

    statuses: Counter[int] = Counter()
    with contextlib.suppress(Unsatisfiable):  # nothing about an operation without parameters can be wrong
        ask()
    seen.update(statuses)
    yield from (f"{operation.label}: {line}\n    {how}" for line, how in told.items())


seen: Counter[int] = Counter()


def _line(failure: BaseException) -> str:
    return re.sub(r"\s+", " ", f"{type(failure).__name__}: {failure}")[:400]


@pytest.mark.promise("api-does-not-break", figure="each operation, 6 requests as an administrator and 6 as nobody")
@pytest.mark.parametrize("mode", MODES, ids=lambda m: m.name.lower())
@pytest.mark.parametrize("who", ["platform", "nobody"])
async def test_answers_fit_their_description(host: Running, staff: Staff, who: str, mode: Any) -> None:
    """Asked rightly and wrongly, with a session and without: no answer of 500 or above, none the description lacks."""
    headers = staff.platform if who == "platform" else {}
    query = {"tenant": "tenant-a"} if who == "platform" else {}
    seen.clear()

    def all_of_them() -> list[str]:
        return [
            line
            for operation in _operations(host)
            if not operation.path.endswith(ENDS_THE_SESSION) or who == "nobody"
            for line in _tried(operation, mode, str(host.said["base_url"]), headers, query)
        ]

    told = await asyncio.to_thread(all_of_them)
    assert told == [], "\n".join(told)
    assert not [status for status in seen if status >= 500]
    assert sum(seen.values()) > 50
