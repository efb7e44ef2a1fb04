"""Which score of a tool's samples counts, and whether it says right or wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from rldk.errors import UnknownName
from rldk.evals.formats import GRADED
from rldk.evals.table import EvalTable


def graded(table: EvalTable, wanted: str | None) -> EvalTable:
    """The table with one row for each answer, and with `correct` where the tool's score is right or wrong.

    lm-evaluation-harness writes an answer once for each filter that reads a result from it. The rows of the filter
    `wanted` are taken, else those of the first one of each task. Raises `UnknownName` where `wanted` is not there."""
    return _right_or_wrong(_of_one_filter(table, wanted)) if table.form in GRADED else table


def _of_one_filter(table: EvalTable, wanted: str | None) -> EvalTable:
    names = table.names_of("filter")
    if wanted is not None and wanted not in names:
        raise UnknownName("filter", wanted, names)
    if len(names) < 2:
        return table
    tasks = table.cells.get("task", [""] * table.rows)
    first: dict[Any, Any] = {}
    for task, name in zip(tasks, table.cells["filter"], strict=True):
        if task not in first or name == wanted:
            first[task] = name
    pairs = zip(tasks, table.cells["filter"], strict=True)
    rows = np.array([row for row, (task, name) in enumerate(pairs) if first[task] == name], dtype=np.int64)
    if len(rows) == table.rows:
        return table
    several = _tasks_of_several(table, tasks)
    label, score = table.labels("filter"), table.number("reward")
    means = {name: score[(label == code) & np.isfinite(score) & several] for code, name in enumerate(names)}
    filters = {name: float(values.mean()) for name, values in means.items() if len(values)}
    told = ", ".join(f"{name} {value:.3g}" for name, value in filters.items())
    taken = ", ".join(name for name in dict.fromkeys(map(str, first.values())) if name in filters)
    note = f"the answers were graded through several filters (mean score: {told}); those of {taken} are used"
    return replace(table.some(rows), filters=filters, notes=(*table.notes, note))


def _tasks_of_several(table: EvalTable, tasks: Sequence[Any]) -> NDArray[np.bool_]:
    """Which rows are of a task with several filters, shape (rows,)."""
    seen: dict[Any, set[Any]] = {}
    for task, name in zip(tasks, table.cells["filter"], strict=True):
        seen.setdefault(task, set()).add(name)
    return np.array([len(seen[task]) > 1 for task in tasks], dtype=bool)


def _right_or_wrong(table: EvalTable) -> EvalTable:
    """`correct` for the tasks whose scores are all 0 or 1. A task with other scores has none: of these only the
    extreme ones would count."""
    if "correct" in table.cells or "reward" not in table.cells:
        return table
    score = table.number("reward")
    tasks = table.labels("task") if "task" in table.cells else np.zeros(table.rows, dtype=np.int64)
    there = np.isfinite(score)
    partial = np.unique(tasks[there & (score != 0) & (score != 1)])
    fine = there & ~np.isin(tasks, partial)
    if not fine.any():
        return table
    found: Sequence[Any] = [int(value) if good else None for value, good in zip(score, fine, strict=True)]
    return replace(
        table, cells={**table.cells, "correct": found}, columns={**table.columns, "correct": table.columns["reward"]}
    )
