"""Where rewards lie: at a bound, in flat groups, away from a reference or from their own start."""

from __future__ import annotations

import math

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from rldk.core.stats.clustered import clustered_difference, clustered_scale_ratio, clustered_share, codes_of
from rldk.core.stats.estimates import Estimate
from rldk.core.stats.permutation import permutation_distance
from rldk.reward.rows import LEAST, LEAST_GROUPS, clusters_of, finite_rows, grouped
from rldk.reward.table import Array, Codes, ScoreTable
from rldk.rules.score_view import BoundMass, DistributionShift

NEAR = 0.01  # of the range
TAIL = 0.005  # of the rewards, beyond either end of the range: outliers
LEAST_STEPS = 10
PART = 0.2
BLOCKS = 12  # of either part of a run
PSI_BINS = 10
MOST_DISTINCT = 1000

Rows = NDArray[np.int64]


def missing_share(table: ScoreTable) -> Estimate | None:
    """The share of rewards that are no finite numbers."""
    return clustered_share(~np.isfinite(table.reward)) if len(table) else None


def bound_mass(table: ScoreTable, declared: tuple[float, float] | None) -> BoundMass | None:
    """How many rewards are at an end of their range: the declared one, or that of all but 0.5 % at either end."""
    rows = finite_rows(table.reward)
    if len(rows) < LEAST:
        return None
    reward = table.reward[rows]
    low, high = declared or _range(reward)
    near = NEAR * (high - low)
    at = {"lower": reward <= low + near, "upper": reward >= high - near}
    side = "lower" if at["lower"].mean() > at["upper"].mean() else "upper"
    bound = low if side == "lower" else high
    return BoundMass(
        share=clustered_share(at[side], clusters_of(table, rows)),
        side=side,  # type: ignore[arg-type]  # one of two words
        bound=bound,
        exact=float((reward == bound).mean()),
        distinct=_distinct(reward),
        declared=declared is not None,
    )


def _range(reward: Array) -> tuple[float, float]:
    cut = int(TAIL * len(reward))
    ordered = np.partition(reward, (cut, len(reward) - 1 - cut))
    return float(ordered[cut]), float(ordered[len(reward) - 1 - cut])


def _distinct(reward: Array) -> int:
    """How many values there are, up to a thousand: of a larger sample its first part is enough to tell."""
    few = np.unique(reward[:20_000])
    return min(MOST_DISTINCT, len(few) if len(few) > MOST_DISTINCT else len(np.unique(reward)))


def flat_groups(table: ScoreTable) -> Estimate | None:
    """The share of groups of answers to a prompt whose rewards are all equal; None for pairs."""
    if table.group is None or table.pairs is not None:
        return None
    rows = grouped(table, finite_rows(table.reward))
    if not len(rows):
        return None
    order = rows[np.argsort(table.group[rows], kind="stable")]
    own, reward = table.group[order], table.reward[order]
    starts = np.flatnonzero(np.concatenate(([True], own[1:] != own[:-1])))
    several = np.diff(np.append(starts, len(own))) >= 2
    if int(several.sum()) < LEAST_GROUPS:
        return None
    flat = np.maximum.reduceat(reward, starts) == np.minimum.reduceat(reward, starts)
    prompt = None if table.prompt is None else table.prompt[order[starts]][several]
    return clustered_share(flat[several], prompt)


def shift_between(
    first: ScoreTable, rows: Rows, second: ScoreTable, others: Rows, against: str, *, seed: int
) -> DistributionShift | None:
    """How far the rewards of some rows lie from those of others. None for fewer than thirty of either, or a constant
    reference."""
    if min(len(rows), len(others)) < LEAST:
        return None
    block = _blocks(first, rows), _blocks(second, others)
    made = _shift(first.reward[rows], second.reward[others], block, against, seed=seed)
    return None if made is None or made.distance != made.distance else made


def drift_from(table: ScoreTable, reference: ScoreTable | None, *, seed: int) -> DistributionShift | None:
    """How far the rewards lie from those of the reference data."""
    if reference is None:
        return None
    rows, others = finite_rows(table.reward), finite_rows(reference.reward)
    return shift_between(table, rows, reference, others, "the reference", seed=seed)


def drift_from_start(table: ScoreTable, *, seed: int) -> DistributionShift | None:
    """How far the last fifth of the steps lies from the first one."""
    rows = finite_rows(table.reward, table.step)
    if table.step is None or len(rows) < 2 * LEAST:
        return None
    step = table.step[rows]
    if table.single:
        order = np.argsort(step, kind="stable")
        rows, step = rows[order], np.arange(len(rows), dtype=np.float64)
    known = np.unique(step)
    if len(known) < LEAST_STEPS:
        return None
    count = max(1, int(PART * len(known)))
    early, late = step <= known[count - 1], step >= known[-count]
    if min(early.sum(), late.sum()) < (10 if table.single else LEAST):
        return None
    blocks = tuple(_time_blocks(step[part]) for part in (late, early))
    reward = table.reward[rows]
    made = _shift(reward[late], reward[early], blocks, "the first fifth of the steps", seed=seed)  # type: ignore[arg-type]  # two of them
    return None if made is None or made.distance != made.distance else made


def _shift(
    a: Array, b: Array, blocks: tuple[Codes | None, Codes | None], against: str, *, seed: int
) -> DistributionShift | None:
    spread = float(b.std())
    if not spread > 0:
        return None
    distance, p = permutation_distance(a, b, *blocks, seed=seed)
    mean = clustered_difference(a, b, *blocks)
    scaled = replace(mean, value=mean.value / spread, low=mean.low / spread, high=mean.high / spread)
    return DistributionShift(
        against=against,
        distance=distance,
        p=p,
        mean=scaled,
        scale=clustered_scale_ratio(a, b, *blocks),
        n=len(a),
        n_other=len(b),
        psi=population_stability(a, b),
    )


def population_stability(a: Array, b: Array, bins: int = PSI_BINS) -> float:
    """sum (p - q) log(p / q) over bins that hold equal shares of `b`; half a case is added to each bin."""
    edges = np.unique(np.quantile(b, np.linspace(0, 1, bins + 1)[1:-1]))
    count = len(edges) + 1
    p, q = (np.bincount(edges.searchsorted(v, side="right"), minlength=count) + 0.5 for v in (a, b))
    p, q = p / p.sum(), q / q.sum()
    found = float(((p - q) * np.log(p / q)).sum())
    return found if math.isfinite(found) else math.nan


def _blocks(table: ScoreTable, rows: Rows) -> Codes | None:
    """What may be exchanged: prompts, else neighbouring steps of a log, else single rows."""
    if table.prompt is not None:
        return clusters_of(table, rows)
    if table.single:
        return _time_blocks(np.arange(len(rows), dtype=np.float64), 2 * BLOCKS)
    return None


def _time_blocks(step: Array, blocks: int = BLOCKS) -> Codes:
    """Blocks of neighbouring steps, about as many as asked for."""
    place = codes_of(np.unique(step, return_inverse=True)[1].astype(np.int64))
    count = int(place.max()) + 1
    made: Codes = place * min(blocks, count) // count
    return made
