"""The dashboard of AI Ops, speaking to the host's API only."""
