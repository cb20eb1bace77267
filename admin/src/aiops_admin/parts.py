"""What every page and handler of one process works with."""

from __future__ import annotations

from dataclasses import dataclass

from aiops_admin.auth import OpenPages, People
from aiops_admin.client import Api
from aiops_admin.settings import AdminSettings

SECURE_PREFIX = "__Host-"
COOKIE = "aiops_dashboard"
XSRF_COOKIE = "aiops_dashboard_xsrf"


@dataclass(frozen=True, slots=True)
class Parts:
    """Settings, the host's API, who is known and which pages are open."""

    settings: AdminSettings
    api: Api
    people: People
    pages: OpenPages

    @property
    def cookie(self) -> str:
        """The name of the cookie that holds the token; bound to this very host name where cookies are secure."""
        return SECURE_PREFIX + COOKIE if self.settings.cookie_secure else COOKIE


def make_parts(settings: AdminSettings) -> Parts:
    """Return the parts of a process; nothing is sent to the host yet."""
    api = Api(settings.api_url)
    return Parts(settings, api, People(api), OpenPages())
