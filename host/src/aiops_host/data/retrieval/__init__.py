"""Similar tickets, knowledge and assets of a tenant, searched inside PostgreSQL under row-level security.

Every function takes a connection on which a tenant session is open; none takes a tenant.
"""
