"""Whether the data is whole: records that cannot be read, missing values, doubled answers, gaps in the steps."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rldk.cards.words import plural
from rldk.core.stats.estimates import Estimate
from rldk.evals.facts import Measurement, measured
from rldk.evals.registry import EvalOptions, evaluation, limit_of
from rldk.evals.table import EvalTable

MOST_GAPS = 10**9
NUMBERS = ("reward", "correct", "n_tokens", "toxicity", "chosen_score", "rejected_score", "before", "after")


@evaluation("integrity", title="Data integrity", limit=0.05)
def integrity(table: EvalTable, options: EvalOptions) -> Measurement:
    """The share of records that cannot be read, or lack a number that others have or that is NaN in all of them;
    doubled answers and gaps beside it.

    It fails beyond 5 % [judgement], warns where there is any, and passes without. The share is a fact about this data,
    not an estimate."""
    bad = np.zeros(table.rows, dtype=bool)
    absent = _absent(table)
    for rows in absent.values():
        bad |= rows
    holes = {name: int(rows.sum()) for name, rows in absent.items()}
    total = table.rows + table.rejected
    share = (int(bad.sum()) + table.rejected) / total
    limit = limit_of("integrity", options)
    doubled, constant = _doubled(table), _constant(table)
    gaps, repeats = _steps(table)
    told = [
        f"{plural(table.rejected, 'record')} could not be read" if table.rejected else "",
        *(f"{plural(count, 'row')} without a number in {name}" for name, count in holes.items()),
        f"{plural(doubled, 'row')} with the prompt and answer of another" if doubled else "",
        f"{', '.join(constant)} never changes" if constant else "",
        f"{plural(gaps, 'missing step')}" if gaps else "",
        f"{plural(repeats, 'repeated step')}" if repeats else "",
    ]
    reason = "; ".join(part for part in told if part)
    status: Any = "fail" if share > limit else "warn" if share > 0 else "pass"
    details = {"missing": holes, "doubled": doubled, "constant": constant, "gaps": gaps, "repeated_steps": repeats}
    return measured(
        "integrity", "Data integrity", status, Estimate(value=share, n=total, clusters=total, method="counted"),
        limit=limit, rule=f"bad rows at most {limit:.0%}", reason=reason, share=True, details=details,
    )  # fmt: skip


def missing_numbers(table: EvalTable) -> dict[str, int]:
    """Field -> how many rows lack its number, for the fields in which some do."""
    return {name: int(rows.sum()) for name, rows in _absent(table).items()}


def _absent(table: EvalTable) -> dict[str, NDArray[np.bool_]]:
    """Field -> which rows lack its number, shape (rows,), for the fields in which some do."""
    made: dict[str, NDArray[np.bool_]] = {}
    for name in NUMBERS:
        # a log of steps may leave a metric out of a row, and not every task has right answers
        graded = name == "correct" and table.columns.get(name) == table.columns.get("reward")
        if table.per_step or graded:
            continue
        if table.hollow.get(name) == "NaN":
            made[name] = np.ones(table.rows, dtype=bool)
        elif name in table.cells:
            rows = np.isnan(table.number(name)) & _expected(table, name)
            if rows.any():
                made[name] = rows
    return made


def _expected(table: EvalTable, name: str) -> NDArray[np.bool_]:
    """Which rows are of a task that has the number at all, shape (rows,): a task may be scored in another way."""
    if "task" not in table.cells:
        return np.ones(table.rows, dtype=bool)
    label = table.labels("task")
    there: NDArray[np.bool_] = np.isin(label, label[np.isfinite(table.number(name))])
    return there


def _doubled(table: EvalTable) -> int:
    keys = table.keys()
    if keys is None or "response" not in table.cells:
        return 0
    answers = table.cells["response"]
    seeds = table.cells.get("seed", [None] * table.rows)
    steps = table.cells.get("step", [None] * table.rows)
    every = zip(keys, answers, seeds, steps, strict=True)
    pairs = Counter(
        hash((key, str(answer), str(seed), str(step))) for key, answer, seed, step in every if key and answer
    )
    return sum(count - 1 for count in pairs.values())


def _constant(table: EvalTable) -> list[str]:
    found = []
    for name in NUMBERS:
        if name in table.cells:
            values = table.number(name)
            values = values[np.isfinite(values)]
            if len(values) >= 10 and float(np.ptp(values)) == 0:
                found.append(name)
    return found


def _steps(table: EvalTable) -> tuple[int, int]:
    """How many steps are missing between the others, and how many rows repeat a step, of a log of steps."""
    if not table.per_step or "step" not in table.cells:
        return 0, 0
    steps = table.number("step")
    steps = steps[np.isfinite(steps)]
    unique = np.unique(steps)
    if len(unique) < 3:
        return 0, len(steps) - len(unique)
    apart = np.diff(unique)
    usual = float(np.median(apart))
    with np.errstate(over="ignore"):
        lost = float(np.round(apart[apart > 1.5 * usual] / usual - 1).sum()) if usual > 0 else 0.0
    gaps = int(min(lost, MOST_GAPS))
    return gaps, len(steps) - len(unique)
