"""Logs that grow: bytes that arrive over time made rows."""
