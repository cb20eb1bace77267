"""``aiops demo``: notes arriving on the tickets of two simulated ticketing tools."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import httpx

from aiops_demo.children import ChildFailed
from aiops_demo.play import TicketOutcome, open_tickets, outcomes, state_for_programs, watch_notes
from aiops_demo.stage import FolderRefused, Stage, first_of, staged

FOLLOW_SECONDS = 0.5


@click.command()
@click.option("--once", is_flag=True, help="End when every note is on its ticket: exit code 0, or 1 if one is missing")
@click.option("--json", "as_json", is_flag=True, help="End with one line of JSON; progress goes to standard error")
@click.option("--data", type=click.Path(path_type=Path), help="Keep everything in this empty folder")
@click.option("--llm-url", help="An OpenAI-compatible server to ask instead of the offline backend")
@click.option("--llm-model", default="demo", show_default=True, help="The model asked of it; OPENAI_API_KEY is its key")
@click.option(
    "--state-file", type=click.Path(path_type=Path), help="Write addresses, logins and secrets here when ready"
)
def demo(**options: Any) -> int:
    """Start everything on this machine, open 12 tickets and show the notes that AI Ops writes on them.

    Nothing is needed: no account, no key, no service. It runs until Ctrl-C.
    """
    return asyncio.run(_perform(options, time.monotonic()))


async def _perform(options: dict[str, Any], started: float) -> int:
    stopping = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stopping.set)
    performing = asyncio.create_task(_play(options, started, stopping))
    stopped = asyncio.create_task(stopping.wait())
    await asyncio.wait([performing, stopped], return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not performing.done():
        performing.cancel()
    try:
        return await performing
    except asyncio.CancelledError:
        click.echo("Stopped.", err=options["as_json"])
        return 1 if options["once"] else 0
    except (ChildFailed, FolderRefused) as error:
        click.echo(f"aiops demo: {error}", err=True)
        return 2 if isinstance(error, FolderRefused) else 1


async def _play(options: dict[str, Any], started: float, stopping: asyncio.Event) -> int:
    def say(text: str) -> None:
        click.echo(f"{time.monotonic() - started:6.1f} s  {text}", err=options["as_json"])

    async with staged(options["data"], _llm(options), say) as stage, httpx.AsyncClient(trust_env=False) as http:
        await stage.host_ready(http)
        sent = await asyncio.gather(*(open_tickets(tenant, http) for tenant in stage.tenants))
        count = sum(map(len, sent))
        say(f"{count} tickets opened, their webhooks accepted")
        first = await watch_notes(stage, count, say, started=started)
        found = await outcomes(stage, http)
        await stage.all_ready()
        _show(stage, found, options, say)
        if options["state_file"]:
            _write_state(options["state_file"], state_for_programs(stage))
        if not options["once"]:
            await first_of(stopping.wait(), stage.ended(), _follow_restarts(stage, options["state_file"]))
        if options["as_json"]:
            click.echo(json.dumps(_summary(found, first, started)))
        return 0 if all(o.notes == 1 and o.internal for o in found) else 1


def _llm(options: dict[str, Any]) -> dict[str, Any] | None:
    if not options["llm_url"]:
        return None
    base = options["llm_url"].rstrip("/")
    key = os.environ.get("OPENAI_API_KEY", "none")
    return {"model": f"openai/{options['llm_model']}", "api_base": base, "api_key": key}


def _show(stage: Stage, found: Sequence[TicketOutcome], options: dict[str, Any], say: Any) -> None:
    for outcome in found:
        if outcome.notes != 1 or not outcome.internal:
            say(f"{outcome.tenant} {outcome.ticket}: {outcome.notes} notes, internal: {outcome.internal}")
    best = next((o for o in found if o.notes), None)
    if best and not options["as_json"]:
        click.echo(f"\nThe note on ticket {best.ticket} of {best.tenant}, as its technician sees it:\n")
        click.echo("\n".join(f"    {line}" for line in best.text.splitlines()))
    if not options["once"] and not options["as_json"]:
        state = state_for_programs(stage)
        click.echo(f"\nDashboard  {state['admin_url']}\nAPI        {state['base_url']}/docs\n\nLogins")
        for user in state["users"]:
            click.echo(f"  {user['email']}  {user['password']}  {user['role']} {user['tenant'] or ''}".rstrip())
        click.echo("\nMetrics")
        for name, url in state["metrics"].items():
            click.echo(f"  {name}  {url}")
        click.echo("\nNotes as the ticketing tools hold them")
        for tenant in stage.tenants:
            click.echo(f"  {tenant.player.slug}  {tenant.simulator_url}/_/posted")
        click.echo("\nCtrl-C ends everything.")
        sys.stdout.flush()


def _summary(found: Sequence[TicketOutcome], first: float | None, started: float) -> dict[str, Any]:
    return {
        "notes": sum(o.notes for o in found),
        "first_note_s": round(first, 2) if first is not None else None,
        "total_s": round(time.monotonic() - started, 2),
        "tickets": [{"tenant": o.tenant, "ticket": o.ticket, "notes": o.notes, "internal": o.internal} for o in found],
    }


async def _follow_restarts(stage: Stage, path: Path | None) -> None:
    """Write the state file anew whenever a part was replaced, so that its process ids stay true.

    Raises:
        ChildFailed: The installation ended.
    """
    while True:
        before = stage.state["pids"]
        await asyncio.sleep(FOLLOW_SECONDS)
        await stage.all_ready()
        if path and stage.state["pids"] != before:
            _write_state(path, state_for_programs(stage))


def _write_state(path: Path, state: dict[str, Any]) -> None:
    fresh = path.with_name(path.name + ".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as handle:
        json.dump(state, handle)
    fresh.replace(path)


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    try:
        return int(demo.main(args=list(argv), prog_name="aiops demo", standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        return 2
