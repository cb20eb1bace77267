"""Faults that need more than deliveries and blows."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.faults import parts
from benchmarks.faults.checker import states_of
from benchmarks.faults.desks import Seen, Site
from benchmarks.faults.plugins import BAD, GOOD
from benchmarks.faults.recovery import quantile
from benchmarks.faults.running import Run, Scenario, send_and_settle
from benchmarks.faults.world import ready

from aiops_demo.simulators.base import Behaviour, Match

WRITES = Match(method="POST", path=r"/(comment|notes)$")
READS = Match(method="GET", path=r"(issue|requests)/[^/]+$")
REVISIONS = 10
OUTAGE_SECONDS = 60.0
BREAKER_SECONDS = 3.0
WARMING = 12


async def wakeups_lost(run: Run) -> None:
    """The host dies again and again right after a commit, and every second wake-up is lost besides."""
    await send_and_settle(run)
    longest = (await _pickups(run))[-1]
    run.figures["pickup_max"] = round(longest, 2)
    if run.world.plan.timers == "production":
        run.demand(longest <= 10, f"a delivery was found only after {longest:.1f} s")  # noqa: PLR2004 - the promise


async def redis_away(run: Run) -> None:
    """Redis ends under load, is away for a while and comes back with nothing."""
    seconds = OUTAGE_SECONDS * min(1.0, run.count / run.fault.count)
    workers = [part.pid for part in run.world.workers]
    if run.world.redis is not None:
        await asyncio.to_thread(run.world.redis.stop)
    began = time.time()
    await run.send(per_second=run.count / seconds)
    await asyncio.sleep(max(0.0, began + seconds - time.time()))
    states = Counter((await states_of(run.world, run.client.ledger.sent)).values())
    run.figures["done_during_outage"] = round(states["done"] / run.count, 2)
    if run.world.redis is not None:
        await asyncio.to_thread(run.world.redis.start)
    await run.settle()
    ledger = run.client.ledger
    run.demand(not ledger.unavailable and not ledger.resets, "an answer during the outage was no 202")
    run.demand(run.figures["done_during_outage"] >= 0.5, "less than half was done by polling")  # noqa: PLR2004 - the promise
    run.demand([part.pid for part in run.world.workers] == workers, "a worker did not survive the outage")


async def postgres_restarts(run: Run) -> None:
    """PostgreSQL is stopped fast, then at once, while webhooks arrive; readiness is timed from its start."""

    async def restart(*, immediate: bool) -> None:
        await asyncio.to_thread(run.world.postgres.stop, immediate=immediate)
        await asyncio.sleep(2)
        began = time.monotonic()
        await asyncio.to_thread(run.world.postgres.start)
        await ready(run.world)
        name = "ready_after_immediate" if immediate else "ready_after_fast"
        run.figures[name] = round(time.monotonic() - began, 2)

    async def nemesis() -> None:
        length = run.count / (run.fault.per_second or 1)
        await asyncio.sleep(length / 4)
        await restart(immediate=False)
        await asyncio.sleep(length / 4)
        await restart(immediate=True)

    await asyncio.gather(run.send(), nemesis())
    await run.settle()
    ledger = run.client.ledger
    run.figures["answers_503"] = ledger.unavailable
    run.demand(ledger.unavailable > 0, "no webhook met the outage")
    run.demand(not ledger.without_retry_after, f"{ledger.without_retry_after} answers 503 without Retry-After")
    slowest = max(run.figures["ready_after_fast"], run.figures["ready_after_immediate"])
    run.demand(slowest <= 30, f"ready only {slowest:.1f} s after the start")  # noqa: PLR2004 - the promise


def language_model(mode: str) -> Scenario:
    """Return the scenario of a language model that misbehaves in this way for every ticket."""

    async def scenario(run: Run) -> None:
        server = run.world.model
        assert server is not None  # noqa: S101 - the plan asks for one
        await run.send(count=WARMING)  # each worker loads its model library first
        await run.settle()
        server.asked.clear()
        began = time.time()
        await send_and_settle(run)
        notes = [note.text for site in run.world.sites for note in site.simulator.posted]
        run.demand(all("without AI text" in text for text in notes), "a note does not say that no model answered")
        asked = sum(map(len, server.asked.values()))
        run.figures["asked"] = asked
        run.demand(asked >= run.count, "the model was not asked about every ticket")
        if mode == "429":
            # A run that lost its lease or its time is made anew and asks for itself.
            again = await run.world.fetch("select count(*) from attempt where number > 1")
            run.figures["runs_made_anew"] = again[0][0]
            early = max(server.early() - again[0][0], 0)
            run.demand(early == 0, f"{early} calls before Retry-After had passed")
            run.demand(asked > run.count, "nobody asked again after 429")
        ended = await run.world.fetch(
            "select max(extract(epoch from finished_at - received_at))::float8 as seconds from delivery "
            "where extract(epoch from received_at) >= $1",
            began,
        )
        longest = ended[0]["seconds"] or 0.0
        run.figures["terminal_max"] = round(longest, 1)
        run.demand(longest <= 120, f"a delivery took {longest:.0f} s")  # noqa: PLR2004 - the promise

    return scenario


async def refused_credentials(run: Run) -> None:
    """The first tenant's credentials are refused for a while, as after a withdrawn key."""
    site = run.world.sites[0]
    site.simulator.behave(Behaviour(fail_with=401))
    await run.send(sites=[site])
    await _until_paused(run, site)
    await _until_idle(run, site)  # what was under way when the breaker fell
    before = len(site.watch.seen)
    await asyncio.sleep(BREAKER_SECONDS)
    calls = len(site.watch.seen) - before
    run.demand(calls == 0, f"{calls} calls although the connection was paused")
    run.demand(not site.simulator.posted, "a note was posted with refused credentials")
    site.simulator.behave(Behaviour())
    async with run.world.database.tenant(site.tenant_id) as con:
        await con.execute("update connection set state = 'active', state_reason = null")
    await run.settle()


