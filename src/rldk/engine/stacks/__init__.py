"""Scans many short runs at once."""
