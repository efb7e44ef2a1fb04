"""The difference of two scores: by prompt where both answered the same prompts, otherwise of two samples."""

from __future__ import annotations

import math

import numpy as np
from msgspec import Struct

from rldk.core.stats.clustered import Labels, clustered_difference, codes_of
from rldk.core.stats.contrasts import newcombe, newcombe_paired
from rldk.core.stats.effects import cliffs_delta, detectable_difference, hedges_g, paired_d_av, paired_d_z
from rldk.core.stats.estimates import Estimate
from rldk.core.stats.proportions import sign_test
from rldk.evals.facts import EffectSize, effect_of
from rldk.evals.intervals import LEAST, average
from rldk.evals.significance import normal_p
from rldk.evals.table import Array


class Contrasted(Struct, frozen=True, kw_only=True):
    """B minus A. `n`: prompts, or answers where they are not paired. `detectable`: NaN where nobody can say."""

    a: float
    b: float
    difference: Estimate
    p: float = math.nan
    n: int = 0
    effects: tuple[EffectSize, ...] = ()
    detectable: float = math.nan


Side = tuple[Array, Labels]
LooseSide = tuple[Array, Labels | None]


def paired_contrast(a: Side, b: Side, *, share: bool, seed: int) -> Contrasted:
    """The mean difference over the prompts that both sides answered, each prompt with the mean of its answers.

    `a`, `b`: values, and the code of the prompt of each. Single right-or-wrong answers get Newcombe's interval for
    pairs and the exact McNemar test; all else the interval of a mean over prompts, and the t test."""
    count = max((int(codes.max()) + 1 for _, codes in (a, b) if len(codes)), default=0)
    sums, sizes = np.zeros((2, count)), np.zeros((2, count))
    for side, (values, codes) in enumerate((a, b)):
        sums[side] = np.bincount(codes, weights=values, minlength=count)
        sizes[side] = np.bincount(codes, minlength=count)
    both = (sizes > 0).all(axis=0)
    first, second = sums[0, both] / sizes[0, both], sums[1, both] / sizes[1, both]
    n, gap = len(first), second - first
    means = (float(first.mean()), float(second.mean())) if n else (math.nan, math.nan)
    if n < LEAST:
        lost = Estimate(value=means[1] - means[0], n=n, method=f"fewer than {LEAST} prompts")
        return Contrasted(a=means[0], b=means[1], difference=lost, n=n)
    smallest = detectable_difference(float(gap.std(ddof=1)), n)
    told: tuple[EffectSize, ...]
    if share and float(sizes[:, both].max()) == 1:
        right = [int(((second == x) & (first == y)).sum()) for x, y in ((1, 1), (1, 0), (0, 1), (0, 0))]
        found = newcombe_paired(*right)
        effects = effect_of(found, "risk difference")
        told = () if effects is None else (effects,)
        p = sign_test(right[1], right[2])
        return Contrasted(a=means[0], b=means[1], difference=found, p=p, n=n, effects=told, detectable=smallest)
    found = average(gap, None, seed=seed)
    pairs = (("d_z", paired_d_z(gap)), ("d_av", paired_d_av(second, first)))
    told = tuple(e for e in (effect_of(x, name) for name, x in pairs) if e is not None)
    return Contrasted(a=means[0], b=means[1], difference=found, p=_t_test(gap), n=n, effects=told, detectable=smallest)


def unpaired_contrast(a: LooseSide, b: LooseSide, *, share: bool) -> Contrasted:
    """The difference of two samples: Newcombe's interval for single right-or-wrong answers, otherwise cluster-robust t.

    `a`, `b`: values, and the prompt of each, None where it is not known."""
    (first, own), (second, other) = a, b
    n = min(len(first), len(second))
    means = (float(first.mean()) if len(first) else math.nan, float(second.mean()) if len(second) else math.nan)
    if n < LEAST:
        lost = Estimate(value=means[1] - means[0], n=n, method=f"fewer than {LEAST} answers")
        return Contrasted(a=means[0], b=means[1], difference=lost, n=n)
    told: tuple[EffectSize, ...]
    several = any(c is not None and len(np.unique(c)) < len(c) for c in (own, other))
    if share and not several:
        found = newcombe(int(second.sum()), len(second), int(first.sum()), len(first))
        effects = effect_of(found, "risk difference")
        told = () if effects is None else (effects,)
    else:
        found = clustered_difference(second, first, _coded(other, 0), _coded(own, len(second)))
        pairs = (("Hedges g", hedges_g(second, first)), ("Cliff's delta", cliffs_delta(second, first)))
        told = tuple(e for e in (effect_of(x, name) for name, x in pairs) if e is not None)
    p = normal_p(found)
    smallest = 2.8016 * (found.high - found.low) / (2 * 1.95996) if found.bounded else math.nan
    return Contrasted(
        a=means[0], b=means[1], difference=found, p=math.nan if p is None else p, n=n, effects=told, detectable=smallest
    )


def _coded(labels: Labels | None, begin: int) -> Labels | None:
    """The labels as codes from `begin` up, so that no prompt of one side is taken for one of the other."""
    return None if labels is None else codes_of(labels) + begin


def _t_test(gap: Array) -> float:
    from scipy.stats import ttest_1samp

    if float(np.ptp(gap)) == 0:
        return float(gap[0] == 0)
    return float(ttest_1samp(gap, 0.0).pvalue)
