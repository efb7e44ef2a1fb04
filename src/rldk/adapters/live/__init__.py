"""Reads logs that grow: turns bytes that arrive over time into rows."""
