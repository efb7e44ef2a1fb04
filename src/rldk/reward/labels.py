"""What labels say of the scores: accuracy, calibration, wrong labels, memory of the training rows."""

from __future__ import annotations

import math

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from rldk.core.stats.calibration import (
    calibration_bins,
    calibration_error_by_chance,
    expected_calibration_error,
    logistic_slope,
    reliability_parts,
    sigmoid,
)
from rldk.core.stats.clustered import clustered_difference, clustered_share, codes_of
from rldk.core.stats.estimates import Estimate
from rldk.core.stats.label_noise import flipped_share
from rldk.reward.answers import lengths_of
from rldk.reward.rows import LEAST, clusters_of, finite_rows, grouped
from rldk.reward.table import Array, Codes, PairTable, ScoreTable
from rldk.rules.score_view import Calibration

LEAST_PAIRS = 100
MOST_CASES = 100_000  # over which calibration is measured
LEAST_STYLE = 50  # pairs of either kind


class LabelFacts(Struct, frozen=True, kw_only=True):
    """None for what the data cannot say."""

    pairs: PairTable | None = None
    accuracy: Estimate | None = None
    style_gap: Estimate | None = None
    calibration: Calibration | None = None
    noise: Estimate | None = None
    balance: Estimate | None = None
    memorised: Estimate | None = None


def label_facts(table: ScoreTable, *, seed: int) -> LabelFacts:
    """The facts from pairs of answers, labels, or gold scores. Where the data is split, all but the memory of the
    training rows is measured on the validation rows."""
    given = table.pairs is not None
    pairs = _with_lengths(table) if given else _pairs_of_labels(table, seed=seed)
    held = pairs if pairs is None or pairs.split is None else _only(pairs, pairs.split == 1)
    rows = finite_rows(table.reward, table.label)
    if held is not None and len(held.margin) >= LEAST:
        calibration = pair_calibration(held, seed=seed)
    else:
        calibration = _label_calibration(table, rows, seed=seed)
    return LabelFacts(
        pairs=held,
        accuracy=pair_accuracy(held),
        style_gap=_style_gap(held),
        calibration=calibration,
        noise=_noise(held) if given else None,
        balance=_balance(table, rows),
        memorised=_memorised(table, pairs if given else None),
    )


def _with_lengths(table: ScoreTable) -> PairTable | None:
    """The pairs of the data with finite margins, and how much longer the chosen answer is."""
    pairs = table.pairs
    if pairs is None:
        return None
    length, count = lengths_of(table), len(pairs.margin)
    gap = None if length is None else length[:count] - length[count:]
    full = replace(pairs, length_gap=gap)
    return _only(full, np.isfinite(pairs.margin))


def _only(pairs: PairTable, kept: NDArray[np.bool_]) -> PairTable:
    def part(column: NDArray[np.generic] | None) -> NDArray[np.generic] | None:
        return None if column is None else column[kept]

    return PairTable(
        margin=pairs.margin[kept],
        prompt=part(pairs.prompt),  # type: ignore[arg-type]  # of the same kind
        length_gap=part(pairs.length_gap),  # type: ignore[arg-type]  # as above
        split=part(pairs.split),  # type: ignore[arg-type]  # as above
        source=pairs.source,
    )


def _pairs_of_labels(table: ScoreTable, *, seed: int) -> PairTable | None:
    """One pair of answers to each prompt whose gold scores (or labels) differ, the better one first."""
    truth, words = (table.gold, "gold scores") if table.gold is not None else (table.label, "labels")
    if truth is None or table.group is None or table.single:
        return None
    rows = grouped(table, finite_rows(table.reward, truth))
    if len(rows) < 2:
        return None
    order = rows[np.random.default_rng(seed).permutation(len(rows))]
    order = order[np.argsort(table.group[order], kind="stable")]
    own, value = table.group[order], truth[order]
    starts = np.flatnonzero(np.concatenate(([True], own[1:] != own[:-1])))
    label = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(own))))
    differs = np.flatnonzero(value != value[starts][label])
    if not len(differs):
        return None
    group, place = np.unique(label[differs], return_index=True)
    first, second = order[starts[group]], order[differs[place]]
    better = truth[first] > truth[second]
    chosen, rejected = np.where(better, first, second), np.where(better, second, first)
    length = lengths_of(table)
    return PairTable(
        margin=table.reward[chosen] - table.reward[rejected],
        prompt=None if table.prompt is None else table.prompt[chosen],
        length_gap=None if length is None else length[chosen] - length[rejected],
        split=None if table.split is None else table.split[chosen],
        source=f"pairs of answers to one prompt, by their {words}",
    )


def pair_accuracy(pairs: PairTable | None) -> Estimate | None:
    """The share of pairs whose chosen answer scores higher; None for fewer than thirty."""
    if pairs is None or len(pairs.margin) < LEAST:
        return None
    return clustered_share(_right(pairs), pairs.prompt)


