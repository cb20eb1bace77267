"""Why an endpoint refused webhooks, and what to change, in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from uuid import UUID

import msgspec

from aiops_host.data import endpoints, refusals
from aiops_host.data.endpoints import EndpointView
from aiops_host.data.refusals import Refusal
from aiops_host.data.session import Database


class ExplainedRefusal(msgspec.Struct, frozen=True, kw_only=True):
    """One refusal, or ``times`` like ones within a second.

    ``header_names`` are the names of the headers that came, never their values; ``address`` is the sender's.
    """

    at: datetime
    times: int
    check: str
    what: str
    advice: str
    address: str | None
    header_names: list[str]


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint and its last refusals, newest first. ``summary`` says in a sentence what to make of them."""

    endpoint: EndpointView
    summary: str
    refusals: list[ExplainedRefusal]


ADVICE: Mapping[str, str] = MappingProxyType(
    {
        "header-missing": "Have the sender add it: enter the webhook secret, or the header shown when the connection "
        "was made, at the ticketing tool. A proxy in between may have taken it away.",
        "header-malformed": "Have the sender write it as the connection's setup text says; another product may be "
        "posting here, or a proxy in between changed it.",
        "signature": "The sender signs with another secret, or something in between changed the body. Enter the "
        "newest secret at the ticketing tool; if nobody has it, make a new one.",
        "timestamp": "Set the clock of the sender, and of this machine, by NTP; a webhook that waited long at the "
        "sender has to be sent anew.",
        "network": "If this sender is yours, add its network to those that may post.",
        "address": "Correct the address at the ticketing tool to the one shown above.",
        "plugin": "The ticketing tool's plugin failed; the host's log says why at the same time.",
    }
)
OTHERWISE = "Compare what the sender sends with the connection's setup text."


async def explain(database: Database, tenant_id: UUID, connection_id: UUID) -> Explanation:
    """Return the last refusals of a connection's endpoint with what to change.

    Raises:
        UnknownConnection: The tenant has no such connection.
    """
    async with database.tenant(tenant_id) as con:
        endpoint = await endpoints.show(con, connection_id)
        found = await refusals.last(con, endpoint.id)
    return Explanation(
        endpoint=endpoint, summary=_summary(found), refusals=[_explained(one, endpoint) for one in found]
    )


def _explained(one: Refusal, endpoint: EndpointView) -> ExplainedRefusal:
    advice = ADVICE.get(one.check, OTHERWISE)
    if not endpoint.secrets:
        advice = "The endpoint has no secret any more; make a new one and enter it at the ticketing tool."
    elif one.check == "network" and one.address:
        advice = f"{advice} It posted from {one.address}."
    return ExplainedRefusal(
        at=one.at,
        times=one.times,
        check=one.check,
        what=one.detail,
        advice=advice,
        address=one.address,
        header_names=list(one.names),
    )


def _summary(found: list[Refusal]) -> str:
    if not found:
        return (
            "This endpoint refused nothing so far. A webhook that does not arrive at all was sent to another address, "
            "or nothing was sent."
        )
    if len(found) == 1:
        return f"One refusal so far. It failed the check {found[0].check}: {ADVICE.get(found[0].check, OTHERWISE)}"
    checks = {one.check for one in found}
    if len(checks) == 1:
        (check,) = checks
        return f"The last {len(found)} refusals failed the same check, {check}: {ADVICE.get(check, OTHERWISE)}"
    return f"The last {len(found)} refusals failed {len(checks)} checks: {', '.join(sorted(checks))}."
