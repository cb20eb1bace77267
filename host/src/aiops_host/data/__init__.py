"""Tables, tenant sessions, migrations and retrieval: what PostgreSQL remembers."""
