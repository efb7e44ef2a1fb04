"""Features that numpy computes give the bits of the plain ones."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from examples import at_most
from hypothesis import given, settings
from hypothesis import strategies as st

from rldk.engine.features.exact import window_sums
from rldk.engine.features.vectorised import VECTORISED
from rldk.engine.features.window import totals
from rldk.engine.frame import MAKERS

ODD = [-0.0, 0.0, 1.0, -1.0, 1e308, -1e308, 5e-324, 1e-250]
CASES = [
    ("top", 12, 0),
    ("top", 81, 40),
    ("top", 3, 300),
    ("drawdown", 27, 12, 2.5, 20),
    ("drawdown", 100, 60, 3.0, 0),
    ("wander", 30, 5, 0),
    ("wander", 12, 3, 20),
    ("max", 1),
    ("max", 7),
    ("max", 64, -1),
    ("count",),
    ("median", 1, 0),
    ("median", 20, 3),
    ("median", 64, 5, 10),
    ("gain", 20),
    ("noise", 40),
    ("noise", 9, 4),
    ("unrest", 20, False, False, 0.0),
    ("unrest", 9, True, True, 0.1),
    ("mean", 1, 0),
    ("mean", 20, 0),
    ("mean", 300, 0),
    ("mean", 7, 3),
    ("leap", False, 0.0),
    ("leap", True, 0.05),
]


def _draw(rng: random.Random) -> Callable[[], float]:
    """One of several ways to make values: noise, numbers of few digits whose sums end in the middle between two floats,
    values that cancel, odd ones."""
    kinds: list[Callable[[], float]] = [
        lambda: rng.gauss(0, 1),
        lambda: rng.gauss(5, 1),
        lambda: rng.choice([0.1, 0.5, 1.0, 0.0]),
        lambda: rng.choice([1e16, 1.0, -1e16, 0.5, 2.0**-40]),
        lambda: 0.0,
        lambda: rng.choice(ODD),
    ]
    return rng.choice(kinds)


@settings(max_examples=at_most(60), deadline=None)
@given(seed=st.integers(0, 10**6), size=st.integers(1, 130), count=st.integers(1, 400))
def test_sums_of_windows_are_rounded_exactly(seed: int, size: int, count: int) -> None:
    rng = random.Random(seed)
    draw = _draw(rng)
    line = [draw() for _ in range(rng.randint(0, 500))]
    assert list(map(repr, window_sums(np.array(line), size, count).tolist())) == list(
        map(repr, totals(line, size, count))
    )


@settings(max_examples=at_most(30), deadline=None)
@given(seed=st.integers(0, 10**6), size=st.integers(1, 70), count=st.integers(1, 300), runs=st.integers(1, 5))
def test_sums_of_several_lines_are_those_of_each(seed: int, size: int, count: int, runs: int) -> None:
    rng = random.Random(seed)
    draw = _draw(rng)
    width = rng.randint(1, 300)
    lines = np.array([[draw() for _ in range(width)] for _ in range(runs)])
    together = window_sums(lines, size, count).tolist()
    assert repr(together) == repr([totals(line, size, count) for line in lines.tolist()])


@pytest.mark.parametrize("case", CASES)
@settings(max_examples=at_most(30), deadline=None)
@given(seed=st.integers(0, 10**6), cuts=st.lists(st.integers(0, 900), max_size=6))
def test_the_same_bits(case: tuple[Any, ...], seed: int, cuts: list[int]) -> None:
    (kind, *parameters), rng = case, random.Random(seed)
    draw = _draw(rng)
    values = [draw() + (i % 400 > 200) * (i % 2) for i in range(900)]
    if seed % 3 == 1:  # a level that is gained and lost
        values = [0.3 * x + min(i, 300) / 60 - 4 * (i > 500) for i, x in enumerate(values)]
    if seed % 3 == 2:  # a course that is left now and then
        values = [i / 50 + x / 10 + 9 * (i // 90 % 2) for i, x in enumerate(values)]
    plain, many = MAKERS[kind](*parameters), VECTORISED[kind](*parameters)
    for start, stop in itertools.pairwise(sorted({0, 900, *cuts})):
        assert list(map(repr, many.run(values[start:stop]))) == list(map(repr, plain.run(values[start:stop])))  # type: ignore[attr-defined]
        assert repr(many.value) == repr(plain.value)
        many.update(0.5)
        plain.update(0.5)
