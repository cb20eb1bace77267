"""Logs, metrics and traces: what can be seen of the running system."""
