"""Keeps a record of runs: `init`, `log` and `finish` write a run directory that every rldk command opens."""

from __future__ import annotations

from rldk.tracking.session import Session, finish, init, log

__all__ = ["Session", "finish", "init", "log"]
