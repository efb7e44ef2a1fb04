from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rldk.monitor.reward import RewardWindow


def _summary(values: list[float], size: int) -> dict[str, float | int | None]:
    window = RewardWindow(size)
    half = len(values) // 2
    window.follow(values[:half])
    window.follow(values[half:])
    return window.summary()


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40), st.integers(2, 30))
def test_the_window_is_what_the_statistics_module_says(values: list[float], size: int) -> None:
    found, last = _summary(values, size), values[-size:]
    scale = max(map(abs, last)) + 1
    assert found["mean"] == pytest.approx(statistics.fmean(last), abs=1e-9 * scale)
    assert found["std"] == pytest.approx(statistics.pstdev(last), abs=1e-9 * scale)
    slope = statistics.linear_regression(range(len(last)), last).slope
    assert found["trend"] == pytest.approx(slope, abs=1e-9 * scale)


def test_saturation_is_the_share_at_the_best_of_the_whole_run() -> None:
    assert _summary([0.0, 0.5, 1.0, 0.995, 1.0, 0.2], 4)["saturation"] == 0.75


def test_what_is_not_known_is_none() -> None:
    assert _summary([], 5) == {"window": 5, "rows": 0, "mean": None, "std": None, "trend": None, "saturation": None}
    assert _summary([2.0, float("nan"), float("inf"), 1e300], 5)["std"] is None
    assert _summary([2.0, 2.0], 5)["saturation"] is None


def test_a_value_is_near_the_top_from_the_limit_on() -> None:
    assert _summary([0.0, 1.0, 0.99, 0.98], 4)["saturation"] == 0.5
    assert _summary([2.0, 2.0], 4)["saturation"] is None
    assert (_summary([2.0], 4)["std"], _summary([2.0], 4)["trend"]) == (None, None)
    assert (_summary([2.0, 4.0], 4)["std"], _summary([2.0, 4.0], 4)["trend"]) == (1.0, 2.0)
