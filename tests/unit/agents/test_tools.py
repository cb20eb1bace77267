"""What the agent's tools ask for, and what they make of the answer."""

import pytest

from aiops_agents.tools.addresses import asset_keys
from aiops_agents.tools.asset_lookup import MAX_KEYS, AssetLookup
from aiops_agents.tools.similar_tickets import SimilarTickets
from aiops_core import Evidence, Ticket, TicketComment, ToolContext
from aiops_core.testing.fakes import InMemoryAssets, InMemoryHistory, RecordingLog, SystemClock, make_ticket


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("Server 10.20.10.5 is down.", ["10.20.10.5"]),
        ("ping 10.20.10.5: timeout, (10.20.10.6), 10.20.10.7.", ["10.20.10.5", "10.20.10.6", "10.20.10.7"]),
        ("open http://10.20.10.5:8443/login", ["10.20.10.5"]),
        ("route 10.20.30.0/24 lost", ["10.20.30.0"]),
        ("2001:DB8:50:10::22 and [fe80::1%eth0]:443, ::ffff:10.0.0.9", ["2001:db8:50:10::22", "fe80::1", "10.0.0.9"]),
        ("HDG-DC01 cannot reach \\\\fs02\\share", ["hdg-dc01", "fs02"]),
        ("sap.lindner.example is slow", ["sap.lindner.example"]),
        ("Drucker ZB-7, Gerät büro-pc3", ["zb-7", "büro-pc3"]),
        ("Windows 10.0.19045.1 at 12:30:15 on 2026-05-04", []),
        ("version 999.1.1.1 and 10.0.0.300", []),
        ("case 123e4567-e89b-12d3-a456-426614174000", []),
        ("write to dana.kim@mail01.example.com", []),
        ("The printer does not print", []),
        ("10.0.0.1 10.0.0.1 10.0.0.1", ["10.0.0.1"]),
    ],
)
def test_addresses_and_names_are_found(text: str, keys: list[str]) -> None:
    """IPv4, IPv6 and machine-like names are found, normalised, once; times, versions, UUIDs and e-mail are not."""
    assert list(asset_keys(text)) == keys


def test_addresses_come_before_names() -> None:
    """Addresses stand before names with digits, and these before names with dashes, wherever they are in the text."""
    assert asset_keys("re-enrolled the e-mail client on fs02 at 10.0.0.7") == (
        "10.0.0.7",
        "fs02",
        "re-enrolled",
        "e-mail",
    )


def test_a_long_log_does_not_push_out_the_address() -> None:
    """Of a log with hundreds of names a bounded number is asked for, the addresses among them."""
    log = " ".join(f"thread-{n} com.example.Class{n}" for n in range(300))
    args = AssetLookup(InMemoryAssets()).args_for(make_ticket(description=f"{log} 10.9.8.7"))
    assert args is not None
    assert len(args.keys) == MAX_KEYS
    assert "10.9.8.7" in args.keys


def test_comments_are_read_for_addresses() -> None:
    """An address that stands in a comment only is asked for too."""
    ticket = Ticket(id="1", title="No sound", comments=(TicketComment(text="It is 10.4.4.4"),))
    args = AssetLookup(InMemoryAssets()).args_for(ticket)
    assert args is not None
    assert args.keys == ("10.4.4.4",)


def test_without_anything_to_ask_there_are_no_arguments() -> None:
    """An empty ticket asks no tool, one without addresses not the inventory."""
    empty = Ticket(id="1", title="", description="")
    assert SimilarTickets(InMemoryHistory()).args_for(empty) is None
    assert AssetLookup(InMemoryAssets()).args_for(Ticket(id="1", title="The printer does not print")) is None


async def test_the_ticket_is_not_similar_to_itself() -> None:
    """The ticket's own entry in the history, by id or number, is left out."""
    ticket = make_ticket(id="17", number="SD-17")
    history = InMemoryHistory(
        [Evidence(source="ticket", ref=ref, title=ticket.title, text=ticket.text) for ref in ("17", "SD-17", "18")]
    )
    tool = SimilarTickets(history)
    args = tool.args_for(ticket)
    assert args is not None
    clock = SystemClock()
    context = ToolContext(ticket=ticket, deadline=clock.monotonic() + 5, clock=clock, log=RecordingLog())
    result = await tool.invoke(args, context)
    assert [item.ref for item in result.evidence] == ["18"]
    assert result.summary == "1 similar tickets, 0 with a resolution."
