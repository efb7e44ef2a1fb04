"""Watches a training while it runs: it takes rows as they arrive, sends alerts as they begin, and writes a report at
the end."""
