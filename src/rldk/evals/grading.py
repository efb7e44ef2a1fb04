"""Which score of a tool's samples counts, and whether it says right or wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from rldk.errors import UnknownName
from rldk.evals.formats import CHOICES, GRADED
from rldk.evals.table import EvalTable


def graded(table: EvalTable, wanted: Mapping[str, str]) -> EvalTable:
    """The table with one row for each answer, and with `correct` where the tool's score is right or wrong.

    lm-evaluation-harness writes an answer once for each filter that reads a result from it. The rows of the filter
    that is wanted are taken, else those of the first one of each task. Of several scores of an answer (its metrics, or
    the scorers of inspect_ai) the one that is wanted counts, else the one that most answers of the task have as a
    number, the first of equals.

    In other data a reward that is always 0 or 1 is right or wrong.

    `wanted`: by `filter`, `metric` or `scorer`. Raises `UnknownName` where it is not there."""
    if table.form not in GRADED:
        return _verified(table)
    name = CHOICES[table.form][-1]
    scored = _of_one_score(table, name, wanted.get(name))
    return _right_or_wrong(_of_one_filter(scored, wanted.get("filter")))


def _verified(table: EvalTable) -> EvalTable:
    """The table, with `correct` added if a verifier gave the rewards: all are 0 or 1, and both occur."""
    score = table.number("reward")
    score = score[np.isfinite(score)]
    if table.per_step or not np.array_equal(np.unique(score), (0.0, 1.0)):
        return table
    made = _right_or_wrong(table)
    if made is table:
        return table
    note = f"`{table.columns['reward']}` is 0 or 1 in every row: it counts as wrong or right"
    return replace(made, notes=(*made.notes, note))


def another(what: str, name: str) -> str:
    """How to choose another filter, metric or scorer."""
    return f"""--column-mapping '{{"{what}": "{name}"}}' takes another"""


def _of_one_score(table: EvalTable, what: str, wanted: str | None) -> EvalTable:
    """The table with one of the answers' scores as the reward, and a note that names the others."""
    names = list(dict.fromkeys(name for each in _grades_of(table) for name in each))
    if wanted is not None and wanted not in names:
        raise UnknownName(what, wanted, names)
    if not names:
        return table
    tasks = table.cells.get("task", [""] * table.rows)
    counts: dict[Any, Counter[str]] = {}
    scores: dict[str, list[float]] = {}
    for task, each in zip(tasks, _grades_of(table), strict=True):
        numbers = {name: score for name, (score, _) in each.items() if score is not None}
        counts.setdefault(task, Counter()).update(numbers.keys())
        for name, score in numbers.items():
            scores.setdefault(name, []).append(score)
    chosen = {
        task: wanted if wanted is not None and wanted in own else max(own, key=own.__getitem__)
        for task, own in counts.items()
        if own
    }
    own = [each.get(chosen.get(task, ""), (None, None)) for task, each in zip(tasks, _grades_of(table), strict=True)]
    cells = {field: values for field, values in table.cells.items() if field != "grades"}
    columns = {field: column for field, column in table.columns.items() if field != "grades"}
    taken = ", ".join(dict.fromkeys(chosen.values()))
    for place, field in enumerate(("reward", "parsed")):
        values = [each[place] for each in own]
        if any(value is not None for value in values):
            cells[field], columns[field] = values, taken
    notes = table.notes
    other = next((name for name in (*scores, *names) if name not in chosen.values()), None)
    if other is not None:
        means = ", ".join(f"{n} {np.mean(scores[n]):.3g}" if n in scores else f"{n} no number" for n in names)
        text = f"the answers have several scores (means: {means}); {taken} is used, and {another(what, other)}"
        notes = (*notes, text)
    there = tuple(name for name in table.names if name != "grades")
    return replace(table, cells=cells, columns=columns, notes=notes, names=(*there, *names))


def _grades_of(table: EvalTable) -> Iterator[Mapping[str, Sequence[Any]]]:
    """The scores of each row by name, each with the answer that was found."""
    return (each if isinstance(each, Mapping) else {} for each in table.cells.get("grades", ()))


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
    other = next((name for name in filters if name not in first.values()), None)
    how = "" if other is None else f", and {another('filter', other)}"
    note = f"the answers were graded through several filters (mean score: {told}); those of {taken} are used{how}"
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
