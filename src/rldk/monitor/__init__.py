"""Watching a training while it runs: rows as they arrive, alerts as they begin, a report at the end."""
