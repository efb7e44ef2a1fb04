"""Keeps a record of runs: `init`, `log` and `finish` write a run directory that every rldk command opens, and
`ExperimentTracker` adds datasets, models and seeds to it. `diff_runs` compares two runs, `verify_run` hashes again what
one names, `restore_run` and `export_run` bring it back and hand it on."""

from __future__ import annotations

from rldk.tracking.config import TrackingConfig
from rldk.tracking.session import Session, finish, init, log
from rldk.tracking.tracker import ExperimentTracker

TYPE_CHECKING = False

if TYPE_CHECKING:
    from rldk.tracking.difference import diff_runs
    from rldk.tracking.exports import export_run
    from rldk.tracking.restoring import restore_run
    from rldk.tracking.verification import verify_run

__all__ = [
    "ExperimentTracker",
    "Session",
    "TrackingConfig",
    "diff_runs",
    "export_run",
    "finish",
    "init",
    "log",
    "restore_run",
    "verify_run",
]

_HOMES = {
    "diff_runs": "rldk.tracking.difference",
    "export_run": "rldk.tracking.exports",
    "restore_run": "rldk.tracking.restoring",
    "verify_run": "rldk.tracking.verification",
}


def __getattr__(name: str) -> object:
    """A function that reads runs, imported on first use: a run that is only written does not pay for it."""
    if name not in _HOMES:
        raise AttributeError(f"module 'rldk.tracking' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
