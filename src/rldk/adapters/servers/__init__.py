"""Reads runs that are on a tracking server."""
