"""Roles and tables of an installation, made by the migrator before the parts start."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterable, Mapping
from urllib.parse import unquote, urlsplit

import asyncpg

from aiops_core.errors import AiopsError

OWNER = "aiops_owner"
LOGIN_ROLES = ("aiops_app", "aiops_intake", "aiops_sweeper")
LOCK_KEY = 0x61696F7073


class MigrationRefused(AiopsError):
    """The database cannot be migrated."""


async def migrate(migrate_url: str, role_urls: Iterable[str]) -> list[str]:
    """Create the missing roles and run the missing migrations; harmless to repeat.

    Args:
        migrate_url: The migrator: a superuser, or a role with CREATEROLE that may create in schema public.
        role_urls: The URLs of the login roles, whose passwords are given to roles that do not exist yet.

    Returns:
        What was done, one sentence each.

    Raises:
        MigrationRefused: A URL names another role, or the migrator lacks a right.
    """
    passwords = _passwords(role_urls)
    con = await asyncpg.connect(migrate_url)
    try:
        await con.execute("select pg_advisory_lock($1)", LOCK_KEY)
        done = await _ensure_roles(con, passwords)
        return done + await _run_migrations(migrate_url)
    except asyncpg.InsufficientPrivilegeError as error:
        raise MigrationRefused(
            f"The migrator of AIOPS_MIGRATE_DATABASE_URL lacks a right: {error}. "
            "Use a superuser or a role with CREATEROLE that owns the database."
        ) from None
    finally:
        await con.close()


def _passwords(role_urls: Iterable[str]) -> dict[str, str | None]:
    passwords: dict[str, str | None] = dict.fromkeys(LOGIN_ROLES)
    for url in role_urls:
        parts = urlsplit(url)
        user = unquote(parts.username or "")
        if user not in passwords:
            raise MigrationRefused(
                f"A database URL names the role {user!r}; it must be one of {', '.join(LOGIN_ROLES)}."
            )
        passwords[user] = unquote(parts.password) if parts.password else None
    return passwords


async def _ensure_roles(con: asyncpg.Connection, passwords: Mapping[str, str | None]) -> list[str]:
    existing = {r["rolname"] for r in await con.fetch("select rolname from pg_roles where rolname like 'aiops\\_%'")}
    done = []
    if OWNER not in existing:
        await con.execute(f"create role {OWNER} nologin noinherit")
        done.append(f"created role {OWNER}")
    for role, password in passwords.items():
        if role not in existing:
            secret = await con.fetchval("select quote_literal($1::text)", password) if password else "null"
            await con.execute(
                f"create role {role} login nosuperuser nobypassrls nocreatedb nocreaterole noinherit password {secret}"
            )
            done.append(f"created role {role}")
    await con.execute(f"grant {OWNER} to current_user")
    await con.execute("revoke all on schema public from public")
    # A temporary table would outlive a loan from the pool and stand before the real one of its name.
    await con.execute(
        await con.fetchval("select format('revoke temporary on database %I from public', current_database())")
    )
    await con.execute(f"grant usage on schema public to {', '.join(LOGIN_ROLES)}")
    await con.execute(f"grant usage, create on schema public to {OWNER}")
    return done


async def _run_migrations(url: str) -> list[str]:
    os.environ["PICCOLO_CONF"] = "aiops_host.data.piccolo_conf"
    from piccolo.apps.migrations.commands.forwards import run_forwards  # noqa: PLC0415 - reads PICCOLO_CONF when imported

    from aiops_host.data.piccolo_conf import DB  # noqa: PLC0415 - Piccolo's engines need not load for a refusal

    DB.point_at(url)
    before = await _applied(url)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        result = await run_forwards("aiops")
    if not result.success:
        raise MigrationRefused(f"The migrations did not finish: {result.message or printed.getvalue().strip()[-500:]}")
    return [f"applied migration {name}" for name in await _applied(url) if name not in before]


async def _applied(url: str) -> list[str]:
    con = await asyncpg.connect(url)
    try:
        if await con.fetchval("select to_regclass('public.migration')") is None:
            return []
        return [r["name"] for r in await con.fetch("select name from migration where app_name = 'aiops' order by name")]
    finally:
        await con.close()
