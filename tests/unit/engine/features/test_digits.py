from __future__ import annotations

import math
import random

import pytest
from examples import each_of

from rldk.core.table import Row
from rldk.engine.features.digits import Digits
from rldk.engine.live import Engine
from rldk.rules.page import read_page
from rldk.rules.rule import Context, Frame, Signal
from rldk.rules.rule import Rule as Made

FULL = [0.1 * math.sqrt(i) for i in range(1, 20)]
PAGE = read_page("Q.\n\nWhy it matters: q.\nHow it is computed: q.\nWhen it is wrong: q.\nSource: q.", where="Q")


@each_of(
    ("values", "unit"),
    [
        ([round(x, 3) for x in FULL], 0.0005),
        ([round(x, 4) for x in FULL], 0.00005),
        (FULL, 0.0),
        ([0.000123, *FULL], 0.0),
        ([i % 9 / 8 for i in range(40)], math.nan),  # whole rewards, not rounded ones
        ([1e-4] * 40, math.nan),  # a constant tells nothing
    ],
)
def test_digits_that_were_printed(values: list[float], unit: float) -> None:
    digits = Digits()
    found = digits.run(values)
    assert found[-1] == pytest.approx(unit, nan_ok=True)


def _asked(ask: str, rows: list[dict[str, float]], *, step: int = 1, **context: object) -> list[float]:
    """What a frame answers on each row, live; and the same of whole blocks."""
    seen: list[dict[int, float]] = [{}, {}]

    def body(f: Frame) -> Signal | None:
        into[f.step] = float(eval(ask, {}, {"f": f}))
        return Signal(value=0.0)  # so that it is asked of each row

    rule = Made(code="Q1", name="q", severity="info", tier=0, body=body, page=PAGE, needs=("x",), cooldown=10**9)
    made = [Row(step=step * (i + 1), values=row) for i, row in enumerate(rows)]
    into = seen[0]
    engine = Engine([rule], Context(**context))  # type: ignore[arg-type]
    for row in made:
        engine.feed(row)
    into = seen[1]
    list(Engine([rule], Context(**context)).feed_all(made))  # type: ignore[arg-type]
    live, whole = ([found[row.step] for row in made] for found in seen)
    assert live == pytest.approx(whole, nan_ok=True)
    return live


def test_a_zero_of_a_log_with_few_decimals() -> None:
    rng = random.Random(1)
    few = [{"x": 0.0, "loss": round(rng.random(), 3), "entropy": round(rng.random(), 3)} for _ in range(30)]
    assert _asked("f.rounded('x')", few)[-1] == 0.0005
    assert _asked("f.rounded('x')", [row | {"grad_norm": rng.random()} for row in few])[-1] == 0.0


def test_what_a_value_is_the_mean_of() -> None:
    rows = [{"x": 1.0, "grad_norm": 1.0}] * 5
    assert _asked("f.averaged('x')", rows, step=10, framework="trl")[1:] == [10.0] * 4
    assert _asked("f.averaged('grad_norm')", rows, step=10, framework="trl")[1:] == [1.0] * 4
    assert math.isnan(_asked("f.averaged('x')", rows, step=10)[-1])
    assert _asked("f.averaged('x')", rows)[-1] == 1.0


def test_rows_running_that_are_no_number() -> None:
    rows = [{"x": 1.0, "y": y} for y in (1.0, math.nan, math.inf, 2.0, math.nan)]
    assert _asked("f.broken('y')", rows) == [0.0, 1.0, 2.0, 0.0, 1.0]


def test_a_milestone_is_a_level_that_is_remembered() -> None:
    assert _asked("f.milestone('x', 5)", [{"x": float(i)} for i in range(20)])[-1] == 9.5
