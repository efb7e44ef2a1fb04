"""Turns a run into a pandas DataFrame, and a DataFrame into a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rldk.adapters.log import Log, Origin
from rldk.adapters.naming.columns import to_run
from rldk.core.clocks import choose_clock, clock_rank
from rldk.core.model import COUNTED, Run
from rldk.core.records import STEP_KEYS, step_or_none
from rldk.core.table import PHASES, MetricTable
from rldk.core.vocabulary import vocabulary
from rldk.errors import NoData

if TYPE_CHECKING:
    import pandas as pd

OPENING = 100  # rows that decide which column counts
ALIASES = {"kl_mean": "kl", "entropy_mean": "entropy"}


def to_frame(run: Run) -> pd.DataFrame:
    """A frame with one row for each logged row. Its columns are step, phase, wall_time, run_id and, when known, seed
    and git_sha; then the canonical metrics, with `kl_mean` and `entropy_mean` beside `kl` and `entropy`; then the
    user's own columns. NaN means missing.

    The frame has no `wall_time` when no row has one. A user's column with one of these names becomes `<name>_`."""
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


def is_frame(source: object) -> bool:
    """Whether the source is a table in memory: a DataFrame, anything with `to_pandas()`, or a list of mappings."""
    if isinstance(source, list | tuple):
        return bool(source) and all(isinstance(row, Mapping) for row in source)
    return hasattr(source, "to_pandas") or (hasattr(source, "columns") and hasattr(source, "iloc"))


def from_frame(source: Any, field_map: Mapping[str, str] | None = None) -> Run:
    """The run in a table in memory. The only text columns it keeps are phase, run_id and git_sha.

    The step comes from the column of that name, or else from the row number. Raises `NoData` for a table without
    rows."""
    import pandas as pd

    frame = source if isinstance(source, pd.DataFrame) else None
    if frame is None:
        frame = source.to_pandas() if hasattr(source, "to_pandas") else pd.DataFrame(list(source))
    if not len(frame):
        raise NoData("the table has no rows", hint="check the filter that made it")
    meta = {name: _same(frame, name) for name in ("seed", "git_sha")}
    seed = meta["seed"]
    meta["seed"] = int(seed) if isinstance(seed, int | float | np.integer | np.floating) else None
    origin = Origin(name="memory", source="", run=str(_same(frame, "run_id") or "frame"))
    clock = _clock(frame)
    log = Log(table=frame_table(frame), meta={**meta, "clock": COUNTED if clock is None else str(clock)})
    return to_run(log, origin, field_map=field_map)


def _same(frame: pd.DataFrame, name: str) -> Any:
    """The single value of a column; None when the column has several values or none."""
    values: list[Any] = list(frame[name].dropna().unique()) if name in frame else []
    return values[0] if len(values) == 1 else None


def frame_table(frame: pd.DataFrame) -> MetricTable:
    """The numbers of a DataFrame. The step comes from the column of that name, else from one that counts, else from
    the row number."""
    import pandas as pd

    steps = _clock(frame)
    step = pd.to_numeric(frame[steps], errors="coerce") if steps is not None else pd.Series(range(len(frame)))
    whole: NDArray[np.int64] = step.ffill().fillna(0).clip(-(2.0**62), 2.0**62).to_numpy().astype(np.int64)
    numbers = {str(c): pd.to_numeric(frame[c], errors="coerce").to_numpy(float) for c in frame if _numeric(frame[c])}
    for name in {*([str(steps)] if str(steps) in STEP_KEYS else ()), "step", "seed", *ALIASES}:
        numbers.pop(name, None)
    time = numbers.pop("wall_time", np.full(len(frame), np.nan))
    phases = frame["phase"].tolist() if "phase" in frame else ["train"] * len(frame)
    return MetricTable(
        step=whole,
        columns={name: column for name, column in numbers.items() if not np.isnan(column).all()},
        phase=np.array([PHASES.index(p) if p in PHASES else 0 for p in phases], dtype=np.uint8),
        segment=np.cumsum(np.diff(whole, prepend=whole[:1]) < 0).astype(np.int32),
        time=time,
    )


def _clock(frame: pd.DataFrame) -> Any:
    """The column of steps; None when there is no such column."""
    words = vocabulary()
    named = next((c for c in ("step", *frame.columns) if c in frame and words.canonical(str(c)) == "step"), None)
    if named is not None:
        return named
    opening = frame.head(OPENING)
    columns = {str(c): [step_or_none(v) for v in opening[c].tolist()] for c in frame if clock_rank(str(c)) is not None}
    found = choose_clock(columns, len(opening))
    return next((c for c in frame if str(c) == found), None)


def _numeric(column: pd.Series[Any]) -> bool:
    return column.dtype.kind in "iufb"
