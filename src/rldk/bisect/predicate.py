"""Whether a run is bad: by its exit code, by a metric, or by a command that looks at it."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from typing import Literal

import numpy as np
from msgspec import Struct

from rldk.core.model import Run
from rldk.core.table import PHASES
from rldk.engine.replicas.reading import metrics_to_compare
from rldk.engine.replicas.trial import CommandTrial
from rldk.errors import InputError, UnknownName, UsageError

SKIP = 125  # the exit code with which a command says that a commit cannot be judged, as `git bisect run` has it
OutcomeWord = Literal["good", "bad", "skip"]
_COMPARE = re.compile(r"\s*(>=|<=|==|!=|>|<)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*")
_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip


class MetricCondition(Struct, frozen=True, kw_only=True):
    """A run is bad when the mean of the last `window` values of `metric` compares so with `limit`; with the sign "nan",
    when one of these values is no number."""

    metric: str
    sign: str
    limit: float = math.nan
    window: int = 100

    def __str__(self) -> str:
        return f"{self.metric} is NaN" if self.sign == "nan" else f"{self.metric} {self.sign} {self.limit:g}"

    def holds(self, value: float) -> bool:
        """Whether a run with this value is bad."""
        return math.isnan(value) if self.sign == "nan" else _OPERATORS[self.sign](value, self.limit)


class BisectOutcome(Struct, frozen=True, kw_only=True):
    """What a run says of its commit. `value`: of the metric, None without one. `reason`: why it was skipped."""

    word: OutcomeWord
    value: float | None = None
    reason: str = ""


def metric_condition(metric: str, cmp: str | None, window: int) -> MetricCondition:
    """The condition in words such as "> 0.2", or "nan". Raises `UsageError`."""
    if window < 1:
        raise UsageError(f"the window is {window}", hint="give 1 or more")
    if cmp is not None and cmp.strip().lower() == "nan":
        return MetricCondition(metric=metric, sign="nan", window=window)
    match = _COMPARE.fullmatch(cmp or "")
    if match is None:
        hint = f'when is {metric} bad? --cmp "> 0.2", "<= 1e-3" or "nan"'
        raise UsageError(f"{cmp!r} is no comparison with a number" if cmp else "a metric needs a comparison", hint=hint)
    return MetricCondition(metric=metric, sign=match[1], limit=float(match[2]), window=window)


def outcome_of(trial: CommandTrial, condition: MetricCondition | None) -> BisectOutcome:
    """What a run of the command says. With a condition, a run that fails is skipped and never bad: it was not measured.

    Without one, the exit code decides: 0 is good, 125 is skipped, a signal and a limit are skipped, others are bad."""
    code = trial.end.code
    if condition is None:
        if trial.end.how == "ended" and code is not None and code < 128 and code != SKIP:
            return BisectOutcome(word="bad" if code else "good")
        reason = "it asked to be skipped (exit code 125)" if code == SKIP else trial.problem
        return BisectOutcome(word="skip", reason=reason)
    if trial.problem or trial.metrics.run is None:
        return BisectOutcome(word="skip", reason=trial.problem or trial.metrics.reason)
    try:
        value = metric_value(trial.metrics.run, condition)
    except (UnknownName, InputError) as error:
        return BisectOutcome(word="skip", reason=f"{error.message}: it was not logged")
    if math.isnan(value) and condition.sign != "nan":
        return BisectOutcome(word="skip", reason=f"{condition.metric} is NaN (--cmp nan asks for that)")
    bad = condition.holds(value)
    return BisectOutcome(word="bad" if bad else "good", value=None if math.isnan(value) else value)


def metric_value(run: Run, condition: MetricCondition) -> float:
    """The mean of the last values of the metric in training; NaN when the log says NaN for one of them.

    Raises `UnknownName` for a metric that the run lacks, `InputError` without a value."""
    (name,) = metrics_to_compare(run, [condition.metric])
    table = run.metrics
    column = table.columns[name]
    there = ~np.isnan(column)
    there[table.stated_nan.get(name, np.empty(0, dtype=np.int64))] = True
    train = there & (table.phase == PHASES.index("train"))
    chosen = column[train if train.any() else there][-condition.window :]
    if not chosen.size:
        raise InputError(f"{condition.metric} has no value")
    return float(chosen.mean())