def _right(pairs: PairTable) -> Array:
    """1 where the chosen answer scores higher, one half for a tie."""
    return np.where(pairs.margin > 0, 1.0, np.where(pairs.margin == 0, 0.5, 0.0))


def _style_gap(pairs: PairTable | None) -> Estimate | None:
    """Accuracy where the chosen answer is longer minus that where it is shorter."""
    if pairs is None or pairs.length_gap is None:
        return None
    longer, shorter = pairs.length_gap > 0, pairs.length_gap < 0
    if min(int(longer.sum()), int(shorter.sum())) < LEAST_STYLE:
        return None
    right, prompt = _right(pairs), pairs.prompt
    both = (None, None) if prompt is None else (prompt[longer], prompt[shorter])
    return clustered_difference(right[longer], right[shorter], *both)


def pair_calibration(pairs: PairTable, *, seed: int) -> Calibration | None:
    """Margins as log-odds. Half of the pairs are turned round, so that both outcomes occur."""
    rng = np.random.default_rng(seed)
    rows = np.arange(len(pairs.margin))
    if len(rows) > MOST_CASES:
        rows = np.sort(rng.choice(rows, MOST_CASES, replace=False))
    turned = rng.random(len(rows)) < 0.5
    margin = np.where(turned, -pairs.margin[rows], pairs.margin[rows])
    cluster = None if pairs.prompt is None else pairs.prompt[rows]
    outcome = np.where(turned, 0.0, 1.0)
    slope = logistic_slope(margin, outcome, cluster, constant=False)
    return _calibration(sigmoid(margin), outcome, slope, pairs.source, seed=seed)


def _label_calibration(table: ScoreTable, rows: NDArray[np.int64], *, seed: int) -> Calibration | None:
    """Rewards as probabilities where all of them are in [0, 1], else as log-odds, against labels of 0 and 1."""
    if table.label is None or len(rows) < LEAST:
        return None
    if table.split is not None:
        rows = rows[table.split[rows] == 1]
    if len(rows) > MOST_CASES:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST_CASES, replace=False))
    if len(rows) < LEAST or not float(np.ptp(table.label[rows])) > 0:
        return None
    reward, outcome = table.reward[rows], table.label[rows]
    probabilities = bool(((reward >= 0) & (reward <= 1)).all())
    p = reward if probabilities else sigmoid(reward)
    clipped = np.clip(p, 1e-6, 1 - 1e-6)
    odds = np.log(clipped / (1 - clipped)) if probabilities else reward
    slope = logistic_slope(odds, outcome, clusters_of(table, rows))
    words = "labels, with rewards as probabilities" if probabilities else "labels, with rewards as log-odds"
    return _calibration(p, outcome, slope, words, seed=seed)


def _calibration(p: Array, y: Array, slope: Estimate, source: str, *, seed: int) -> Calibration:
    said, seen, sizes = calibration_bins(p, y)
    return Calibration(
        error=expected_calibration_error(p, y),
        by_chance=calibration_error_by_chance(p, seed=seed),
        slope=slope,
        parts=reliability_parts(p, y),
        n=len(p),
        source=source,
        said=tuple(said.tolist()),
        seen=tuple(seen.tolist()),
        sizes=tuple(sizes.tolist()),
    )


def _noise(pairs: PairTable | None) -> Estimate | None:
    if pairs is None or len(pairs.margin) < LEAST_PAIRS:
        return None
    clusters = None if pairs.prompt is None else int(codes_of(pairs.prompt).max()) + 1
    found = flipped_share(pairs.margin, clusters=clusters)
    return found if found.bounded else None


def _balance(table: ScoreTable, rows: NDArray[np.int64]) -> Estimate | None:
    """The share of the rarer label."""
    if table.label is None or len(rows) < LEAST:
        return None
    ones = table.label[rows] == 1
    return clustered_share(ones if ones.mean() <= 0.5 else ~ones, clusters_of(table, rows))


def _memorised(table: ScoreTable, pairs: PairTable | None) -> Estimate | None:
    """Accuracy on training rows minus that on validation rows, of pairs or of labels."""
    if pairs is not None and pairs.split is not None:
        right, split, cluster = _right(pairs), pairs.split, pairs.prompt
    elif table.split is not None and table.label is not None and pairs is None:
        rows = finite_rows(table.reward, table.label)
        reward = table.reward[rows]
        threshold = 0.5 if ((reward >= 0) & (reward <= 1)).all() else 0.0
        right = ((reward > threshold) == (table.label[rows] == 1)).astype(np.float64)
        split, cluster = table.split[rows], clusters_of(table, rows)
    else:
        return None
    train, held = split == 0, split == 1
    if min(int(train.sum()), int(held.sum())) < LEAST:
        return None
    both: tuple[Codes | None, Codes | None] = (None, None) if cluster is None else (cluster[train], cluster[held])
    found = clustered_difference(right[train], right[held], *both)
    return None if math.isnan(found.value) else found
