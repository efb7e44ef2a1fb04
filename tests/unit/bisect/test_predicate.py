"""When a run is bad: conditions as a user writes them, and the value of a metric."""

from __future__ import annotations

import math

import numpy as np
import pytest
from examples import each_of

from rldk.adapters.open import open_run
from rldk.bisect.predicate import metric_condition, metric_value
from rldk.errors import InputError, UnknownName, UsageError


@each_of(
    ("text", "value", "holds"),
    [
        ("> 0.2", 0.2, False),
        ("> 0.2", 0.21, True),
        (">=0.2", 0.2, True),
        (" <= 1e-3 ", 0.001, True),
        ("< -.5", -0.6, True),
        ("== 3", 3.0, True),
        ("!= 3", 3.0, False),
        ("nan", math.nan, True),
        ("nan", 1.0, False),
    ],
)
def test_conditions(text: str, value: float, *, holds: bool) -> None:
    assert metric_condition("kl", text, 10).holds(value) is holds


@each_of("text", ["", "0.2", "> x", "> 0.2 or 1", "__import__('os')", ">> 1", None])
def test_what_is_no_condition_is_refused(text: str | None) -> None:
    with pytest.raises(UsageError):
        metric_condition("kl", text, 10)
    with pytest.raises(UsageError, match="window"):
        metric_condition("kl", "> 1", 0)


def test_the_value_is_the_mean_of_the_last_ones() -> None:
    run = open_run([{"step": step, "kl": float(step), "loss": 1.0} for step in range(10)])
    assert metric_value(run, metric_condition("kl", "> 1", 4)) == np.mean([6, 7, 8, 9])
    assert metric_value(run, metric_condition("kl", "> 1", 100)) == np.mean(range(10))
    with pytest.raises(UnknownName, match="entropy"):
        metric_value(run, metric_condition("entropy", "> 1", 4))


def test_nan_that_the_log_states_is_seen() -> None:
    rows = [{"step": 0, "kl": 1.0}, {"step": 1, "kl": math.nan}, {"step": 2, "kl": 1.0}]
    run = open_run(rows)
    column = run.metrics.stated_nan.get("kl")
    if column is not None and column.size:
        assert math.isnan(metric_value(run, metric_condition("kl", "nan", 3)))
    assert metric_value(run, metric_condition("kl", "nan", 1)) == 1.0


def test_a_metric_without_a_value_has_none() -> None:
    run = open_run([{"step": 0, "kl": None, "loss": 1.0}, {"step": 1, "kl": None, "loss": 1.0}])
    with pytest.raises((InputError, UnknownName)):
        metric_value(run, metric_condition("kl", "> 1", 3))
