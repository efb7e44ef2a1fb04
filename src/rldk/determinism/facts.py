"""What a determinism check says, as values."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from rldk.core.model import Report
from rldk.determinism.growth import DifferenceGrowth
from rldk.determinism.suspects import Suspect
from rldk.determinism.trace.facts import OperationTrace
from rldk.engine.compare.classes import ReplicaClass
from rldk.engine.compare.mismatches import FirstDivergence, Mismatch


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
    `growth`: how the differences of the metrics that differ first grow over the steps. `replica_variance`: for each
    metric the largest variance over the replicas at one step. `rng_map`: for each library with a global generator,
    where the code seeds it and draws from it. `skipped_checks`: what was not checked, and why. `trace`: what two traced
    replicas say; None without a trace."""

    classification: ReplicaClass = "bitwise"
    culprit: str = ""
    fixes: tuple[str, ...] = ()
    replica_variance: dict[str, float] = field(default_factory=dict)
    rng_map: dict[str, Any] = field(default_factory=dict)
    mismatches: tuple[Mismatch, ...] = ()
    growth: tuple[DifferenceGrowth, ...] = ()
    dataloader_notes: tuple[str, ...] = ()
    skipped_checks: tuple[str, ...] = ()
    first_divergence: FirstDivergence | None = None
    trace: OperationTrace | None = None
    suspects: tuple[Suspect, ...] = ()
    experiments: tuple[ReplicaExperiment, ...] = ()
    replicas: tuple[ReplicaOutcome, ...] = ()
