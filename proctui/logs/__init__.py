"""Logs: found, followed, searched, understood."""
