"""What a replay says, as values."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from rldk.core.audit.lock import LockDifference
from rldk.core.audit.outcome import CheckOutcome
from rldk.core.model import Report
from rldk.engine.compare.classes import ReplicaClass
from rldk.engine.compare.mismatches import FirstDivergence, Mismatch


class ReplayStatistics(Struct, frozen=True, kw_only=True):
    """One metric of the run and its replay. `unequal`: at how many of `steps` they differ at all. `largest_share`: the
    largest difference as a share of the value. `ulps`: the same in units of the last place. `missing`: values that only
    one side has."""

    steps: int
    unequal: int
    largest_share: float
    ulps: float
    missing: int


class ReplayFacts(Report, frozen=True, kw_only=True):
    """Whether a replay gives the numbers of the run. `passed`: all compared values agree within the tolerance.

    `original_seed`, `replay_seed`: None where not known, or where the command takes none. `original_metrics`,
    `replay_metrics`: "step" and each metric as a list of equal length. `comparison_stats`: by metric. `replay_command`:
    the command that was run. `replay_duration`: seconds. `classification`: as of `rldk check-determinism`. `drift`:
    Python and packages that differ from the record, `machine`: what else of the environment does. `inputs`: what became
    of data, weights and tokenizers. `lacking_code`: parts of the code that the record does not hold. `not_vouched`:
    what the record does not say, so that nobody can vouch for it."""

    original_seed: int | None = None
    replay_seed: int | None = None
    metrics_compared: tuple[str, ...] = ()
    tolerance: float = 0.0
    mismatches: tuple[Mismatch, ...] = ()
    original_metrics: dict[str, list[Any]] = field(default_factory=dict)
    replay_metrics: dict[str, list[Any]] = field(default_factory=dict)
    comparison_stats: dict[str, ReplayStatistics] = field(default_factory=dict)
    replay_command: str = ""
    replay_duration: float = 0.0
    classification: ReplicaClass = "bitwise"
    first_divergence: FirstDivergence | None = None
    drift: tuple[LockDifference, ...] = ()
    machine: tuple[LockDifference, ...] = ()
    inputs: tuple[CheckOutcome, ...] = ()
    lacking_code: tuple[str, ...] = ()
    not_vouched: tuple[str, ...] = ()
