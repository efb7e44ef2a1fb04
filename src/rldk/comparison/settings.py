"""Which settings go with the score: one row for each key that differs among the runs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from rldk.comparison.facts import SettingEffect
from rldk.core.codec import to_builtins
from rldk.core.stats.dependence import (
    explained_rank_share,
    least_p,
    permutation_p,
    rank_correlation,
    rank_correlation_interval,
)
from rldk.core.stats.paired import holm

Array = NDArray[np.float64]
ALPHA = 0.05
MOST_SETTINGS = 40
LEAST_SCORES = 5  # fewer have no interval of a rank correlation
ABSENT = "(none)"


def setting_effects(
    settings: Mapping[str, Mapping[str, Any]], scores: Mapping[str, float]
) -> tuple[SettingEffect, ...]:
    """How the score goes with each key whose value differs among the runs, the clearest first.

    `settings`: what each run records, nested keys by their path. `scores`: of the goal; runs without one are left out.
    The p-values are those of permutation tests, adjusted for the number of keys (Holm). It says nothing about causes:
    keys that always change together are named beside each other, and nobody can tell them apart."""
    runs = [name for name, score in scores.items() if math.isfinite(score) and settings.get(name)]
    flat = {name: dict(_flat(settings[name])) for name in runs}
    keys = dict.fromkeys(key for name in runs for key in flat[name])
    columns = {key: [flat[name].get(key) for name in runs] for key in keys}
    labels = {key: _labels(values) for key, values in columns.items()}
    varied = [key for key in keys if labels[key].size and labels[key].max() > 0][:MOST_SETTINGS]
    values = np.array([scores[name] for name in runs])
    made = [_effect(key, columns[key], labels[key], values) for key in varied]
    twins = {key: tuple(k for k in varied if k != key and _same_parts(labels[k], labels[key])) for key in varied}
    adjusted = holm([math.nan if one.p is None else one.p for one in made])
    decided = [_decided(replace(one, together_with=twins[one.key]), p) for one, p in zip(made, adjusted, strict=True)]
    return tuple(sorted(decided, key=lambda one: (2.0 if one.p is None else one.p, -abs(one.strength or 0))))


def _effect(key: str, column: Sequence[Any], labels: NDArray[np.int64], scores: Array) -> SettingEffect:
    numbers = _numbers(column)
    strength = rank_correlation(numbers, scores) if numbers is not None else explained_rank_share(labels, scores)
    low, high = math.nan, math.nan
    if numbers is not None and scores.size >= LEAST_SCORES:
        low, high = rank_correlation_interval(strength, scores.size)
    enough = least_p(labels) <= ALPHA
    return SettingEffect(
        key=key,
        kind="ordered" if numbers is not None else "unordered",
        runs=int(scores.size),
        values=_values(column, labels, scores),
        strength=None if math.isnan(strength) else strength,
        low=None if math.isnan(low) else low,
        high=None if math.isnan(high) else high,
        p=permutation_p(labels, scores, ordered=numbers, seed=0) if enough else None,
    )


def _decided(one: SettingEffect, adjusted: float) -> SettingEffect:
    if one.p is None:
        return replace(one, outcome="not enough runs")
    outcome = "goes with the score" if adjusted <= ALPHA else "no evidence"
    return replace(one, p=adjusted, outcome=outcome)


def _values(column: Sequence[Any], labels: NDArray[np.int64], scores: Array) -> tuple[tuple[str, int, float], ...]:
    """Each value as text, how many runs have it, and their mean score; numbers in their order."""
    found = []
    for label in range(int(labels.max()) + 1):
        places = np.flatnonzero(labels == label)
        value = column[int(places[0])]
        found.append((value, (_text(value), int(places.size), float(scores[places].mean()))))
    if _numbers([value for value, _ in found]) is not None:
        found.sort(key=lambda pair: float(pair[0]))
    return tuple(row for _, row in found)


def _labels(column: Sequence[Any]) -> NDArray[np.int64]:
    """A number for each value, counted in the order in which they come."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(_text(value), len(numbers)) for value in column], dtype=np.int64)


def _same_parts(first: NDArray[np.int64], second: NDArray[np.int64]) -> bool:
    """Whether two keys part the runs in the same way; the labels are numbered in the order in which they come."""
    return bool(np.array_equal(first, second))


def _numbers(column: Sequence[Any]) -> Array | None:
    """The values as numbers; None where one of them is none."""
    if all(type(value) in (int, float) and math.isfinite(value) for value in column):
        return np.array(column, dtype=np.float64)
    return None


def _flat(value: Mapping[str, Any], before: str = "") -> list[tuple[str, Any]]:
    made: list[tuple[str, Any]] = []
    for key, item in value.items():
        if isinstance(item, Mapping):
            made += _flat(item, f"{before}{key}.")
        elif item is not None:
            made.append((f"{before}{key}", item))
    return made


def _text(value: object) -> str:
    if value is None:
        return ABSENT
    return value if isinstance(value, str) else json.dumps(to_builtins(value), sort_keys=True)
