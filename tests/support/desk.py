"""A connection as its ticketing tool sees it: tickets, signed webhooks, and the notes that arrived."""

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

import httpx
from tests.support.waiting import Logs, no_logs, wait_for

from aiops_demo.simulators import simulator_class
from aiops_demo.simulators.base import Json, Proof

FIRST_NUMBER = 70_001
NOTE_SECONDS = 90.0


class Desk:
    """One tenant's connection and the simulator behind it."""

    def __init__(self, tenant: str, connection: Mapping[str, Any], logs: Logs = no_logs) -> None:
        """Take the tenant's slug and the connection as the demo's state file writes it."""
        self.tenant = tenant
        self.connection_id = ""
        self.ticketing_tool: str = connection["ticketing_tool"]
        self.webhook_url: str = connection["webhook_url"]
        self.proof = Proof(secret=connection["secret"], headers=connection["headers"])
        self._simulator_url: str = connection["simulator_url"]
        self._mirror = simulator_class(self.ticketing_tool)(token="of the other one")
        self._mirror.url = self._simulator_url
        self._numbers = count(FIRST_NUMBER)
        self._logs = logs
        self._http = httpx.Client(trust_env=False, timeout=30)

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def new_id(self) -> str:
        """Return a ticket id that no other test uses."""
        number = next(self._numbers)
        return f"OPS-{number}" if self.ticketing_tool == "jira" else str(number)

    def ticket(self, title: str, description: str = "", **more: Any) -> Json:
        """Return a new ticket in the vendor's own JSON; ``more`` are fields of a seed ticket."""
        neutral = {"ticket_id": self.new_id(), "title": title, "description": description, **more}
        return self._mirror.to_vendor(neutral)

    def add(self, ticket: Json) -> str:
        """Put a ticket, in the vendor's own JSON, into the ticketing tool; return the id its notes will name."""
        self._call("POST", "/_/tickets", ticket)
        return self.imagine(ticket)

    def imagine(self, ticket: Json) -> str:
        """Return the id of a ticket that the ticketing tool does not have, but can announce by :meth:`announce`."""
        added = self._mirror.add_ticket(ticket)
        return str(added.get("key") or added["id"])

    def webhook(self, ticket_id: str, kind: str = "opened", proof: Proof | None = None) -> tuple[dict[str, str], bytes]:
        """Return headers and body of the webhook the vendor sends about a ticket that was added."""
        return self._mirror.webhook(self._mirror.ticket(ticket_id), kind, proof=proof or self.proof)

    def send(self, headers: Mapping[str, str], body: bytes) -> httpx.Response:
        """Send a webhook."""
        return self._http.post(self.webhook_url, content=body, headers=dict(headers))

    def announce(self, ticket_id: str, kind: str = "opened") -> str:
        """Send the webhook about a ticket; return the delivery's id."""
        answer = self.send(*self.webhook(ticket_id, kind))
        assert answer.status_code == 202, f"{answer.status_code} {answer.text}"
        return str(answer.json()["delivery_id"])

    def deliver(self, ticket: Json, kind: str = "opened") -> tuple[str, str]:
        """Add a ticket and send its webhook; return the ids of ticket and delivery."""
        ticket_id = self.add(ticket)
        return ticket_id, self.announce(ticket_id, kind)

    def notes(self, ticket_id: str) -> list[dict[str, Any]]:
        """Return the notes on a ticket, oldest first."""
        return [note for note in self.posted() if note["ticket"] == ticket_id]

    def posted(self) -> list[dict[str, Any]]:
        """Return the notes on all tickets."""
        found: list[dict[str, Any]] = self._call("GET", "/_/posted")
        return found

    def await_notes(self, ticket_id: str, number: int = 1) -> Sequence[dict[str, Any]]:
        """Wait until a ticket has that many notes and return them."""

        def enough() -> list[dict[str, Any]] | None:
            notes = self.notes(ticket_id)
            return notes if len(notes) >= number else None

        what = f"{number} notes on {self.ticketing_tool} {ticket_id}"
        return wait_for(enough, what, seconds=NOTE_SECONDS, logs=self._logs)

    def calls(self, method_and_route: str) -> int:
        """Return how often a route of the vendor's API was called, such as ``GET /rest/api/3/issue/{key}``."""
        return int(self._call("GET", "/_/stats")["calls"].get(method_and_route, 0))

    def behave(self, **behaviour: Any) -> None:
        """Make the ticketing tool misbehave this way, or with no argument behave."""
        self._call("POST", "/_/behave", behaviour)

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        answer = self._http.request(method, self._simulator_url + path, json=body)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()
