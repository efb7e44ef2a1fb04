"""Rules made at random, for what asks a rule of many rows at once."""

from __future__ import annotations

import math
import operator
import random
from collections.abc import Callable

Body = Callable[[dict[str, float]], object]
ARITHMETIC = (operator.add, operator.sub, operator.mul, operator.truediv, max, min)
COMPARE = (operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne)


def random_body(seed: int) -> Body:
    """A rule made at random: nested arithmetic, comparisons and branches."""

    def number(f: dict[str, float], rng: random.Random, depth: int) -> float:
        match rng.randrange(6 if depth else 2):
            case 0:
                return f[rng.choice("abc")]
            case 1:
                return rng.choice([0.0, 0.5, 2.0, -1.0, math.nan, math.inf])
            case 2:
                return abs(number(f, rng, depth - 1))
            case 3:
                return -number(f, rng, depth - 1)
            case _:
                op = rng.choice(ARITHMETIC)
                return op(number(f, rng, depth - 1), number(f, rng, depth - 1))

    def body(f: dict[str, float]) -> object:
        rng = random.Random(seed)
        for _ in range(3):
            # both sides always: what is drawn must not depend on the path
            first, second = number(f, rng, 2), number(f, rng, 2)
            if rng.choice(COMPARE)(first, second) and first == first:
                return 1
        return None

    return body