async def too_many_requests(run: Run) -> None:
    """One tenant's ticketing tool asks to wait again and again; another tenant's work goes on."""
    limited, other = run.world.sites[:2]
    alone = await _paced(run, other)
    limited.simulator.behave(Behaviour(fail_with=429, retry_after=2, times=max(run.count // 10, 2)))
    together = (await asyncio.gather(run.send(sites=[limited], count=run.count), _paced(run, other)))[1]
    await run.settle()
    early = _early(limited.watch.seen, 2.0)
    run.figures |= {"other_p95_alone": quantile(alone, 0.95), "other_p95": quantile(together, 0.95)}
    run.figures["asked_to_wait"] = sum(seen.status == 429 for seen in limited.watch.seen)  # noqa: PLR2004 - the status
    run.demand(early == 0, f"{early} calls about a ticket before Retry-After had passed")


async def shuffled(run: Run) -> None:
    """Each ticket changes ten times; the webhooks of the changes arrive out of order and stale."""
    rng = random.Random(run.seed)

    async def one(number: int) -> None:
        site = run.world.sites[number % len(run.world.sites)]
        ticket_id, _ = run.client.new_ticket(site)
        waiting = []
        for revision in range(1, REVISIONS + 1):
            ticket = site.open_ticket(ticket_id, f"VPN drops, revision{revision}end", f"VPN revision{revision}end")
            ticket = _dated(ticket, revision)
            webhook = site.simulator.webhook(ticket, "opened" if revision == 1 else "updated", proof=site.proof)
            waiting.append(asyncio.create_task(_later(run, site, ticket_id, webhook, rng.random())))
            await asyncio.sleep(0.02)
        await asyncio.gather(*waiting)

    gate = asyncio.Semaphore(run.fault.at_once)

    async def gated(number: int) -> None:
        async with gate:
            await one(number)

    await asyncio.gather(*(gated(number) for number in range(run.count)))
    await run.settle()
    await _check_newest(run)


async def poisoned(run: Run) -> None:
    """Some tickets kill whatever worker takes them up."""
    await send_and_settle(run)
    reasons = await run.world.fetch("select reason from delivery where state = 'quarantined'")
    run.demand(all("died" in (row["reason"] or "") for row in reasons), "a quarantine without its reason")
    claims = await run.world.fetch(
        "select max(n) from (select count(*) as n from attempt a join delivery d using (tenant_id, delivery_id) "
        "where d.state = 'quarantined' group by a.tenant_id, a.delivery_id) x"
    )
    run.figures["most_claims"] = claims[0][0] or 0
    run.demand(run.figures["most_claims"] == 5, "quarantine did not come after five claims")  # noqa: PLR2004 - the promise


async def bad_plugins(run: Run) -> None:
    """Four broken plugins are installed beside two good ones."""
    await send_and_settle(run)
    listed = await _plugins_list(run)
    for name in (*GOOD, *BAD):
        wanted = "failed" if name in ("raises-at-import", "raises-in-hook", "wrong-type") else "loaded"
        run.demand(listed.get(name) == wanted, f"plugin {name} is shown as {listed.get(name)}, not {wanted}")
    for name in GOOD:
        told = await run.world.fetch(
            "select count(distinct run_id) from step where outputs::text like $1", f"%{name} looked at%"
        )
        run.demand(told[0][0] == run.count, f"{name} was asked for {told[0][0]} of {run.count} tickets")


async def drained(run: Run) -> None:
    """Host and workers are told to stop while deliveries are in flight; one worker is killed after a grace."""
    for site in run.world.sites:
        site.simulator.behave(Behaviour(delay_ms=1500, match=READS))
    sending = asyncio.create_task(run.send())
    await asyncio.sleep(run.count / (run.fault.per_second or 1) / 3)
    first, second = run.world.workers[:2]
    old, began = first.process, time.monotonic()
    first.kill(signal.SIGTERM)
    second.kill(signal.SIGTERM)
    await asyncio.sleep(0.5)
    second.kill(signal.SIGKILL)
    if old is not None:
        await asyncio.wait_for(old.wait(), 115)
    run.figures["drain_seconds"] = round(time.monotonic() - began, 2)
    run.world.host.kill(signal.SIGTERM)
    await sending
    for site in run.world.sites:
        site.simulator.behave(Behaviour())
    await run.settle()
    run.demand(run.client.ledger.resets == 0, f"{run.client.ledger.resets} requests in flight were cut off")


async def late_writes(run: Run) -> None:
    """Writes arrive a second time long after their notes were confirmed, as from a process that was frozen."""
    await send_and_settle(run)
    await _write_late(run)


def windows(vendor: str, failpoints: Sequence[str]) -> Scenario:
    """Return the scenario of a death at each failpoint within one batch for the tenants of one vendor."""

    async def scenario(run: Run) -> None:
        sites = [site for site in run.world.sites if site.vendor == vendor]
        for site in sites:
            site.simulator.behave(Behaviour(apply_then="drop", times=2, match=WRITES))
        for failpoint in failpoints:
            run.world.arm(failpoint)
        await run.send(sites=sites)
        await run.settle()
        if any(failpoint.startswith("reconcile") for failpoint in failpoints):
            await _write_late(run)
        run.demand(not run.world.armed(), f"nobody died at {', '.join(run.world.armed())}")

    return scenario


async def cut_off(run: Run) -> None:
    """All workers die while the answer to a write is on its way."""
    site, left = run.world.sites[0], [run.fault.nth]

    def kill() -> None:
        left[0] -= 1
        if left[0] == 0:
            for worker in run.world.workers:
                worker.kill()

    site.watch.applied = kill
    await send_and_settle(run)
    run.demand(left[0] <= 0, "no write was cut off")


async def _later(run: Run, site: Site, ticket_id: str, webhook: tuple[dict[str, str], bytes], seconds: float) -> None:
    await asyncio.sleep(seconds)
    await run.client.send(site, ticket_id, webhook, expected="done")


async def _write_late(run: Run) -> None:
    """Repeat every write that was made about this run's tickets, and wait until the doubles are gone."""
    mine = {(sent.site.number, sent.ticket) for sent in run.client.ledger.sent}

    def notes() -> int:
        return sum((site.number, note.ticket) in mine for site in run.world.sites for note in site.simulator.posted)

    single = notes()
    for site in run.world.sites:
        site.simulator.behave(Behaviour())
        for seen in [seen for seen in site.watch.seen if seen.is_write and (site.number, seen.ticket) in mine]:
            if await _is_doubtful(run, site, seen.ticket or ""):
                await site.simulator.answer(seen.call)
    run.figures["late_writes"] = notes() - single
    await _until(lambda: notes() <= single, run.fault.within or 60)
    run.demand(run.figures["late_writes"] > 0, "no write arrived late")


async def _is_doubtful(run: Run, site: Site, ticket: str) -> bool:
    async with run.world.database.tenant(site.tenant_id) as con:
        return bool(await con.fetchval("select bool_or(lease_token > 1) from effect where ticket_id = $1", ticket))


async def _until(holds: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:  # noqa: ASYNC110 - the simulators live in other threads
        await asyncio.sleep(0.25)


async def _pickups(run: Run) -> list[float]:
    rows = await run.world.fetch(
        "select extract(epoch from a.started_at - d.received_at)::float8 as waited from delivery d "
        "join attempt a on a.tenant_id = d.tenant_id and a.delivery_id = d.delivery_id and a.number = 1 order by 1"
    )
    return [row["waited"] for row in rows] or [0.0]


async def _paced(run: Run, site: Site) -> list[float]:
    """Send a tenant's deliveries at a gentle pace and return how long each took to its note."""
    before = {sent.delivery_id for sent in run.client.ledger.sent}
    await run.client.send_all(max(run.count // 5, 5), sites=[site], per_second=5)
    await run.settle_only(site)
    mine = [s.delivery_id for s in run.client.ledger.sent if s.site is site and s.delivery_id not in before]
    rows = await run.world.fetch(
        "select extract(epoch from finished_at - received_at)::float8 as seconds from delivery "
        "where delivery_id = any($1::uuid[]) and finished_at is not null",
        mine,
    )
    return [row["seconds"] for row in rows]


def _early(seen: Sequence[Seen], seconds: float) -> int:
    """Return how many calls about a ticket came before the time that 429 had named for it was over."""
    until: dict[str, float] = defaultdict(float)
    early = 0
    for one in sorted(seen, key=lambda s: s.at):
        if one.ticket is None:
            continue
        early += one.at < until[one.ticket]
        if one.status == 429:  # noqa: PLR2004 - the status itself
            until[one.ticket] = one.answered + seconds - 0.05  # the answer travels
    return early


async def _until_paused(run: Run, site: Site) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        async with run.world.database.tenant(site.tenant_id) as con:
            if await con.fetchval("select state from connection") == "paused":
                return
        await asyncio.sleep(0.1)
    run.problems.append("the connection was not paused")


async def _until_idle(run: Run, site: Site) -> None:
    while True:
        async with run.world.database.tenant(site.tenant_id) as con:
            if not await con.fetchval("select count(*) from delivery where state = 'running'"):
                return
        await asyncio.sleep(0.1)


async def _check_newest(run: Run) -> None:
    last = await run.world.fetch(
        "select distinct on (e.tenant_id, e.ticket_id) r.ticket->>'title' as title from effect e "
        "join run r on r.tenant_id = e.tenant_id and r.run_id = e.run_id "
        "where e.state = 'confirmed' order by e.tenant_id, e.ticket_id, e.confirmed_at desc"
    )
    stale = sum(f"revision{REVISIONS}end" not in row["title"] for row in last)
    run.figures["stale_last_notes"] = stale
    run.demand(stale == 0, f"{stale} tickets whose last note is not about their newest state")
    overlapping = await run.world.fetch(
        "select count(*) from attempt a join delivery d using (tenant_id, delivery_id) "
        "join delivery e on e.tenant_id = d.tenant_id and e.connection_id = d.connection_id "
        "and e.ticket_id = d.ticket_id and e.delivery_id <> d.delivery_id "
        "join attempt b on b.tenant_id = e.tenant_id and b.delivery_id = e.delivery_id "
        "where a.started_at < b.started_at and b.started_at < a.finished_at"
    )
    run.demand(overlapping[0][0] == 0, f"{overlapping[0][0]} runs overlapped on one ticket")


def _dated(ticket: dict[str, object], revision: int) -> dict[str, object]:
    """Return the ticket with its update's time, by which the webhooks differ."""
    moment = 1_760_000_000_000 + revision * 1000
    if isinstance(fields := ticket.get("fields"), dict):
        return {**ticket, "fields": {**fields, "updated": f"2026-01-01T00:00:{revision:02}.000+0000"}}
    return {**ticket, "last_updated_time": {"value": str(moment), "display_value": str(revision)}}


async def _plugins_list(run: Run) -> dict[str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.faults.launch", "plugins", "list", "--json"),
        cwd=Path(__file__).parents[2],
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={**parts.plain_environment(), **run.world.environment},
    )
    said, _ = await process.communicate()
    return {plugin["name"]: plugin["status"] for plugin in json.loads(said)}
