"""Keeps a record of runs: `init`, `log` and `finish` write a run directory that every rldk command opens, and
`ExperimentTracker` adds datasets, models and seeds to it."""

from __future__ import annotations

from rldk.tracking.config import TrackingConfig
from rldk.tracking.session import Session, finish, init, log
from rldk.tracking.tracker import ExperimentTracker

__all__ = ["ExperimentTracker", "Session", "TrackingConfig", "finish", "init", "log"]
