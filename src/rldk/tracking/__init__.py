"""Keeps a record of runs: `init`, `log` and `finish` write a run directory that every rldk command opens;
`ExperimentTracker` adds datasets, models and seeds to it."""

from __future__ import annotations

from rldk.tracking.session import Session, finish, init, log

TYPE_CHECKING = False

if TYPE_CHECKING:
    from rldk.tracking.config import TrackingConfig
    from rldk.tracking.tracker import ExperimentTracker

__all__ = ["ExperimentTracker", "Session", "TrackingConfig", "finish", "init", "log"]

_HOMES = {
    "ExperimentTracker": "rldk.tracking.tracker",
    "TrackingConfig": "rldk.tracking.config",
}


def __getattr__(name: str) -> object:
    """A name that is imported on first use: a run that is only logged does not pay for it."""
    if name not in _HOMES:
        raise AttributeError(f"module 'rldk.tracking' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
