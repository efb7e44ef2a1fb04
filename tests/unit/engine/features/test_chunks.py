"""Every feature that a rule may ask for gives the same numbers for many values at once as for one after the other, and
those it has always given: the last values of each are kept in tests/golden."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from examples import each_of

from rldk.engine.features import window
from rldk.engine.frame import MAKERS

PARAMETERS: dict[str, list[tuple[object, ...]]] = {
    "previous": [(1,), (7,)],
    "rise": [(1,), (7,)],
    "extreme": [(1, 0), (-1, 3)],
    "largest_step": [(1,), (0,), (4,)],
    "wander": [(30, 5, 10), (8, 1, 0)],
    "mean": [(1, 0), (10, 3)],
    "median": [(1, 0), (8, 3), (200, 5, 10)],
    "mad": [(10, 0), (9, 4)],
    "max": [(6,), (6, -1)],
    "std": [(2,), (20,)],
    "slope": [(2,), (20,)],
    "share": [(20, None, 0.5), (10, -0.2, None), (10, -1e-9, 1e-9)],
    "gain": [(20,), (7,)],
    "noise": [(20,), (9, 4)],
    "early": [(5, 25), (0, 10)],
    "early_mean": [(5, 25), (0, 10)],
    "spread": [(0, 10), (2, 3)],
    "ewma": [(0.1,), (1.0,)],
    "peak": [(0.1,), (1.0,)],
    "top": [(12, 0), (7, 20)],
    "drawdown": [(27, 12, 2.5, 20), (10, 10, 3.0, 0)],
    "leap": [(False, 0.0), (True, 0.05)],
    "drift": [(5, 12, False), (3, 8, True)],
    "unrest": [(20, False, False, 0.0), (20, True, False, 0.01), (9, False, True, 0.01)],
    "swings": [(40, -0.1, 0.5), (10, 0.0, 0.2)],
    "rhythm": [(64, -0.5, 0.5)],
    "climbs": [(10,), (1,)],
    "age": [(1,), (-1,)],
    "quantile": [(200, 0.7, 1, 20), (20, 0.05, 5, 10)],
}
CASES = [(kind, words) for kind in MAKERS if kind != "blocks" for words in PARAMETERS.get(kind, [()])]


def _series() -> dict[str, list[float]]:
    rng = random.Random(5)
    noise = [rng.gauss(0.5, 0.3) for _ in range(150)]
    return {
        "noise": noise,
        "jump": [x + (6.0 if i > 90 else 0.0) for i, x in enumerate(noise)],
        "ramp": [0.05 * i + 0.2 * x for i, x in enumerate(noise)],
        "lost": [min(i, 60) / 20 - max(0, i - 90) / 25 + 0.1 * x for i, x in enumerate(noise)],
        "wave": [math.sin(i / 3) + 0.1 * x for i, x in enumerate(noise)],
        "coarse": [float(round(3 * x)) for x in noise],
        "waking": [0.0] * 70 + [round(x, 2) for x in noise[:80]],
        "huge": [x * 1e300 if i % 40 == 7 else x for i, x in enumerate(noise)],
    }


SERIES = _series()


def _one_by_one(kind: str, words: tuple[object, ...], values: list[float]) -> list[float]:
    feature, found = MAKERS[kind](*words), []
    for x in values:
        feature.update(x)
        found.append(feature.value)
    return found


@each_of(("kind", "words"), CASES)
def test_many_values_at_once_are_the_same(kind: str, words: tuple[object, ...]) -> None:
    for name, values in SERIES.items():
        many, found = MAKERS[kind](*words), list[float]()
        for start, stop in ((0, 1), (1, 3), (3, 40), (40, 41), (41, 150)):
            found += window.run(many, values[start:stop])
        assert list(map(repr, found)) == list(map(repr, _one_by_one(kind, words, values))), name


def test_golden_features(golden: Callable[[str, str], None]) -> None:
    lines = []
    for kind, words in CASES:
        for name, values in SERIES.items():
            found = _one_by_one(kind, words, values)
            known = next((i for i, x in enumerate(found) if x == x), None)
            shown = " ".join(f"{found[i]:.9g}" for i in (30, 70, 93, 100, 149))
            lines.append(f"{kind}{list(words)} {name}: known from {known}: {shown}")
    golden("features.txt", "\n".join(lines))
