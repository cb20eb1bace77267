"""Keys: the installation's key, tenants' data keys wrapped by it, and how secrets are sealed with those."""
