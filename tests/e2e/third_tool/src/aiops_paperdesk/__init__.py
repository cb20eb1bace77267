"""Paperdesk as a ticketing tool."""
