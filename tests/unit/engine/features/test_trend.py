"""The features of a metric's course against scipy and numpy, and their behaviour on streams."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau, norm, theilslopes

from rldk.engine.features.noise_ratio import Unrest
from rldk.engine.features.oscillation import CYCLES, Rhythm, Swings
from rldk.engine.features.trend import Drift, _order
from rldk.engine.features.window import Feature


def _feed(feature: Feature, values: list[float]) -> list[float]:
    out = []
    for x in values:
        feature.update(float(x))
        out.append(feature.value)
    return out


def test_drift_is_the_theil_sen_climb_of_the_block_medians() -> None:
    y = np.random.default_rng(1).normal(size=70) + 0.3 * np.arange(70)
    medians = np.median(y.reshape(-1, 5), axis=1)[-12:]
    out = _feed(Drift(5, 12, log=False), list(y))
    assert all(math.isnan(v) for v in out[:59])
    assert out[-1] == pytest.approx(11 * theilslopes(medians).slope)


@given(st.lists(st.integers(-5, 5), min_size=12, max_size=12).filter(lambda v: len(set(v)) > 1))
def test_order_is_mann_kendall_with_continuity(values: list[int]) -> None:
    y = np.array(values)
    s = int(np.sign(y[None, :] - y[:, None])[np.triu_indices(12, 1)].sum())
    z = float(norm.isf(kendalltau(range(12), values, method="asymptotic").pvalue / 2))  # |S| over its deviation
    assert _order([float(v) for v in values]) == pytest.approx(z * (s - np.sign(s)) / max(abs(s), 1), abs=1e-9)


def test_noise_is_no_drift() -> None:
    y = np.random.default_rng(2).normal(size=3000)
    out = np.array(_feed(Drift(5, 12, log=False), list(y))[59:])
    assert np.mean(out != 0) < 0.01


def test_unrest_tells_noise_from_a_ramp_and_a_step() -> None:
    rng = np.random.default_rng(3)
    course = np.concatenate([rng.normal(size=100), 50 + 3.0 * np.arange(60) + rng.normal(size=60)])
    louder = np.concatenate([rng.normal(size=100), 5 * rng.normal(size=60)])
    assert max(_feed(Unrest(20, log=False, relative=False, floor=0.0), list(course))[60:]) < 4
    assert _feed(Unrest(20, log=False, relative=False, floor=0.0), list(louder))[-30] > 3


@pytest.mark.parametrize("options", [(True, False), (False, True)])
def test_unrest_of_logs_and_of_shares_ignores_the_unit(options: tuple[bool, bool]) -> None:
    y = np.exp(np.random.default_rng(4).normal(size=90))
    one, other = (_feed(Unrest(20, *options, 0.01), list(k * y)) for k in (1.0, 1024.0))
    assert one == pytest.approx(other, nan_ok=True)


def test_unrest_of_a_constant_is_one_and_of_a_waking_constant_is_bounded_by_its_floor() -> None:
    out = _feed(Unrest(20, log=False, relative=False, floor=0.0), [1.0] * 60)
    woken = _feed(Unrest(20, log=False, relative=False, floor=0.1), [1.0] * 60 + [1.0, 1.1] * 20)
    assert out[-1] == 1.0
    assert woken[-1] == pytest.approx(1.4826 / math.sqrt(2), rel=1e-3)


def test_swings_counts_passages_between_the_levels_and_forgets() -> None:
    out = _feed(Swings(40, 0.5, 1.5), [0.0, 1.0, 2.0, 1.0] * 10 + [1.0] * 40)
    assert math.isnan(out[18])
    assert out[39] == 19
    assert out[-1] == 0


def test_rhythm_is_fishers_g_of_the_periodogram() -> None:
    y = np.random.default_rng(5).normal(size=128) + 2 * np.sin(np.arange(128) / 2)
    powers = np.abs(np.fft.rfft(y))[CYCLES:64] ** 2
    g, m = powers.max() / powers.sum(), len(powers)
    assert _feed(Rhythm(128, -0.5, 0.5), list(y))[-1] == pytest.approx(-math.log(m * (1 - g) ** (m - 1)))


@pytest.mark.slow
def test_noise_has_no_rhythm() -> None:
    out = _feed(Rhythm(128, -0.1, 0.1), list(np.random.default_rng(6).normal(size=4000)))
    assert 0 < np.nanmax(out) < 13


def test_rhythm_needs_swings_from_level_to_level() -> None:
    y = list(np.sin(np.arange(200) / 2))
    assert _feed(Rhythm(128, -1.5, 1.5), y)[-1] == 0
    assert _feed(Rhythm(128, -0.5, 0.5), y)[-1] > 100


@pytest.mark.parametrize(
    "make",
    [
        lambda: Drift(5, 12, log=False),
        lambda: Swings(40, -0.5, 0.5),
        lambda: Rhythm(64, -0.5, 0.5),
    ],
)
def test_a_restart_begins_a_new_course(make: Callable[[], Drift | Swings | Rhythm]) -> None:
    y = list(np.sin(np.arange(100) / 2))
    fresh, restarted = make(), make()
    _feed(restarted, [50.0 - v for v in y[:33]])
    restarted.rebase()
    assert _feed(restarted, y) == pytest.approx(_feed(fresh, y), nan_ok=True)


def test_a_restart_is_no_unrest() -> None:
    y = np.random.default_rng(7).normal(size=120)
    through, restarted = (Unrest(4, log=False, relative=False, floor=0.0) for _ in range(2))
    _feed(through, list(y[:60]))
    _feed(restarted, list(y[:60]))
    restarted.rebase()
    assert _feed(through, [200.0, 400.0])[-1] > 10 * _feed(restarted, [200.0, 400.0])[-1]
