"""Vault's Transit engine as a key provider."""
