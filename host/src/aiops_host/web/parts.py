"""What the routes work with, made once per process."""

from __future__ import annotations

from dataclasses import dataclass

from litestar.di import NamedDependency

from aiops_core.plugins import PluginManager
from aiops_core.registry import Registry
from aiops_host.data.session import Database
from aiops_host.settings import Settings
from aiops_host.trust.links import Links
from aiops_host.trust.oidc import Oidc
from aiops_host.trust.sessions import Sessions
from aiops_host.trust.tokens import Tokens
from aiops_host.trust.totp import SecondFactors
from aiops_host.trust.vault import Vault
from aiops_host.web.access import Access
from aiops_host.web.departures import Departures
from aiops_host.web.peer import Peers
from aiops_host.web.receiving import Receiver
from aiops_host.web.waking import Wakes


@dataclass(frozen=True, slots=True)
class Parts:
    """The process's own objects, handed to each route by name."""

    settings: Settings
    plugins: PluginManager
    registry: Registry
    database: Database
    vault: Vault
    wakes: Wakes
    sessions: Sessions
    tokens: Tokens
    factors: SecondFactors
    links: Links
    oidc: Oidc | None
    peers: Peers
    access: Access
    receiver: Receiver
    departures: Departures


WithParts = NamedDependency[Parts]
"""A route's parameter ``parts``."""
