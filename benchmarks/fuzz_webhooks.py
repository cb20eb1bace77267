"""Whether any webhook body, however odd, is answered with a server error.

    python benchmarks/fuzz_webhooks.py --bodies 200000 --seed 1

Bodies go, signed rightly, to a Jira and a ServiceDesk Plus connection of one host process, over 16 connections with up to
four requests on their way on each. Hypothesis makes their parts, ``bodies.py`` puts them together in another process, in
ten kinds: JSON of any shape, and a real webhook with parts replaced, deeply nested, with doubled keys, cut off, with lone
surrogates, mangled, in other encodings and as a form, and plain bytes.

The last line printed is JSON. ``server_errors`` (answers of 500 and more), ``unanswered`` (connections the host broke
although it had a whole request), ``given_up`` (bodies never answered) and ``lost`` (deliveries told by a 202 and not
stored) must be 0, or the exit code is 1. ``rss_growth_mb`` says whether memory leaked.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import json
import multiprocessing
import sys
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that it runs as a script too

from benchmarks import bodies, stage
from benchmarks.bodies import Body
from benchmarks.lines import Account, Feed, Line, Request

from aiops_core import load_plugins
from aiops_host.data import tenants
from aiops_host.data.session import Database
from aiops_host.trust.connections import CreatedConnection, NewConnection, create_connection
from aiops_host.trust.vault import Vault

BATCH = 2000
AHEAD = 3
SAY_EVERY = 20_000
LINES = 16
WARMING = 2000
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

    def request(self, body: Body) -> Request:
        """Return the request that carries the body and its proof."""
        content = body.content
        head = {**self.headers, "Host": "bench", "Content-Type": body.content_type, "Content-Length": len(content)}
        if self.signing:
            head["X-Hub-Signature"] = "sha256=" + hmac.new(self.signing.encode(), content, hashlib.sha256).hexdigest()
        lines = [f"POST {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items()), "", ""]
        return Request(body.kind, "\r\n".join(lines).encode() + content, f"{body.kind} {body.content_type} {content!r}")


class Fuzzed(NamedTuple):
    """What was sent and what came of it; ``distinct`` is how many bodies differed from all others."""

    account: Account
    distinct: int
    seconds: float


async def fuzz(
    base_url: str, senders: Sequence[Sender], many: int, first_seed: int, maker: Executor | None = None
) -> Fuzzed:
    """Send so many bodies, in turn to each sender.

    Args:
        base_url: Where the host answers.
        senders: Whose webhooks they are.
        many: How many bodies.
        first_seed: The seed of the first batch; each further batch has the next one.
        maker: Where bodies are made while others are sent; a thread unless given.
    """
    where, began, account = urlsplit(base_url), time.monotonic(), Account()
    feed: Feed = asyncio.Queue(2 * BATCH)
    seen: set[bytes] = set()

    async def make() -> None:
        number = 0
        async for body in _made(many, first_seed, maker):
            seen.add(hashlib.blake2b(body.content, digest_size=12).digest())
            await feed.put(senders[number % len(senders)].request(body))
            number += 1
            if number % SAY_EVERY == 0:
                print(f"{number} of {many} after {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        await feed.put(None)

    async with asyncio.TaskGroup() as group:
        group.create_task(make())
        for _ in range(LINES):
            group.create_task(Line(where.hostname or "", where.port or 80, feed, account).work())
    return Fuzzed(account, len(seen), time.monotonic() - began)


async def _made(many: int, first_seed: int, maker: Executor | None) -> AsyncIterator[Body]:
    """Yield the bodies; a few batches are made ahead."""
    loop = asyncio.get_running_loop()
    sizes = enumerate(min(BATCH, many - start) for start in range(0, many, BATCH))
    ahead: deque[asyncio.Future[list[Body]]] = deque()
    while True:
        for number, size in islice(sizes, AHEAD - len(ahead)):
            ahead.append(loop.run_in_executor(maker, bodies.batch, first_seed + number, size))
        if not ahead:
            return
        for body in await ahead.popleft():
            yield body


async def _senders(environment: Mapping[str, str]) -> list[Sender]:
    database = await Database.open({"app": environment["AIOPS_DATABASE_URL"]}, {"app": 4})
    try:
        registry, vault = load_plugins().registry, Vault.load(environment["AIOPS_KEY_FILE"])
        tenant = await tenants.create(database, "fuzz", "Fuzz")
        made = []
        for tool, config in CONFIGS.items():
            new = NewConnection(name=tool, ticketing_tool=tool, config=dict(config))
            made.append(Sender.of(tool, await create_connection(database, vault, registry, tenant.id, new)))
        return made
    finally:
        await database.close()


async def _run(made: stage.Servers, options: argparse.Namespace, maker: Executor) -> dict[str, Any]:
    async with stage.installed(made, (), {}) as product:
        senders = await _senders(product.environment)
        with product.part("serve") as host:
            await fuzz(product.base_url, senders, min(WARMING, options.bodies), options.seed + 10**9, maker)
            await product.forget_deliveries()
            before = stage.resident_mb(host.pid)
            account, distinct, seconds = await fuzz(product.base_url, senders, options.bodies, options.seed, maker)
            grown = round(stage.resident_mb(host.pid) - before, 1)
        states = Counter(await product.states())
    print("\n".join(account.faults), file=sys.stderr)
    connections = dict(account.connections)
    return {
        "bodies": account.statuses.total(),
        "seed": options.seed,
        "seconds": round(seconds),
        "distinct": distinct,
        "kinds": dict(sorted(account.labels.items())),
        "statuses": {str(status): count for status, count in sorted(account.statuses.items())},
        "deliveries": states,
        "connections": connections,
        "slowest_answer": round(account.slowest, 2),
        "rss_growth_mb": grown,
        "server_errors": account.server_errors,
        "unanswered": connections.get("unanswered", 0),
        "given_up": account.given_up,
        "lost": len(account.told) - states.total(),
    }


def main() -> int:
    """Send the bodies and print one line of JSON; 1 if any was answered with a server error, or not at all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bodies", type=int, default=200_000, metavar="N", help="how many")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="where to begin")
    options = parser.parse_args()
    apart = multiprocessing.get_context("spawn")
    with stage.servers() as made, ProcessPoolExecutor(1, apart) as maker:
        found = asyncio.run(_run(made, options, maker))
    print(json.dumps(found))
    return 1 if any(found[fault] for fault in ("server_errors", "unanswered", "given_up", "lost")) else 0


if __name__ == "__main__":
    sys.exit(main())
