"""The class of a difference, at each limit and beside it, and what replicas that agree prove."""

from __future__ import annotations

import math

from examples import each_of

from rldk.engine.compare.classes import (
    CLOSE,
    GROWTH,
    LARGE,
    MEANING,
    ReplicaClass,
    SeedControl,
    bound,
    classify,
    first_mover,
    replicas_for,
)
from rldk.engine.compare.replicas import ReplicaSpread

NONE = SeedControl()


def spread(first: float, share: float, growth: float = 1.0, step: int = 3, metric: str = "loss") -> ReplicaSpread:
    return ReplicaSpread(
        metric=metric,
        phase="train",
        steps=10,
        unequal=1,
        first_step=step,
        start=3,
        first_share=first,
        share=share,
        growth=growth,
    )


EQUAL = ReplicaSpread(metric="loss", phase="train", steps=10)
CASES: list[tuple[ReplicaClass, ReplicaSpread, SeedControl]] = [
    ("bitwise", EQUAL, NONE),
    ("seed ignored", EQUAL, SeedControl(same=0.0, other=0.0)),
    ("bitwise", EQUAL, SeedControl(same=0.0, other=0.1)),
    ("numerically close", spread(1e-7, CLOSE, GROWTH * 0.99), NONE),
    ("chaotic", spread(1e-7, CLOSE * 1.01), NONE),
    ("chaotic", spread(1e-7, 1e-6, GROWTH), NONE),
    ("chaotic", spread(CLOSE, 1e-4), NONE),
    ("chaotic", spread(LARGE, 0.2, GROWTH), NONE),
    ("input-level", spread(LARGE, 0.2, GROWTH * 0.99), NONE),
    ("input-level", spread(LARGE * 1.01, 0.9, GROWTH), NONE),
    ("input-level", spread(0.5, 0.9), SeedControl(same=0.049, other=0.1)),
    ("seed ignored", spread(0.5, 0.9), SeedControl(same=0.05, other=0.1)),
    ("input-level", spread(0.5, 0.9, step=4), SeedControl(same=0.05, other=0.1)),
]


@each_of(("kind", "found", "control"), CASES)
def test_each_class_at_its_limit_and_beside_it(kind: ReplicaClass, found: ReplicaSpread, control: SeedControl) -> None:
    assert classify([found], 0.0, control, whole=True) == kind


def test_replicas_that_measured_other_steps_are_structural_whatever_else() -> None:
    assert classify([EQUAL], 0.0, NONE, whole=False) == "structural"
    assert set(MEANING) >= {kind for kind, _, _ in CASES} | {"structural"}


def test_the_first_mover_is_the_earliest_and_then_the_largest() -> None:
    found = [spread(0.1, 1, step=4, metric="a"), spread(0.2, 1, metric="b"), spread(0.3, 1, metric="c")]
    assert first_mover(found) == found[2]
    assert first_mover([EQUAL]) is None


@each_of("replicas", [2, 3, 5, 30, 100])
def test_the_bound_is_the_share_at_which_all_agree_in_5_percent(replicas: int) -> None:
    assert math.isclose((1.0 - bound(replicas)) ** (replicas - 1), 0.05)
    assert replicas_for(bound(replicas) + 1e-9) == replicas
