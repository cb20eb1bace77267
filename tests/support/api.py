"""The host's API as the platform's administrator uses it."""

from typing import Any

import httpx
from tests.support.waiting import Logs, no_logs, wait_for

ENDED = {"done", "ignored", "quarantined", "parked", "dead"}


class Api:
    """A session of one person."""

    def __init__(self, base_url: str, email: str, password: str, logs: Logs = no_logs) -> None:
        """Log in."""
        self._logs = logs
        self.http = httpx.Client(base_url=base_url, trust_env=False, timeout=30)
        answer = self.http.post("/api/v1/login", json={"email": email, "password": password})
        assert answer.status_code == 200, answer.text
        self.http.headers["authorization"] = f"Bearer {answer.json()['token']}"

    def close(self) -> None:
        """Close its connections."""
        self.http.close()

    def get(self, path: str, **query: str) -> Any:
        """Return the JSON below ``/api/v1``."""
        answer = self.http.get(f"/api/v1{path}", params=query)
        assert answer.is_success, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()

    def delivery(self, tenant: str, delivery_id: str) -> dict[str, Any]:
        """Return a delivery with its attempts, runs and effects."""
        found: dict[str, Any] = self.get(f"/deliveries/{delivery_id}", tenant=tenant)
        return found

    def deliveries(self, tenant: str, ticket_id: str) -> list[dict[str, Any]]:
        """Return the deliveries about a ticket, newest first."""
        found: list[dict[str, Any]] = self.get("/deliveries", tenant=tenant, ticket=ticket_id)["items"]
        return found

    def state(self, tenant: str, delivery_id: str) -> str:
        """Return the state of a delivery."""
        return str(self.delivery(tenant, delivery_id)["delivery"]["state"])

    def await_state(self, tenant: str, delivery_id: str, *states: str) -> dict[str, Any]:
        """Wait until a delivery is in one of the states and return it."""

        def reached() -> dict[str, Any] | None:
            found = self.delivery(tenant, delivery_id)
            return found if found["delivery"]["state"] in states else None

        return wait_for(reached, f"delivery {delivery_id} to be {' or '.join(states)}", logs=self._logs)

    def await_end(self, tenant: str, delivery_id: str) -> dict[str, Any]:
        """Wait until nothing more happens to a delivery and return it."""
        return self.await_state(tenant, delivery_id, *ENDED)

    def ready(self) -> httpx.Response:
        """Return the answer of the readiness check."""
        return self.http.get("/health/ready")
