"""The probability that the run is healthy, given what was seen so far.

It is a logistic model on three pieces of evidence. No weight is positive, so more evidence never makes a run look
better. What a family of rules said fades with the rows on which the family is silent; otherwise one false alarm would
mark a long run for ever. `benchmarks/health.py` fits the model on labelled runs, where healthy and faulty runs count as
equally likely beforehand, and writes `data/health.json` with its measured quality. The score follows from what the
engine saw; no severity, status or exit code follows from the score.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from msgspec import Struct, field

from rldk.engine.activity import WINDOW
from rldk.engine.features.line_test import ARMED, K
from rldk.engine.live import Engine

MOST_WARNED, MOST_CRITICAL = 3.0, 2.0  # families: a broken run breaks everywhere
MOST_STRAIN = 1.0  # limits: the rules judge what lies beyond one
# Metrics that leave their line in healthy learning as well: the largest leap among 44 healthy runs was 10 scales for
# the entropy and 4 for the others (measured on the labelled corpus).
LEARNING = frozenset({"entropy", "response_length_mean"})


class Health(Struct, frozen=True, kw_only=True):
    """The health of a run. `overall`: the probability in [0, 1] that it is healthy; None without evidence (fewer than
    20 training rows and no warning, or no rule that could look).

    `stability`: the share of the newest 100 training rows outside of any warning or critical finding; None before 20
    rows. `evidence` has three numbers. `warned_families` and `critical_families` count the families that have warned,
    or have found something impossible; each family counts half after 500 rows of silence (at most 3 and 2 in all).
    `strain` is the largest departure so far of a metric from its own line, in units of the limit of the line test (at
    most 1). It uses only metrics that keep to their line in healthy learning."""

    overall: float | None
    stability: float | None
    evidence: Mapping[str, float] = field(default_factory=dict)


class Model(Struct, frozen=True, kw_only=True):
    """The fitted log-odds: `intercept` plus the evidence times `weights`. No weight is above 0."""

    intercept: float
    weights: Mapping[str, float]

    def probability(self, evidence: Mapping[str, float]) -> float:
        """The probability of a healthy run."""
        odds = self.intercept + sum(weight * evidence[name] for name, weight in self.weights.items())
        return 1.0 / (1.0 + math.exp(-odds))


def health(engine: Engine, *, rows: int | None = None, strain: float | None = None) -> Health:
    """The health of the rows fed so far. Its cost does not grow with them, so it may be asked after every row.

    `rows`: the training row, in the block that is being looked at, whose health is asked for. `strain`: the strain up
    to that row (see `Strain`)."""
    rows = engine.rows_of("train") if rows is None else rows
    standing = engine.standing
    evidence = _evidence(engine, rows, _strain(engine) if strain is None else strain)
    stability = None if rows < ARMED else 1.0 - standing.count_troubled(rows) / min(rows, WINDOW)
    standing.drop_settled(rows)
    known = engine.has_ready_rule and (rows >= ARMED or evidence["warned_families"] > 0)
    return Health(
        overall=model().probability(evidence) if known else None,
        stability=stability if engine.has_ready_rule else None,
        evidence=evidence,
    )


class Strain:
    """The largest distance so far of a metric from its own line, in limits of the line test. It says for each row what
    `_strain` says after the last one."""

    __slots__ = ("_peak",)

    def __init__(self) -> None:
        self._peak = 0.0

    def at(self, engine: Engine, row: int) -> float:
        """The strain at a training row of the block that is being looked at. Call it once for each row."""
        for metric, distance in engine.leaps_at(row):
            if abs(distance) > self._peak and metric not in LEARNING:
                self._peak = abs(distance)
        return self._peak / K


def _strain(engine: Engine) -> float:
    return max((leap.peak for metric, leap in engine.leaps() if metric not in LEARNING), default=0.0) / K


def _evidence(engine: Engine, rows: int, strain: float) -> dict[str, float]:
    warned, critical = engine.standing.count_families(lambda phase: rows if phase == "train" else engine.rows_of(phase))
    return {
        "warned_families": min(MOST_WARNED, warned),
        "critical_families": min(MOST_CRITICAL, critical),
        "strain": min(MOST_STRAIN, strain),
    }


@cache
def model() -> Model:
    """The shipped model."""
    data = json.loads((Path(__file__).parent / "data" / "health.json").read_bytes())
    return Model(intercept=data["intercept"], weights=data["weights"])
