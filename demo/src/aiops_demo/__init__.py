"""Vendor simulators, seed data and the demo command of AI Ops."""
