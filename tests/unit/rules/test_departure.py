"""How far a metric must move until it has left its own line: at the limit of each metric, and beside it."""

from __future__ import annotations

import math
from typing import cast

from examples import each_of
from msgspec import Struct

from rldk.rules.departure import COURSES, Departure, departure
from rldk.rules.rule import Frame

FACTORS = {
    "grad_norm": 3.0, "grad_norm_policy": 3.0, "grad_norm_value": 3.0, "kl": 3.0, "reward_std": 2.5, "value_loss": 3.0,
    "ratio_var": 2.0, "rollout_logprob_diff_mean": 2.0, "rollout_prob_diff_mean": 2.0, "rollout_kl": 2.0,
}  # fmt: skip


class Told(Struct, frozen=True, kw_only=True):
    """The features that a departure asks for, as numbers: the line test, the levels, the approved run."""

    scales: float = 9.0
    level: float = 1.0
    now: float = 1.0
    approved: float = math.nan
    spread: float = math.nan

    def leap(self, name: str, *, log: bool, floor: float) -> float:
        return self.scales

    def median(self, name: str, count: int, *, before: int = 0) -> float:
        return self.level if before else self.now

    def reference(self, name: str) -> float:
        return self.approved

    def reference_spread(self, name: str) -> float:
        return self.spread


def of(name: str, **features: float) -> Departure | None:
    return departure(cast("Frame", Told(**features)), name)


def test_every_metric_is_tried() -> None:
    assert COURSES.keys() == {*FACTORS, "entropy"}


@each_of("name", FACTORS)
def test_a_rise_matters_beyond_its_factor_and_a_fall_never(name: str) -> None:
    factor = FACTORS[name]
    assert of(name, now=factor) is None
    found = of(name, now=factor * 1.01)
    assert found is not None
    assert (found.up, found.level, found.reference) == (True, 1.0, False)
    assert of(name, now=1e-6, scales=-9.0) is None


def test_entropy_matters_beyond_a_quarter_up_or_down() -> None:
    assert [of("entropy", now=now) is not None for now in (0.74, 0.75, 1.0, 1.25, 1.26)] == [
        True,
        False,
        False,
        False,
        True,
    ]


def test_the_line_test_decides_from_five_scales_on() -> None:
    assert [of("kl", now=9.0, scales=scales) is not None for scales in (4.99, 5.0, -5.0)] == [False, True, True]


def test_a_level_that_is_not_above_zero_has_no_factor() -> None:
    assert [of("kl", now=9.0, level=level) for level in (0.0, -1.0, math.nan)] == [None] * 3


def test_beside_an_approved_run_a_move_must_be_half_as_large_again() -> None:
    said = [of("kl", scales=0.0, now=now, approved=1.0, spread=0.1) for now in (4.5, 4.6)]
    assert [one is not None for one in said] == [False, True]
    assert said[1] is not None
    assert said[1].how == "is 4.6 where the reference run had 1"
    assert math.isclose(said[1].scales, 36.0)
    assert of("kl", scales=0.0, now=4.6, approved=1.0, spread=0.8) is None  # 4.5 scales
    assert of("kl", scales=0.0, now=4.6, approved=1.0, spread=0.0) is not None  # a thousandth of the level at least
