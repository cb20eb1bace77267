"""A migration made of SQL scripts."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine.finder import engine_finder


def sql_migration(migration_id: str, description: str, *scripts: str) -> MigrationManager:
    """Return a migration that executes the scripts, named by their path in this package, in one transaction."""
    manager = MigrationManager(migration_id=migration_id, app_name="aiops", description=description)

    async def run() -> None:
        transaction: Any = engine_finder().current_transaction.get()  # type: ignore[union-attr]
        for script in scripts:
            await transaction.connection.execute(files("aiops_host.data").joinpath(script).read_text())

    manager.add_raw(run)
    return manager
