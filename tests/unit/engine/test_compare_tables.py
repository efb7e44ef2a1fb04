"""Tables side by side: which steps are common, where they part, whether they differ."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from examples import each_of
from scipy import stats

from rldk.core.difference import MetricDifference
from rldk.core.table import MetricTable, TableBuilder
from rldk.engine.compare import BATCHES, LEAST, align, compare
from rldk.errors import UsageError


def table(steps: Sequence[int], columns: Mapping[str, Sequence[float | None]], **more: Any) -> MetricTable:
    """None is missing, NaN is stated."""
    builder = TableBuilder()
    for row, step in enumerate(steps):
        builder.add(step, {name: v for name, column in columns.items() if (v := column[row]) is not None}, **more)
    return builder.build()


def only(*tables: MetricTable, **how: Any) -> MetricDifference:
    (found,) = compare(tables, **how).differences
    return found


def test_exact_steps_and_what_is_left_over() -> None:
    found = align(
        [table([1, 2, 4], {"kl": [1, 2, 4]}), table([2, 3, 4], {"kl": [20, 30, 40]}), table([9], {"loss": [0]})], "kl"
    )
    assert found.step.tolist() == [1, 2, 4]
    assert np.array_equal(found.values, [[1, 2, 4], [math.nan, 20, 40], [math.nan] * 3], equal_nan=True)  # type: ignore[arg-type]
    assert found.present.tolist() == [[True] * 3, [False, True, True], [False] * 3]
    assert found.unmatched == (0, 1, 0)


@each_of(("tolerance", "n"), [(0, 0), (1, 1), (2, 3), (3, 3)])
def test_the_nearest_step_within_the_tolerance(tolerance: int, n: int) -> None:
    first, second = table([0, 10, 20], {"kl": [1, 2, 3]}), table([2, 9, 22], {"kl": [1, 2, 3]})
    found = align([first, second], "kl", step_tolerance=tolerance)
    assert int(found.present.all(axis=0).sum()) == n
    assert found.unmatched[1] == 3 - n


def test_two_that_want_the_same_step_and_one_between_two() -> None:
    first = table([0, 10], {"kl": [1, 2]})
    found = align([first, table([8, 9, 11], {"kl": [8, 9, 11]})], "kl", step_tolerance=5)
    assert (found.values[1].tolist()[1], found.unmatched[1]) == (9.0, 2)
    assert align([first, table([5], {"kl": [5]})], "kl", step_tolerance=5).values[1].tolist()[0] == 5.0
    assert align([first, table([6], {"kl": [6]})], "kl", step_tolerance=5).values[1].tolist()[1] == 6.0


def test_of_a_step_that_was_done_twice_the_newest_value_counts() -> None:
    builder = TableBuilder()
    for step, value, segment in ((1, 1.0, 0), (2, 2.0, 0), (3, 3.0, 0), (2, 20.0, 1)):
        builder.add(step, {"kl": value}, segment=segment)
    builder.add(2, {"loss": 5.0}, segment=1)  # another metric of the same step
    builder.add(2, {"kl": 99.0}, phase="eval")
    table = builder.build()
    found = align([table], "kl")
    assert (found.step.tolist(), found.values[0].tolist()) == ([1, 2, 3], [1.0, 20.0, 3.0])
    assert align([table], "kl", phase="eval").values.tolist() == [[99.0]]


def test_runs_part_at_the_first_step_that_is_not_the_same() -> None:
    first = table([1, 2, 3, 4], {"kl": [1, 1, 1, 1]})
    assert only(first, first).diverges_at is None
    found = only(first, table([1, 2, 3, 4, 5], {"kl": [1, None, 1 + 1e-15, 7, 8]}))
    assert (found.diverges_at, found.n, found.alone, found.median) == (3, 3, (1, 1), pytest.approx(1e-15, rel=0.2))
    assert all(math.isnan(x) for x in (found.p, found.low, found.high, found.adjusted_p))


@each_of(("tolerance", "at"), [(0.0, 1), (0.099, 1), (0.1, 2), (0.5, None)])
def test_the_tolerance_is_a_share_of_the_larger_value(tolerance: float, at: int | None) -> None:
    first, second = table([1, 2], {"kl": [90.0, -1.0]}), table([1, 2], {"kl": [100.0, -2.0]})
    assert only(first, second, tolerance=tolerance).diverges_at == at


@each_of(
    ("one", "two", "at"),
    [
        (math.nan, math.nan, None), (math.nan, 1.0, 1), (math.inf, math.inf, None), (math.inf, -math.inf, 1),
        (math.inf, 1.0, 1), (0.0, -0.0, None), (1.7e308, -1.7e308, 1),
    ],
)  # fmt: skip
def test_numbers_that_are_none(one: float, two: float, at: int | None) -> None:
    found = only(table([1], {"kl": [one]}), table([1], {"kl": [two]}), tolerance=0.5)
    assert (found.diverges_at, found.n) == (at, 1)


@pytest.mark.parametrize(("n", "tested"), [(LEAST - 1, False), (LEAST, True)])
def test_a_test_needs_so_many_steps(n: int, tested: bool) -> None:
    values = np.random.default_rng(0).normal(size=n)
    found = only(table(range(n), {"kl": [0.0] * n}), table(range(n), {"kl": values.tolist()}))
    assert math.isnan(found.p) is not tested
    assert found.median == np.median(values)


def test_the_test_is_that_of_scipy_on_means_of_neighbours() -> None:
    values = np.random.default_rng(1).normal(0.5, size=200)
    found = only(table(range(200), {"kl": [0.0] * 200}), table(range(200), {"kl": values.tolist()}))
    batches = values.reshape(BATCHES, -1).mean(axis=1)
    assert found.p == pytest.approx(stats.wilcoxon(batches).pvalue)
    assert found.low < values.mean() < found.high
    assert found.low > 0


def test_many_tables_and_metrics_share_one_correction() -> None:
    rng = np.random.default_rng(2)
    tables = [table(range(80), {m: rng.normal(k / 4, size=80).tolist() for m in ("kl", "loss")}) for k in range(3)]
    found = compare(tables).differences
    assert [(d.other, d.metric) for d in found] == [(1, "kl"), (1, "loss"), (2, "kl"), (2, "loss")]
    smallest = min(found, key=lambda d: d.p)
    assert smallest.adjusted_p == pytest.approx(4 * smallest.p)
    assert compare(tables, seed=1) == compare(tables, seed=1)


def test_metrics_that_one_run_lacks_are_named() -> None:
    found = compare([table([1], {"kl": [1], "a": [1]}), table([1], {"kl": [1], "b": [1]})])
    assert ([d.metric for d in found.differences], found.lacking) == (["kl"], ((("a",), ("b",)),))
    assert compare([table([1], {"kl": [1]}), table([1], {"kl": [1]})], ["absent"]).differences == ()


def test_nothing_in_common_is_a_result() -> None:
    found = only(table([1], {"kl": [1.0]}), table([2], {"kl": [1.0]}))
    assert (found.n, found.alone, found.diverges_at, math.isnan(found.median)) == (0, (1, 1), None, True)


def test_what_cannot_be_asked() -> None:
    one = table([1], {"kl": [1.0]})
    for call in (
        lambda: align([], "kl"),
        lambda: align([one], "kl", step_tolerance=-1),
        lambda: compare([one]),
        lambda: compare([one, one], tolerance=math.nan),
    ):
        with pytest.raises(UsageError):
            call()
