"""Jira Cloud, Jira Service Management and Jira Data Center as a ticketing tool of AI Ops."""
