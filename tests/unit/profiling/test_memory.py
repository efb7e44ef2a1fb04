"""Whether memory leaks: planted leaks are found, and what only looks like one is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from examples import each_of
from numpy.typing import NDArray

from rldk.profiling.memory import memory_trend
from rldk.rules.profiles import MemoryTrend

MIB = float(1 << 20)
AT: NDArray[np.float64] = np.linspace(0, 150, 300, dtype=np.float64)
Series = Callable[[np.random.Generator], NDArray[np.floating[Any]]]
SOUND: dict[str, Series] = {
    "noise": lambda rng: rng.normal(0, 20, 300),
    "noise that depends on itself": lambda rng: np.convolve(rng.normal(0, 10, 340), np.ones(41) / 5, "valid"),
    "a sawtooth": lambda rng: 100 * ((AT / 7 + rng.random()) % 1),
    "a slow sawtooth": lambda rng: 100 * ((AT / 70 + rng.random()) % 1),
    "one large step": lambda rng: 100.0 * (rng.uniform(30, 150) < AT),
    "growth that levels off": lambda rng: 200 * (1 - np.exp(-AT / 30)) + rng.normal(0, 2, 300),
    "growth by less than 2 %": lambda rng: 5 * AT / 150,
}
LEAKS: dict[str, Series] = {
    "a slow leak": lambda rng: 20 * AT / 150 + rng.normal(0, 2, 300),
    "a leak on a sawtooth": lambda rng: 100 * AT / 150 + 50 * ((AT / 7 + rng.random()) % 1),
    "a leak in stairs": lambda rng: 20 * np.floor(AT / 10 + rng.random()),
}


def _share(make: Series) -> float:
    rng = np.random.default_rng(1)
    found = [memory_trend(AT, (500.0 + np.asarray(make(rng), dtype=np.float64)) * MIB) for _ in range(60)]
    return float(np.mean([isinstance(one, MemoryTrend) and one.grows for one in found]))


@each_of("name", SOUND)
def test_no_leak_is_none(name: str) -> None:
    assert _share(SOUND[name]) <= 0.02


@pytest.mark.parametrize("name", LEAKS)
def test_a_leak_is_found(name: str) -> None:
    assert _share(LEAKS[name]) >= 0.9


def test_the_slope_is_in_bytes_per_second() -> None:
    found = memory_trend(AT, (500 + 30 * AT / 150) * MIB)
    assert isinstance(found, MemoryTrend)
    assert found.slope == pytest.approx(0.2 * MIB)
    assert (found.seconds, found.growth) == (pytest.approx(120, rel=0.01), pytest.approx(24 * MIB, rel=0.01))


@pytest.mark.parametrize("at", [np.zeros(0), np.linspace(0, 100, 40), np.linspace(0, 3, 400)])
def test_what_is_too_short_is_not_judged(at: NDArray[np.float64]) -> None:
    assert str(memory_trend(at, np.ones(len(at)))).startswith("needs 60 samples over 5 s")
