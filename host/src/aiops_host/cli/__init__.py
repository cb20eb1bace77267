"""The aiops program: one module per command."""
