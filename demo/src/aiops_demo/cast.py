"""Who plays in the demo: the two tenants, their seed files and their simulators."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SEED = Path(__file__).parent / "seed"
TENANTS = ("harbor", "lindner")
BACK_TO = "2026-01-01"
"""The seed's oldest tickets are younger than this."""


@dataclass(frozen=True, slots=True)
class Player:
    """One tenant of the demo."""

    slug: str

    @property
    def folder(self) -> Path:
        """Where its seed files are."""
        return SEED / self.slug

    @property
    def profile(self) -> Mapping[str, Any]:
        """Its name, ticketing tool, people and link hosts."""
        found: Mapping[str, Any] = self._read("profile.json")
        return found

    @property
    def live(self) -> list[dict[str, Any]]:
        """The tickets opened while the demo runs."""
        found: list[dict[str, Any]] = self._read("live.json")
        return found

    @property
    def ticketing_tool(self) -> str:
        """The name of its ticketing tool."""
        return str(self.profile["ticketing_tool"])

    def _read(self, name: str) -> Any:
        return json.loads((self.folder / name).read_text(encoding="utf-8"))


def config_for(ticketing_tool: str, url: str, token: str) -> dict[str, Any]:
    """Return what a person would enter to connect the simulator."""
    if ticketing_tool == "jira":
        return {"base_url": url, "email": "aiops@lindner.example", "api_token": token, "projects": ["OPS"]}
    return {"base_url": url, "technician_key": token, "calls_per_minute": 60_000, "technician_id": "4"}
