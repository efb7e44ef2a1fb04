"""Every feature against numpy over the whole history, at every row."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable

import numpy as np
import pytest
from examples import at_most, each_of
from hypothesis import given, settings
from hypothesis import strategies as st

from rldk.core.stats.robust import MAD_TO_SD
from rldk.engine.features import differences, extremes, order, whole_run, window

Values = list[float]
series = st.lists(st.integers(-50, 50).map(lambda i: i / 8), min_size=1, max_size=60)
W, B = 8, 3


def _window(v: Values, window: int = W, before: int = 0) -> np.ndarray | None:
    past = v[: len(v) - before] if before else v
    return np.array(past[-window:]) if len(past) >= window else None


def _mad(x: np.ndarray) -> float:
    return float(MAD_TO_SD * np.median(np.abs(x - np.median(x))))


def _windowed(f: Callable[[np.ndarray], float], before: int = 0) -> Callable[[Values], float]:
    return lambda v: math.nan if (w := _window(v, before=before)) is None else float(f(w))


def _wander(v: Values, window: int = W, lag: int = 3) -> float:
    """Of the differences over `lag` values, those of the newest `window` values."""
    steps = np.array(v[lag:]) - np.array(v[:-lag])
    return _mad(steps[lag - window :]) / math.sqrt(2) if len(v) >= window else math.nan


def _repeats(v: Values) -> float:
    n = 1
    while n < len(v) and v[-1 - n] == v[-1]:
        n += 1
    return n


def _runs(v: Values) -> list[Values]:
    runs: list[Values] = []
    for x in v:
        if runs and runs[-1][-1] == x:
            runs[-1].append(x)
        else:
            runs.append([x])
    return runs


def _ewma(v: Values, weight: float = 0.25) -> float:
    level = v[0]
    for x in v[1:]:
        level += weight * (x - level)
    return level


CASES: dict[str, tuple[Callable[[], window.Feature], Callable[[Values], float]]] = {
    "count": (whole_run.Count, len),
    "previous": (lambda: whole_run.Previous(2), lambda v: v[-3] if len(v) > 2 else math.nan),
    "wander": (lambda: differences.Wander(W, 3, 0), _wander),
    "rise": (lambda: whole_run.Rise(2), lambda v: v[-1] - v[-3] if len(v) > 2 else math.nan),
    "first": (whole_run.First, lambda v: v[0]),
    "last": (whole_run.Last, lambda v: v[-1]),
    "repeats": (whole_run.Repeats, _repeats),
    "departed": (whole_run.Departed, lambda v: _runs(v)[-2:][0][0]),
    "longest run": (whole_run.LongestRun, lambda v: max((len(r) for r in _runs(v)[:-1]), default=0)),
    "highest": (lambda: whole_run.Extreme(1, B), lambda v: max(v[:-B], default=math.nan)),
    "lowest": (lambda: whole_run.Extreme(-1, 1), lambda v: min(v[:-1], default=math.nan)),
    "mean": (lambda: window.Mean(W, 0), _windowed(np.mean)),
    "mean before": (lambda: window.Mean(W, B), _windowed(np.mean, B)),
    "median": (lambda: window.Median(W, 0), _windowed(np.median)),
    "median before": (lambda: window.Median(W, B), _windowed(np.median, B)),
    "past": (
        lambda: window.Median(20, B, 5),
        lambda v: float(np.median(v[:-B][-20:])) if len(v) - B >= 5 else math.nan,
    ),
    "mad": (lambda: window.Mad(W, 0), _windowed(_mad)),
    "max": (lambda: extremes.Highest(W), _windowed(np.max)),
    "min": (lambda: extremes.Highest(W, -1), _windowed(np.min)),
    "std": (lambda: extremes.Deviation(W), _windowed(np.std)),
    "slope": (lambda: extremes.Slope(W), _windowed(lambda x: np.polyfit(np.arange(W), x, 1)[0])),
    "share": (lambda: window.Share(W, -1.0, 2.0), _windowed(lambda x: float(np.mean((x > -1) & (x < 2))))),
    "gain": (lambda: window.Gain(W), _windowed(lambda x: np.median(x[-2:]) - np.median(x[:2]))),
    "noise": (
        lambda: window.Noise(W),
        _windowed(lambda x: MAD_TO_SD * np.median(np.abs(np.diff(x))) / math.sqrt(2)),
    ),
    "largest step": (
        lambda: differences.LargestStep(B),
        lambda v: max(list(np.abs(np.diff(v)))[:-B], default=math.nan),
    ),
    "climbs": (
        lambda: order.Climbs(W),
        lambda v: sum(b > a for a, b in itertools.pairwise(v[-W - 1 :])) if len(v) > W else math.nan,
    ),
    "age": (lambda: order.Age(-1), lambda v: v[::-1].index(min(v))),
    "quantile": (
        lambda: order.Quantile(20, 0.7, B, 5),
        lambda v: float(np.quantile(v[:-B][-20:], 0.7, method="inverted_cdf")) if len(v) - B >= 5 else math.nan,
    ),
    "early": (lambda: whole_run.Early(2, 7), lambda v: float(np.median(v[2:7])) if len(v) >= 7 else math.nan),
    "spread": (lambda: whole_run.Spread(2, 7), lambda v: max(v[2:7]) - min(v[2:7]) if len(v) >= 7 else math.nan),
    "ewma": (lambda: whole_run.Ewma(0.25), _ewma),
    "peak": (
        lambda: whole_run.Peak(0.25),
        lambda v: max((_ewma(v[:n]) for n in range(10, len(v) + 1)), default=math.nan),
    ),
}


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=at_most(30))  # of each feature
@given(values=series)
def test_feature_equals_its_definition_at_every_row(name: str, values: Values) -> None:
    make, oracle = CASES[name]
    feature = make()
    for n, x in enumerate(values, 1):
        feature.update(x)
        assert feature.value == pytest.approx(oracle(values[:n]), nan_ok=True, abs=1e-9)


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=at_most(30), deadline=None)
@given(values=series, cut=st.integers(0, 60))
def test_many_values_at_once_are_the_same_values(name: str, values: Values, cut: int) -> None:
    one, many = CASES[name][0](), CASES[name][0]()
    single = []
    for x in values:
        one.update(x)
        single.append(one.value)
    found = [x for part in (values[:cut], values[cut:]) if part for x in window.run(many, part)]
    assert list(map(repr, found)) == list(map(repr, single))
    assert repr(many.value) == repr(one.value)


@pytest.mark.parametrize("name", [name for name, (make, _) in CASES.items() if hasattr(make(), "reach")])
@settings(max_examples=at_most(30), deadline=None)
@given(values=series, more=series)
def test_a_window_made_afresh_goes_on_as_if_it_had_seen_all(name: str, values: Values, more: Values) -> None:
    seen, fresh = CASES[name][0](), CASES[name][0]()
    values = [*values, *more, *values]
    reach = fresh.reach  # type: ignore[attr-defined]
    window.run(seen, values)
    if len(values) >= reach:
        fresh.refill(values[-reach:])  # type: ignore[attr-defined]
        low, high = fresh.bounds(min(values[-reach:]), max(values[-reach:]))  # type: ignore[attr-defined]
        assert low <= seen.value <= high
        assert repr(fresh.value) == repr(seen.value)
        assert list(map(repr, window.run(fresh, more))) == list(map(repr, window.run(seen, more)))


def test_mean_does_not_drift_at_large_offsets() -> None:
    mean = window.Mean(10, 0)
    for i in range(100_000):
        mean.update(1e8 + (i % 3) * 0.1)
    assert mean.value == pytest.approx(np.mean([1e8 + (i % 3) * 0.1 for i in range(99_990, 100_000)]), abs=1e-6)


def test_deviation_and_slope_survive_a_jump_to_a_large_level() -> None:
    values = [0.1 * (i % 3) for i in range(15)] + [1e8 + 0.1 * (i % 3) for i in range(15)]
    std, slope = extremes.Deviation(10), extremes.Slope(10)
    for x in values:
        std.update(x)
        slope.update(x)
    assert std.value == pytest.approx(np.std(values[-10:]), rel=1e-6)
    assert slope.value == pytest.approx(np.polyfit(np.arange(10), np.array(values[-10:]) - 1e8, 1)[0], abs=1e-6)


@pytest.mark.parametrize("make", [lambda: window.Mean(3, 0), lambda: extremes.Deviation(3), lambda: extremes.Slope(3)])
def test_sums_that_overflow_do_not_raise_and_heal(make: Callable[[], window.Feature]) -> None:
    feature = make()
    for x in [1.7e308, 1.7e308, 1.7e308, -1.7e308, 1.7e308, 1.7e308, *[2.0] * 6]:
        feature.update(x)
    assert feature.value in (0.0, 2.0)


@each_of("n", [1, 127, 128, 129, 5000])
def test_blocks_are_the_means_of_equal_stretches(n: int) -> None:
    values = np.random.default_rng(0).normal(size=n)
    blocks = order.Blocks()
    for x in values.tolist():
        blocks.update(x)
    whole = n // blocks.size
    assert blocks.means == pytest.approx(values[: whole * blocks.size].reshape(whole, -1).mean(axis=1))
    assert 1 <= len(blocks.means) == blocks.value < order.BLOCKS


@pytest.mark.parametrize("many", [True, False])
def test_the_deviation_of_a_metric_that_does_not_move_is_not_summed_again_on_each_row(
    monkeypatch: pytest.MonkeyPatch, many: bool
) -> None:
    sums = 0

    def counted(values: Iterable[float]) -> float:
        nonlocal sums
        sums += 1
        return window.total(values)

    monkeypatch.setattr(extremes, "total", counted)
    deviation = extremes.Deviation(20)
    deviation.run([0.1 * i for i in range(30)])
    if many:
        deviation.run([0.7] * 1000)
    else:
        for _ in range(1000):
            deviation.update(0.7)
    assert deviation.value == 0.0
    assert sums < 40


def test_a_share_counts_what_lies_between_its_limits_and_not_what_is_one() -> None:
    values = [-1.0, 0.0, 2.0, 1.0, 5.0]
    fed, filled = window.Share(4, -1.0, 2.0), window.Share(4, -1.0, 2.0)
    for value in values:
        fed.update(value)
    filled.refill(values[1:])
    assert fed.value == filled.value == 0.5
    filled.refill(values[:4])
    assert filled.value == 0.5
