"""Whether any webhook body, however odd, is answered with a server error.

    python benchmarks/fuzz_webhooks.py --bodies 200000 --seed 1

Bodies made by hypothesis go, signed rightly, to a Jira and a ServiceDesk Plus connection of one host process: values of
any shape, real webhooks with parts replaced, deep nests, huge numbers, broken text and plain bytes. The last line printed
is JSON; ``server_errors`` must be 0, and ``rss_growth_mb`` says whether memory leaked.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import http.client
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that it runs as a script too

from benchmarks import stage

from aiops_core import load_plugins
from aiops_host.data import tenants
from aiops_host.data.session import Database
from aiops_host.trust.connections import CreatedConnection, NewConnection, create_connection
from aiops_host.trust.vault import Vault

CHUNK = 2000
SERVER_ERROR = 500
JIRA: dict[str, Any] = {
    "webhookEvent": "jira:issue_created",
    "timestamp": 1_763_000_000_000,
    "user": {"accountId": "5b10", "displayName": "Kim"},
    "issue": {
        "id": "10001",
        "key": "OPS-1",
        "fields": {"summary": "VPN drops", "description": "again", "updated": "2026-11-23T09:00:00.000+0000"},
    },
}
SERVICEDESK: dict[str, Any] = {
    "id": "20683",
    "event": "created",
    "subject": "No audio",
    "last_updated_time": "1763000000000",
}
CONFIGS: Mapping[str, Mapping[str, Any]] = {
    "jira": {"base_url": "https://jira.example", "email": "bot@example.com", "api_token": "t" * 24},
    "servicedesk": {"base_url": "https://desk.example", "technician_key": "k" * 24},
}


class Sender(NamedTuple):
    """A connection as its ticketing tool posts to it; ``signing`` is the secret where bodies are signed."""

    path: str
    headers: Mapping[str, str]
    signing: str

    @classmethod
    def of(cls, tool: str, connection: CreatedConnection) -> Sender:
        """Return the sender of a connection."""
        path = urlsplit(connection.webhook_url).path
        return cls(path, connection.headers, connection.webhook_secret if tool == "jira" else "")

    def head(self, body: bytes, kind: str) -> dict[str, str]:
        """Return the headers that prove the body."""
        head = {**self.headers, "Content-Type": kind}
        if self.signing:
            head["X-Hub-Signature"] = "sha256=" + hmac.new(self.signing.encode(), body, hashlib.sha256).hexdigest()
        return head


TEXTS = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["", "\0", "null", "-1", "1e999", "OPS-1", "jira:issue_updated", "../..", "\u202e", "{{7*7}}", "x" * 5000]
    ),
)
NUMBERS = st.one_of(st.integers(), st.floats(), st.sampled_from([10**400, -(10**30), 2**63, 1e308]))
LEAVES = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=6), st.dictionaries(TEXTS, inner, max_size=6)),
    max_leaves=20,
)
KINDS = st.sampled_from(
    [
        "application/json",
        "application/json; charset=utf-16",
        "application/x-www-form-urlencoded",
        "text/plain",
        "*/*",
        "x",
    ]
)


@st.composite
def replaced(draw: st.DrawFn) -> Any:
    """A real webhook with a few of its parts replaced, removed or added."""
    body = json.loads(json.dumps(draw(st.sampled_from([JIRA, SERVICEDESK]))))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from([body, *(v for v in body.values() if isinstance(v, dict) and v)]))
        name = draw(st.one_of(st.sampled_from(sorted(place) or ["x"]), TEXTS))
        if draw(st.booleans()):
            place[name] = draw(VALUES)
        else:
            place.pop(name, None)
    return body


def bodies() -> st.SearchStrategy[bytes]:
    """Return a strategy for bodies, from nearly right to nonsense."""
    encoded = st.one_of(VALUES, replaced()).map(lambda value: json.dumps(value).encode())
    nested = st.tuples(st.sampled_from([b"[", b'{"a":', b'{"issue":{"fields":']), st.integers(1, 400)).map(
        lambda p: p[0] * p[1]
    )
    doubled = st.tuples(replaced(), replaced()).map(
        lambda p: json.dumps(p[0]).encode()[:-1] + b"," + json.dumps(p[1]).encode()[1:]
    )
    cut = st.tuples(replaced(), st.integers(0, 300)).map(lambda p: json.dumps(p[0]).encode()[: p[1]])
    surrogates = replaced().map(lambda value: json.dumps(value).replace("VPN", "\\ud800\\u0000").encode())
    return st.one_of(encoded, nested, doubled, cut, surrogates, st.binary(max_size=200))


def fuzz(base_url: str, senders: Sequence[Sender], many: int, first_seed: int) -> tuple[Counter[int], list[str]]:
    """Send so many bodies, in turn to each sender.

    Returns:
        How often which status was answered, and the bodies answered with a server error, as they can be read.
    """
    statuses: Counter[int] = Counter()
    broken: list[str] = []
    where = urlsplit(base_url)
    line = http.client.HTTPConnection(where.hostname or "", where.port, timeout=30)

    def send(body: bytes, kind: str) -> None:
        sender = senders[sum(statuses.values()) % len(senders)]
        for tries in range(3):
            try:
                line.request("POST", sender.path, body, sender.head(body, kind))
                answer = line.getresponse()
                answer.read()
                break
            except (OSError, http.client.HTTPException):  # the host closes connections that idled on a busy machine
                line.close()
                if tries == 2:  # noqa: PLR2004 - the last
                    raise
        statuses[answer.status] += 1
        if answer.status >= SERVER_ERROR:
            broken.append(f"{answer.status} {kind} {body!r}")

    while (left := many - sum(statuses.values())) > 0:
        options = settings(
            max_examples=min(CHUNK, left),
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        seed(first_seed + sum(statuses.values()))(options(given(body=bodies(), kind=KINDS)(send)))()
        if many > CHUNK:
            print(f"{sum(statuses.values())} of {many}", file=sys.stderr, flush=True)
    line.close()
    return statuses, broken


async def _senders(environment: Mapping[str, str]) -> list[Sender]:
    database = await Database.open({"app": environment["AIOPS_DATABASE_URL"]}, {"app": 4})
    try:
        registry, vault = load_plugins().registry, Vault.load(environment["AIOPS_KEY_FILE"])
        tenant = await tenants.create(database, "fuzz", "Fuzz")
        made = []
        for tool, config in CONFIGS.items():
            new = NewConnection(name=tool, ticketing_tool=tool, config=dict(config), run_on=())
            made.append(Sender.of(tool, await create_connection(database, vault, registry, tenant.id, new)))
        return made
    finally:
        await database.close()


async def _run(made: stage.Servers, options: argparse.Namespace) -> dict[str, Any]:
    async with stage.installed(made, (), {}) as product:
        senders = await _senders(product.environment)
        with product.part("serve") as host:
            await asyncio.to_thread(fuzz, product.base_url, senders, min(2000, options.bodies), options.seed + 10**9)
            before = stage.resident_mb(host.pid)
            statuses, broken = await asyncio.to_thread(fuzz, product.base_url, senders, options.bodies, options.seed)
            grown = round(stage.resident_mb(host.pid) - before, 1)
    for line in broken[:20]:
        print(line, file=sys.stderr)
    counted = {str(status): count for status, count in sorted(statuses.items())}
    return {
        "bodies": sum(statuses.values()),
        "seed": options.seed,
        "server_errors": len(broken),
        "statuses": counted,
        "rss_growth_mb": grown,
    }


def main() -> int:
    """Send the bodies and print one line of JSON; 1 if any was answered with a server error."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bodies", type=int, default=200_000, metavar="N", help="how many")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="where to begin")
    options = parser.parse_args()
    with stage.servers() as made:
        found = asyncio.run(_run(made, options))
    print(json.dumps(found))
    return 1 if found["server_errors"] else 0


if __name__ == "__main__":
    sys.exit(main())
