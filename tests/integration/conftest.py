"""Databases for tests against the real PostgreSQL."""

from tests.support.databases import database, opened, template, two_tenants

__all__ = ["database", "opened", "template", "two_tenants"]
