"""The same bits as the features give value by value."""

from __future__ import annotations

import math
import random
import struct
from typing import Any

import numpy as np
import pytest
from examples import each_of

from rldk.engine.features.arrays import NEEDS, FirstValues
from rldk.engine.features.gains import ARRAYS, HINTS
from rldk.engine.frame import MAKERS

KEYS: list[tuple[Any, ...]] = [
    ("count",), ("previous", 1), ("previous", 7), ("rise", 1), ("rise", 4), ("first",), ("last",), ("repeats",),
    ("departed",), ("longest_run",), ("recurrence",), ("extreme", 1, 1), ("extreme", -1, 0), ("extreme", 1, 12),
    ("largest_step", 0), ("largest_step", 3), ("wander", 20, 5, 0), ("wander", 30, 5, 10), ("wander", 200, 5, 0),
    ("held",), ("median", 1, 0), ("median", 2, 0), ("median", 20, 0), ("median", 5, 9), ("median", 200, 5, 20),
    ("median", 200, 3, 10), ("median", 20, 2, 5), ("max", 10), ("max", 3, -1), ("share", 10, 0.5, None),
    ("share", 4, None, 0.5), ("share", 1, 0.2, 0.8), ("gain", 3), ("gain", 40), ("gain", 200), ("noise", 20, 0),
    ("noise", 4, 4), ("noise", 200, 0), ("noise", 2, 1), ("early", 5, 25), ("early", 0, 1), ("spread", 0, 10),
    ("ewma", 0.2), ("peak", 0.1), ("top", 12, 0), ("top", 9, 40), ("top", 8, 300), ("drawdown", 27, 12, 2.5, 20),
    ("drawdown", 5, 4, 0.1, 0), ("drawdown", 10, 20, 1.0, 100), ("unrest", 20, False, False, 0.0),
    ("unrest", 5, True, False, 0.0), ("unrest", 8, False, True, 0.1),
]  # fmt: skip
SERIES = {
    "noise": [random.Random(1).gauss(0.5, 0.3) for _ in range(260)],
    "ties": [float(random.Random(2).randrange(4)) for _ in range(90)],
    "constant": [0.25] * 60,
    "short": [3.0, 1.0, 2.0],
    "held": [float(i) for i, n in enumerate((4, 3, 9, 1, 5, 8, 2, 30, 3)) for _ in range(n)],
    "single": [1.5],
    "ramp": [0.1 * i for i in range(70)],
    "fall": [random.Random(3).gauss(min(i, 150 - i) * 0.02, 0.1) for i in range(230)],
    "leap": [random.Random(i).gauss(2.0 + 3.0 * (60 <= i < 70 or i >= 130), 0.1) for i in range(230)],
}  # fmt: skip
SERIES["ties"] = [float(r) for r in random.Random(2).choices(range(4), k=90)]


def bits(values: list[float]) -> list[bytes]:
    return [struct.pack("<d", math.nan if x != x else x) for x in values]


@each_of("name", SERIES)
@each_of("key", KEYS, ids=str)
def test_the_array_is_the_feature_after_each_value(key: tuple[Any, ...], name: str) -> None:
    kind, *parameters = key
    found = _after_each(MAKERS[kind](*parameters), SERIES[name])
    made = ARRAYS[kind](FirstValues(SERIES[name]), *parameters)
    assert made is None or bits(made[0].tolist()) == bits(found)


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_many_runs_of_different_lengths_are_as_each_alone(key: tuple[Any, ...]) -> None:
    kind, *parameters = key
    longest = max(map(len, SERIES.values()))
    filled = [[*values, *[values[-1]] * (longest - len(values))] for values in SERIES.values()]
    made = ARRAYS[kind](FirstValues(np.array(filled)), *parameters)
    for together, values in zip(() if made is None else made.tolist(), SERIES.values(), strict=made is not None):
        alone = ARRAYS[kind](FirstValues(values), *parameters)
        assert alone is None or bits(together[: len(values)]) == bits(alone[0].tolist())


@pytest.mark.parametrize("name", SERIES)
@pytest.mark.parametrize("key", [("leap", False, 0.0), ("leap", True, 0.05)], ids=str)
def test_a_feature_that_is_told_where_to_look_gives_the_same(key: tuple[Any, ...], name: str) -> None:
    kind, *parameters = key
    told: Any = MAKERS[kind](*parameters)
    alone: Any = MAKERS[kind](*parameters)
    (hint,) = HINTS[kind](FirstValues(SERIES[name]), *parameters)
    assert bits(told.run(SERIES[name], hint)) == bits(_after_each(alone, SERIES[name]))
    assert told.peak == alone.peak
    more = [1.0, 2.0, 9.0, 9.0, 9.0, 9.0]
    assert bits(told.run(more)) == bits(_after_each(alone, more))


def _after_each(feature: Any, values: list[float]) -> list[float]:
    found = []
    for x in values:
        feature.update(x)
        found.append(feature.value)
    return found


MORE: list[tuple[Any, ...]] = [
    ("mean", 10, 0), ("mean", 7, 4), ("mad", 12, 3), ("leap", False, 0.0), ("leap", True, 0.05),
]  # fmt: skip


@each_of("name", SERIES)
@each_of("key", [key for key in (*KEYS, *MORE) if key[0] in NEEDS], ids=str)
def test_a_feature_is_known_exactly_from_the_number_of_values_that_it_needs(key: tuple[Any, ...], name: str) -> None:
    kind, *parameters = key
    feature, known = MAKERS[kind](*parameters), []
    for x in SERIES[name]:
        feature.update(x)
        known.append(feature.value == feature.value)
    unknown = min(NEEDS[kind](*parameters) - 1, len(known))
    assert known == [False] * unknown + [True] * (len(known) - unknown)


def test_every_kind_is_compared() -> None:
    assert {key[0] for key in KEYS} == ARRAYS.keys()
    assert {key[0] for key in (*KEYS, *MORE)} >= NEEDS.keys()


@pytest.mark.parametrize("odd", [-0.0, 1e301, -math.inf])
def test_values_with_a_signed_zero_or_an_overflow_are_left_to_the_features(odd: float) -> None:
    assert not FirstValues([1.0, odd, 2.0]).is_plain
