"""The evaluation itself: order of answers, wording of prompts, seeds, and parts of the data that stand out."""

from __future__ import annotations

import numpy as np
from msgspec.structs import replace

from rldk.core.stats.clustered import Labels, clustered_difference, codes_of
from rldk.core.stats.effects import hedges_g
from rldk.core.stats.estimates import Estimate
from rldk.evals.checks.outcomes import adjusted
from rldk.evals.facts import Measurement, effect_of, lacking, measured
from rldk.evals.intervals import LEAST, average, rate
from rldk.evals.registry import EvalOptions, evaluation, limit_of
from rldk.evals.significance import normal_p
from rldk.evals.table import Array, EvalTable
from rldk.evals.verdicts import below

LEAST_GROUPS = 10
MOST_SLICES = 50
ALPHA = 0.05
SCORE = "correct|reward"


def score_of(table: EvalTable) -> tuple[str, Array]:
    """The score of each row: whether it is right where that is known, else the reward."""
    return ("correct", table.flag("correct")) if "correct" in table.cells else ("reward", table.number("reward"))


@evaluation("position_bias", title="Position bias of the judge", needs=("choice", "choice_swapped"), limit=0.1)
def position_bias(table: EvalTable, options: EvalOptions) -> Measurement:
    """The share of pairs in which the judge prefers another answer when the order is swapped. It fails above 10 %.

    Both columns name the answer, not its place: a judge without bias names the same one twice."""
    first, second = table.cells["choice"], table.cells["choice_swapped"]
    told = [str(a).strip().lower() != str(b).strip().lower() for a, b in zip(first, second, strict=True)]
    there = np.array([a is not None and b is not None for a, b in zip(first, second, strict=True)])
    hits = np.array(told, dtype=np.float64)[there]
    title = "Position bias of the judge"
    if len(hits) < LEAST:
        return lacking("position_bias", title, f"needs {LEAST} pairs that were judged in both orders")
    cluster, limit = table.clusters(), limit_of("position_bias", options)
    found = rate(hits, None if cluster is None else cluster[there])
    status, reason = below(found, limit)
    return measured(
        "position_bias", title, status, found, limit=limit, rule=f"flips below {limit:.0%}", reason=reason, share=True
    )


@evaluation("prompt_sensitivity", title="Sensitivity to wording", needs=("paraphrase_of", SCORE))
def prompt_sensitivity(table: EvalTable, options: EvalOptions) -> Measurement:
    """The standard deviation of the score over paraphrases of one prompt, as the mean over prompts. It has no rule."""
    name, score = score_of(table)
    group = table.labels("paraphrase_of")
    each = _spreads(score, group)
    title = "Sensitivity to wording"
    if len(each) < LEAST_GROUPS:
        return lacking("prompt_sensitivity", title, f"needs {LEAST_GROUPS} prompts with two paraphrases or more")
    found = average(each, None, seed=options.seed)
    return measured("prompt_sensitivity", title, "info", found, details={"score": name})


def _spreads(score: Array, group: Labels) -> Array:
    there = np.isfinite(score) & (group >= 0)
    if not there.any():
        return np.zeros(0)
    label, values = codes_of(group[there]), score[there]
    sizes = np.bincount(label)
    mean = np.bincount(label, weights=values) / sizes
    squares = np.bincount(label, weights=(values - mean[label]) ** 2)
    several = sizes >= 2
    made: Array = np.sqrt(squares[several] / (sizes[several] - 1))
    return made


@evaluation("seed_variance", title="Spread over seeds", needs=("seed", SCORE))
def seed_variance(table: EvalTable, options: EvalOptions) -> Measurement:  # noqa: ARG001 - all evaluations take options
    """The standard deviation of the mean score over seeds or epochs. With few seeds its interval is wide; it comes from
    the chi-square distribution. It has no rule."""
    from scipy.stats import chi2

    name, score = score_of(table)
    label = table.labels("seed")
    there = np.isfinite(score) & (label >= 0)
    title = "Spread over seeds"
    codes = codes_of(label[there]) if there.any() else label[there]
    count = int(codes.max()) + 1 if len(codes) else 0
    if count < 2:
        return lacking("seed_variance", title, "needs answers of two seeds or more", ("seed",))
    means = np.bincount(codes, weights=score[there]) / np.bincount(codes)
    spread = float(means.std(ddof=1))
    if not spread > 0:
        found = Estimate(value=0.0, n=int(there.sum()), clusters=count, method="the means are equal")
        return measured("seed_variance", title, "info", found, details={"score": name, "means": means.tolist()})
    ends = [spread * float(np.sqrt((count - 1) / chi2.ppf(q, count - 1))) for q in (0.975, 0.025)]
    found = Estimate(value=spread, low=ends[0], high=ends[1], n=int(there.sum()), clusters=count, method="chi-square")
    return measured("seed_variance", title, "info", found, details={"score": name, "means": means.tolist()})


@evaluation("slices", title="Parts of the data", needs=("category", SCORE))
def slices(table: EvalTable, options: EvalOptions) -> tuple[Measurement, ...]:  # noqa: ARG001 - all take options
    """The score of each category against the rest. A category warns where it is lower, with a p-value adjusted for
    their number (Benjamini and Hochberg) below 0.05, by more than the data would show by chance (MDE)."""
    name, score = score_of(table)
    label, names = table.labels("category"), table.names_of("category")
    cluster, there = table.clusters(), np.isfinite(score)
    made: list[Measurement] = []
    for code, category in enumerate(names[:MOST_SLICES]):
        own, rest = there & (label == code), there & (label != code) & (label >= 0)
        if min(int(own.sum()), int(rest.sum())) < LEAST:
            continue
        sides = (None, None) if cluster is None else (cluster[own], cluster[rest])
        found = clustered_difference(score[own], score[rest], *sides)
        smallest = 2.8016 * (found.high - found.low) / 2 / 1.96 if found.bounded else None
        size = int(own.sum())
        prompts = size if cluster is None else len(np.unique(cluster[own]))
        made.append(
            measured(
                f"slices.{category}",
                f"{category} against the rest",
                "info",
                replace(found, n=size, clusters=prompts),
                detectable=smallest,
                rule="no lower score",
                effect=effect_of(hedges_g(score[own], score[rest]), "Hedges g"),
                p=normal_p(found),
                details={"score": name, "mean": float(score[own].mean())},
            )
        )
    if len(made) < 2:
        return (lacking("slices", "Parts of the data", f"needs two categories with {LEAST} scored rows each"),)
    return tuple(_judged(one) for one in adjusted(made))


def _judged(one: Measurement) -> Measurement:
    found = one.p_adjusted is not None and one.p_adjusted < ALPHA and (one.value or 0.0) < 0
    large = found and one.detectable is not None and abs(one.value or 0.0) > one.detectable
    if large:
        return replace(one, status="warn", reason=f"lower than the rest, p {one.p_adjusted:.2g} over all parts")
    return replace(one, status="pass" if one.low is not None else "info")
