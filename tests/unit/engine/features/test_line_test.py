from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from examples import at_most
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import theilslopes

from rldk.engine.features.line_test import ARMED, HOLD, Leap, _line
from rldk.testing import scan_columns


def _feed(values: list[float], **options: float) -> list[float]:
    leap = Leap(bool(options.get("log", False)), float(options.get("floor", 0.0)))
    out = []
    for x in values:
        leap.update(x)
        out.append(leap.value)
    return out


def test_line_is_the_theil_sen_line() -> None:
    y = np.random.default_rng(1).normal(size=24) + 0.3 * np.arange(24)
    assert _line(list(y))[0] == pytest.approx(theilslopes(y).slope)


def test_silent_before_it_is_armed_then_armed() -> None:
    out = _feed([float(i % 3) for i in range(ARMED)])
    assert all(math.isnan(v) for v in out[:-1])
    assert out[-1] == 0.0


def test_speaks_on_the_third_row_of_a_step_and_holds_while_it_lasts() -> None:
    rng = np.random.default_rng(2)
    quiet = list(rng.normal(size=40))
    out = _feed(quiet + [30.0] * 20)
    assert max(abs(v) for v in out[ARMED:42]) < 5
    assert all(v > 5 for v in out[42:])


def test_a_ramp_is_its_own_course() -> None:
    rng = np.random.default_rng(3)
    out = _feed([0.5 * i + x for i, x in enumerate(rng.normal(size=200))])
    assert max(abs(v) for v in out[ARMED:]) < 5


def test_two_wild_rows_are_not_three() -> None:
    out = _feed([float(x) for x in np.random.default_rng(4).normal(size=40)] + [50.0, 50.0, 0.0, 0.1, 0.0])
    assert max(abs(v) for v in out[ARMED:]) < 5


def test_a_lasting_shift_becomes_the_new_normal() -> None:
    out = _feed([float(x) for x in np.random.default_rng(5).normal(size=40)] + [30.0] * (HOLD + 40))
    assert out[-1] == 0.0


def test_floor_and_log_scale() -> None:
    constant = [1.0] * 30 + [1.01] * 3
    assert _feed(constant)[-1] > 5
    assert _feed(constant, floor=0.1)[-1] == pytest.approx(0.1)
    assert _feed([0.001] * 30 + [0.0] * 3, log=True, floor=0.5)[-1] < -5


def test_a_restarted_run_begins_a_new_course() -> None:
    kl = [0.5 + 0.01 * (i % 3) for i in range(40)] + [2.0 + 0.01 * (i % 3) for i in range(30)]
    steps = [*range(40), *range(20, 50)]
    columns = {"kl": kl, "reward_mean": [0.5 + 0.001 * (i % 5) for i in range(70)]}
    assert scan_columns("KL001", columns).findings
    assert not scan_columns("KL001", columns, step=steps).findings


@settings(max_examples=at_most(60), deadline=None)
@given(
    seed=st.integers(0, 10**6),
    level=st.sampled_from([0.0, 1.0, 30.0]),
    cuts=st.lists(st.integers(0, 300), max_size=4),
    log=st.booleans(),
)
def test_many_values_at_once_are_the_same_values(seed: int, level: float, cuts: list[int], log: bool) -> None:
    rng = np.random.default_rng(seed)
    values = [float(round(x, 1)) for x in rng.normal(size=300) + level * (rng.random(300) < 0.7).cumprod()[::-1]]
    values[100:] = [x + level * 3 for x in values[100:]]
    leap, found = Leap(log, 0.0), []
    for start, stop in itertools.pairwise(sorted({0, 300, *cuts})):
        found += leap.run(values[start:stop])
    assert list(map(repr, found)) == list(map(repr, _feed(values, log=log)))
