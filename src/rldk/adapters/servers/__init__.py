"""Runs that live on a tracking server."""
