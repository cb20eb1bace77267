"""Migrations in order; each is raw SQL under Piccolo's runner."""
