"""Reads an approved run as the reference for another run."""

from __future__ import annotations

from typing import Any

from rldk.core.model import Run
from rldk.core.reference import Reference
from rldk.errors import UsageError


def baseline(source: Any) -> Reference:
    """The reference that the one run in `source` makes: a `Run`, a path, or anything else that a run is opened from.

    Raises `UsageError` when the source holds several runs, and the errors of the adapters."""
    from rldk.adapters.open import open_runs

    runs = [source] if isinstance(source, Run) else open_runs(source)
    if len(runs) != 1:
        names = ", ".join(run.id for run in runs[:5])
        raise UsageError(f"the reference {source} holds {len(runs)} runs: {names}", hint="name one of them")
    table = runs[0].metrics
    train = table.phase == 0
    steps = table.step
    kept = {name: train & (values - values == 0.0) for name, values in table.columns.items()}
    columns = {name: (steps[rows].tolist(), table.columns[name][rows].tolist()) for name, rows in kept.items()}
    return Reference(columns, runs[0])
