"""A run as a pandas DataFrame, the form users compute with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rldk.core.model import Run
from rldk.core.table import PHASES

if TYPE_CHECKING:
    import pandas as pd

ALIASES = {"kl_mean": "kl", "entropy_mean": "entropy"}


def to_frame(run: Run) -> pd.DataFrame:
    """One row a logged row: step, phase, wall_time, run_id and, when known, seed and git_sha; then the canonical
    metrics, `kl_mean` and `entropy_mean` beside `kl` and `entropy`, and the user's own columns. NaN is missing.

    `wall_time` is left out when no row has one. A user's column named like one of these is kept as `<name>_`."""
    import pandas as pd

    table = run.metrics
    lead = _lead(run)
    columns: dict[str, Any] = dict(lead)
    for name, values in table.columns.items():
        if name == "wall_time" and "wall_time" in lead:
            continue
        columns[f"{name}_" if name in lead else name] = values
        alias = next((a for a, canonical in ALIASES.items() if canonical == name and a not in table.columns), None)
        if alias:
            columns[alias] = values
    return pd.DataFrame(columns)


def _lead(run: Run) -> dict[str, Any]:
    table, n = run.metrics, len(run.metrics)
    lead: dict[str, Any] = {"step": table.step, "phase": np.array(PHASES, dtype=object)[table.phase]}
    if not np.isnan(table.time).all():
        lead["wall_time"] = table.time
    lead["run_id"] = np.full(n, run.id, dtype=object)
    known = {"seed": run.meta.seed, "git_sha": run.meta.git_sha}
    return lead | {name: np.full(n, value) for name, value in known.items() if value is not None}
