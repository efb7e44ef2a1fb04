from __future__ import annotations

import math
import random

import numpy as np
import pytest

from rldk.engine.features.drawdown import Drawdown, Top
from rldk.engine.features.window import run

UP = [0.0] * 10 + [i / 20 for i in range(20)] + [1.0] * 20


def _top(values: list[float], rows: int) -> float:
    half = rows // 2
    levels = [
        min(np.mean(values[i - half : i]), np.mean(values[i - rows : i - half])) for i in range(rows, len(values) + 1)
    ]
    return float(max(levels, default=math.nan))


def test_the_top_is_the_largest_level_that_two_halves_held() -> None:
    values = [random.Random(i).gauss(0, 1) for i in range(60)]
    assert run(Top(12, 0), values) == pytest.approx([_top(values[: i + 1], 12) for i in range(60)], nan_ok=True)


def test_the_share_of_the_gain_that_is_lost() -> None:
    assert run(Drawdown(10, 10, 3.0, 0), [*UP, *[0.4] * 15])[-1] == pytest.approx(0.6, abs=0.05)


def test_nothing_is_lost_until_a_dip_has_lasted() -> None:
    assert max(run(Drawdown(10, 10, 3.0, 0), [*UP, *[0.0] * 7, *[1.0] * 20])) < 0.35


def test_a_dip_that_is_three_quarters_of_the_rows_leaves_one_end_high() -> None:
    assert max(run(Drawdown(27, 12, 2.5, 0), [*UP, *[0.0] * 20, *[1.0] * 20])) < 0.35


def test_noise_is_no_gain() -> None:
    values = [random.Random(i).gauss(0, 1) for i in range(200)]
    assert set(run(Drawdown(25, 12, 2.5, 20), values)) == {0.0}


@pytest.mark.parametrize("wild", [1e300, -1e300])
def test_huge_values_do_no_harm(wild: float) -> None:
    found = run(Drawdown(10, 10, 3.0, 0), [*UP, wild, *[1.0] * 40])
    assert found[-1] == 0.0
    assert all(math.isfinite(x) for x in found)


def test_rewards_that_are_zero_on_most_rows_have_noise_all_the_same() -> None:
    sparse = [-0.05 * (i % 7 in (0, 3)) - 0.1 * (i % 11 == 0) for i in range(40)]
    assert set(run(Drawdown(27, 12, 2.5, 20), [*sparse, *[0.0] * 14, *sparse])) == {0.0}
