"""Several scorers of the same answers: do they agree where the reward is high?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rldk.core.stats.agreement import centred_scores, mean_rank_correlation, normal_scores, spread_between
from rldk.core.stats.clustered import clustered_mean_ratio
from rldk.core.stats.estimates import Estimate
from rldk.core.stats.spearman import clustered_spearman
from rldk.reward.rows import LEAST, clusters_of, finite_rows, some_rows
from rldk.reward.table import ScoreTable
from rldk.rules.score_view import ScorerSpread

LEAST_ANSWERS = 300  # thirty in each tenth
MOST = 50_000  # answers that are looked at
ALIKE = 0.3  # mean rank correlation from which scorers measure one thing
TENTH = 0.1
SAME = 1e-9  # standard deviations

Rows = NDArray[np.int64]


def disagreement_of(table: ScoreTable, *, seed: int) -> tuple[ScorerSpread | None, str]:
    """How far the scorers are apart on the answers with the highest reward, and a note for the reader.

    None where there are too few answers, where the reward has no top tenth (it is at a bound, or takes a few values
    only), or where the scorers rank the answers so differently that they do not measure one thing."""
    if table.scorers is None:
        return None, ""
    rows = some_rows(table, finite_rows(table.reward, *table.scorers.T), MOST, seed=seed)
    if len(rows) < LEAST_ANSWERS:
        return None, ""
    own, reward, cluster = table.scorers[rows], table.reward[rows], clusters_of(table, rows)
    agreement = mean_rank_correlation(own)
    if agreement != agreement:
        return None, "one of the scorers gives the same score to every answer, so that they are not looked at together"
    if agreement < ALIKE:
        words = ", ".join(table.scorer_names)
        return None, (
            f"{words} do not count as one ensemble: they rank the answers too differently (mean rank correlation "
            f"{agreement:.2f}; {ALIKE:g} or more is needed)"
        )
    low, high = np.quantile(reward, (TENTH, 1 - TENTH))
    top, bottom = reward >= high, reward <= low
    middle = ~(top | bottom)
    if min(top.sum(), bottom.sum(), middle.sum()) < LEAST:
        return None, "the reward has too few values between its ends to say where the scorers disagree"
    apart = spread_between(np.column_stack([centred_scores(column) for column in own.T]))
    if not float(apart.max()) > SAME:
        return None, "the scorers give the same scores: are they copies of one?"
    ranked = spread_between(np.column_stack([normal_scores(column) for column in own.T]))
    made = ScorerSpread(
        top=clustered_mean_ratio(apart, top, middle, cluster),
        ends=clustered_mean_ratio(apart, top, bottom, cluster),
        ranked_ends=clustered_mean_ratio(ranked, top, bottom, cluster),
        agreement=agreement,
        scorers=table.scorer_names,
        n=len(rows),
        curve=_curve(reward, apart),
        error=_error(table, rows, ranked),
    )
    bounded = made.top.bounded and made.ends.bounded and made.ranked_ends.bounded
    return (made, "") if bounded else (None, "all scorers give the same score to the best or the lowest answers")


def _curve(reward: NDArray[np.float64], apart: NDArray[np.float64]) -> tuple[float, ...]:
    """The mean disagreement in each tenth of the answers, by rising reward."""
    parts = np.array_split(apart[np.argsort(reward, kind="stable")], 10)
    return tuple(round(float(part.mean()), 6) for part in parts)


def _error(table: ScoreTable, rows: Rows, apart: NDArray[np.float64]) -> Estimate | None:
    """The rank correlation of the disagreement with the distance of reward and gold, both as normal scores."""
    if table.gold is None:
        return None
    kept = np.isfinite(table.gold[rows])
    if int(kept.sum()) < LEAST_ANSWERS:
        return None
    used = rows[kept]
    off = np.abs(normal_scores(table.reward[used]) - normal_scores(table.gold[used]))
    return clustered_spearman(apart[kept], off, clusters_of(table, used))
