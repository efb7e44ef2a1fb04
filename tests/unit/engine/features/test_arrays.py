"""The same bits as the features give value by value."""

from __future__ import annotations

import math
import random
import struct
from typing import Any

import pytest
from examples import each_of

from rldk.engine.features.arrays import ARRAYS, NEEDS, FirstValues
from rldk.engine.frame import MAKERS

KEYS: list[tuple[Any, ...]] = [
    ("count",), ("previous", 1), ("previous", 7), ("rise", 1), ("rise", 4), ("first",), ("last",), ("repeats",),
    ("departed",), ("longest_run",), ("recurrence",), ("extreme", 1, 1), ("extreme", -1, 0), ("extreme", 1, 12),
    ("largest_step", 0), ("largest_step", 3), ("wander", 20, 5, 0), ("wander", 30, 5, 10), ("wander", 200, 5, 0),
    ("median", 1, 0), ("median", 2, 0), ("median", 20, 0), ("median", 5, 9), ("median", 200, 5, 20),
    ("median", 200, 3, 10), ("median", 20, 2, 5), ("max", 10), ("max", 3, -1), ("share", 10, 0.5, None),
    ("share", 4, None, 0.5), ("share", 1, 0.2, 0.8), ("gain", 3), ("gain", 40), ("gain", 200), ("noise", 20, 0),
    ("noise", 4, 4), ("noise", 200, 0), ("noise", 2, 1), ("early", 5, 25), ("early", 0, 1), ("spread", 0, 10),
]  # fmt: skip
SERIES = {
    "noise": [random.Random(1).gauss(0.5, 0.3) for _ in range(260)],
    "ties": [float(random.Random(2).randrange(4)) for _ in range(90)],
    "constant": [0.25] * 60,
    "short": [3.0, 1.0, 2.0],
    "single": [1.5],
    "ramp": [0.1 * i for i in range(70)],
}  # fmt: skip
SERIES["ties"] = [float(r) for r in random.Random(2).choices(range(4), k=90)]


def bits(values: list[float]) -> list[bytes]:
    return [struct.pack("<d", math.nan if x != x else x) for x in values]


@each_of("name", SERIES)
@each_of("key", KEYS, ids=str)
def test_the_array_is_the_feature_after_each_value(key: tuple[Any, ...], name: str) -> None:
    kind, *parameters = key
    feature, found = MAKERS[kind](*parameters), []
    for x in SERIES[name]:
        feature.update(x)
        found.append(feature.value)
    made = ARRAYS[kind](FirstValues(SERIES[name]), *parameters)
    assert made is None or bits(made.tolist()) == bits(found)


MORE: list[tuple[Any, ...]] = [
    ("mean", 10, 0), ("mean", 7, 4), ("mad", 12, 3), ("ewma", 0.2), ("peak", 0.1), ("top", 12, 0), ("top", 9, 40),
    ("drawdown", 27, 12, 2.5, 20), ("leap", False, 0.0), ("leap", True, 0.05),
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
