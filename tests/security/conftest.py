"""What attacks are made on: a database, the application in process, and people of two tenants."""

from tests.integration.web.conftest import app, bell, door, doors, http, plugins, settings, signatures, staff, vault
from tests.support.databases import database, opened, template, two_tenants

__all__ = [
    "app",
    "bell",
    "database",
    "door",
    "doors",
    "http",
    "opened",
    "plugins",
    "settings",
    "signatures",
    "staff",
    "template",
    "two_tenants",
    "vault",
]
