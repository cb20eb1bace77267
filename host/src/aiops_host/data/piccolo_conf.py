"""What Piccolo's migration runner reads: the engine that owns the tables, and the one app."""

from __future__ import annotations

from typing import Any

from piccolo.conf.apps import AppRegistry
from piccolo.engine.postgres import PostgresEngine


class MigrationEngine(PostgresEngine):
    """Connects as the migrator and acts as the owner; deploy only. Makes no connection by itself."""

    async def check_version(self) -> None:
        """Leave the server alone: constructing an engine must do no I/O."""

    async def prep_database(self) -> None:
        """Create no extension."""

    def point_at(self, url: str) -> None:
        """Use the database at ``url`` from now on, as the role that owns every table."""
        self.config: dict[str, Any] = {"dsn": url, "server_settings": {"role": "aiops_owner"}}


DB = MigrationEngine(config={}, extensions=())
APP_REGISTRY = AppRegistry(apps=["aiops_host.data.piccolo_app"])
