"""Keys, sessions, permissions and the way out: what keeps tenants and secrets apart."""
