"""What a determinism check says, as values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct, field

from rldk.core.model import Report
from rldk.determinism.classes import ReplicaClass
from rldk.determinism.differences import ReplicaSpread
from rldk.determinism.suspects import Suspect
from rldk.determinism.trace.facts import OperationTrace

MAX_MISMATCHES = 200


class FirstDivergence(Struct, frozen=True, kw_only=True):
    """The first step at which replicas differ, and the metric that differs most there. `values`: one a replica."""

    step: int
    metric: str
    share: float
    values: tuple[float, ...]


class Mismatch(Struct, frozen=True, kw_only=True):
    """A metric that differs beyond the tolerance. `step`: the first at which it does; None where it is the number of
    values that differs. `share`: the largest difference, as a share of the value. `ulps`: the same in units of the last
    place."""

    metric: str
    step: int | None
    share: float
    ulps: float
    unequal: int
    steps: int
    missing: int = 0


class ReplicaExperiment(Struct, frozen=True, kw_only=True):
    """A replica, or a pair, with one thing changed on purpose. `equal`: whether it agrees; None where it failed."""

    role: str
    source: str
    equal: bool | None
    message: str


class ReplicaOutcome(Struct, frozen=True, kw_only=True):
    """How a replica ran. `folder`: where its output is kept."""

    name: str
    role: str
    seed: int | None
    code: int | None
    seconds: float
    folder: str
    problem: str = ""
    rows: int = 0
    left: int = 0


class DeterminismFacts(Report, frozen=True, kw_only=True):
    """Whether replicas of one command agree. `passed`: all agree within the tolerance, and the seed has an effect.

    `classification`: "bitwise", "numerically close", "chaotic", "input-level", "seed ignored" or "structural".
    `culprit`: the likeliest cause, "" where there is no difference. `suspects`: all of them, the likeliest first.
    `replica_variance`: for each metric the largest variance over the replicas at one step. `rng_map`: for each library
    with a global generator, where the code seeds it and draws from it. `skipped_checks`: what was not checked, and why.
    `trace`: what two traced replicas say; None without a trace."""

    classification: ReplicaClass = "bitwise"
    culprit: str = ""
    fixes: tuple[str, ...] = ()
    replica_variance: dict[str, float] = field(default_factory=dict)
    rng_map: dict[str, Any] = field(default_factory=dict)
    mismatches: tuple[Mismatch, ...] = ()
    dataloader_notes: tuple[str, ...] = ()
    skipped_checks: tuple[str, ...] = ()
    first_divergence: FirstDivergence | None = None
    trace: OperationTrace | None = None
    suspects: tuple[Suspect, ...] = ()
    experiments: tuple[ReplicaExperiment, ...] = ()
    replicas: tuple[ReplicaOutcome, ...] = ()


def mismatches_of(found: Sequence[ReplicaSpread]) -> tuple[Mismatch, ...]:
    """The metrics that differ beyond the tolerance, the earliest first."""
    made = [
        Mismatch(
            metric=each.name,
            step=each.beyond,
            share=each.share,
            ulps=each.ulps,
            unequal=each.unequal,
            steps=each.steps,
            missing=each.missing,
        )
        for each in found
        if each.beyond is not None or each.missing
    ]
    return tuple(sorted(made, key=lambda m: (m.step is None, m.step or 0, -m.share)))[:MAX_MISMATCHES]
