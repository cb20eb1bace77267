"""How long it took until work went on: to the next claim after a worker's death, to the note, to readiness."""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence

from benchmarks.faults.world import World

_NEXT_CLAIMS = """
select a.worker, n.started_at
from attempt a
join attempt n on n.tenant_id = a.tenant_id and n.delivery_id = a.delivery_id and n.number = a.number + 1
where a.outcome = 'crashed' and extract(epoch from a.started_at) >= $1
"""
_DOUBTFUL = """
select first_attempt_at, confirmed_at from effect
where state = 'confirmed' and lease_token > 1 and extract(epoch from first_attempt_at) >= $1
"""
_PICKED_UP = """
select extract(epoch from a.started_at - d.received_at)::float8 as waited
from delivery d join attempt a on a.tenant_id = d.tenant_id and a.delivery_id = d.delivery_id and a.number = 1
where extract(epoch from d.received_at) >= $1
"""
_FINISHED = """
select extract(epoch from finished_at - received_at)::float8 as seconds from delivery
where state = 'done' and extract(epoch from received_at) >= $1
"""


def quantile(values: Sequence[float], share: float) -> float:
    """Return the nearest-rank quantile, 0 without values."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return round(ordered[min(int(share * len(ordered)), len(ordered) - 1)], 2)


async def figures(world: World, since: float) -> dict[str, float]:
    """Return the figures of the run that began at ``since`` (``time.time()``), in seconds.

    ``claim_p99`` and ``claim_max``: from a worker's death to the next claim of what it held; ``note_max``: from the
    death of a worker to the confirmed note of an effect it held; ``pickup_max``: from a webhook's commit to its first
    claim; ``done_p50`` and ``done_p95``: from commit to note. ``load`` is the machine's, for those who compare runs.
    """
    struck_down = [death for death in world.deaths if death.at >= since]
    deaths = {death.pid: death.at for death in struck_down if death.name == "worker"}
    claims = []
    for row in await world.fetch(_NEXT_CLAIMS, since):
        died = deaths.get(int(row["worker"].split(":")[1]))
        # A busy machine may also lose a lease while its worker lives; that is no recovery.
        if died is not None and row["started_at"].timestamp() >= died:
            claims.append(row["started_at"].timestamp() - died)
    settled = []
    for row in await world.fetch(_DOUBTFUL, since):
        begun, ended = row["first_attempt_at"].timestamp(), row["confirmed_at"].timestamp()
        struck = [at for at in deaths.values() if begun <= at <= ended]
        settled += [ended - min(struck)] if struck else []
    waited = [row["waited"] for row in await world.fetch(_PICKED_UP, since)]
    done = [row["seconds"] for row in await world.fetch(_FINISHED, since)]
    found = {
        "done_p50": round(statistics.median(done), 2) if done else 0.0,
        "done_p95": quantile(done, 0.95),
        "pickup_max": quantile(waited, 1),
    }
    if claims:
        found |= {"claims": len(claims), "claim_p99": quantile(claims, 0.99), "claim_max": quantile(claims, 1)}
    if settled:
        found |= {"notes_interrupted": len(settled), "note_max": quantile(settled, 1)}
    if deaths:
        found["worker_deaths"] = len(deaths)
    if hosts := sum(death.name == "serve" for death in struck_down):
        found["host_deaths"] = hosts
    found["load"] = round(os.getloadavg()[0], 1)
    return found
