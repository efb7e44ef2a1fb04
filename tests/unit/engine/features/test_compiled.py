"""Compiled features give the bits of the plain ones."""

from __future__ import annotations

import itertools
import math
import random
from importlib.util import find_spec
from typing import Any

import pytest
from examples import at_most
from hypothesis import given, settings
from hypothesis import strategies as st

from rldk.engine import scan
from rldk.engine.frame import MAKERS
from rldk.rules.rule import rules
from rldk.testing import run_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("numba") is None, reason="the fast extra is not installed"),
]

CASES = [
    ("median", 1, 0),
    ("median", 8, 3),
    ("median", 200, 5, 10),
    ("gain", 20),
    ("noise", 40),
    ("noise", 9, 4),
    ("leap", False, 0.0),
    ("leap", True, 0.05),
    ("mean", 1, 0),
    ("mean", 20, 0),
    ("mean", 7, 3),
    ("ewma", 0.1),
    ("peak", 0.2),
    ("unrest", 20, False, False, 0.0),
    ("unrest", 9, True, True, 0.1),
]


@pytest.mark.parametrize("case", CASES)
@settings(max_examples=at_most(30), deadline=None)
@given(seed=st.integers(0, 10**6), cuts=st.lists(st.integers(0, 700), max_size=6))
def test_the_same_bits(case: tuple[Any, ...], seed: int, cuts: list[int]) -> None:
    from rldk.engine.features.compiled import COMPILED, CompiledMedian

    (kind, *parameters), rng = case, random.Random(seed)
    draw = rng.choice([lambda: rng.gauss(0, 1), lambda: rng.choice([-0.0, 0.0, 1.0, -1.0, 1e308, -1e308, 5e-324])])
    values = [draw() for _ in range(700)]
    if seed % 2:  # a course that is left now and then
        values = [i / 50 + x / 10 + 9 * (i // 90 % 2) for i, x in enumerate(values)]
    plain, compiled = MAKERS[kind](*parameters), COMPILED[kind](*parameters)
    for start, stop in itertools.pairwise(sorted({0, 700, *cuts})):
        assert list(map(repr, compiled.run(values[start:stop]))) == list(map(repr, plain.run(values[start:stop])))  # type: ignore[attr-defined]
        assert repr(compiled.value) == repr(plain.value)
        compiled.update(0.5)
        plain.update(0.5)
    assert isinstance(compiled, CompiledMedian) or kind != "median"


def test_a_long_run_is_judged_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(7)
    kl = [0.05 * math.exp(rng.gauss(0, 0.2)) * (30 if i > 900 else 1) for i in range(1200)]
    run = run_of({"kl": kl, "reward_mean": [rng.gauss(0.5, 0.1) - (0.4 if i > 900 else 0) for i in range(1200)]})
    asked = tuple(rules)
    plain = scan.scan(run, asked)
    monkeypatch.setattr(scan, "LONG_ROWS", 0)
    assert scan.scan(run, asked).to_dict() == plain.to_dict()
    assert plain.findings
