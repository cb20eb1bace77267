"""The host of AI Ops: webhook intake, durable work, tenants, API and command line."""
