"""Two rates compared, rare events, agreement of two raters, and the chance that one of k tries is right."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rldk.core.stats.estimates import Estimate
from rldk.core.stats.proportions import wilson, wilson_share

Array = NDArray[np.float64]


def clopper_pearson(hits: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """The exact interval of a share, which never covers less than its level. It is (0, 1) when nothing was counted.

    Source: Clopper and Pearson 1934, Biometrika 26:404. No hit among n gives an upper end of about 3.7 / n."""
    from scipy.stats import beta

    tail = (1 - level) / 2
    low = 0.0 if hits == 0 else float(beta.ppf(tail, hits, n - hits + 1))
    high = 1.0 if hits == n else float(beta.ppf(1 - tail, hits + 1, n - hits))
    return low, high


def newcombe(hits_a: int, n_a: int, hits_b: int, n_b: int, level: float = 0.95) -> Estimate:
    """The difference of two independent shares, a minus b, with Newcombe's score interval. NaN without cases.

    Source: Newcombe 1998, Statistics in Medicine 17:873, method 10."""
    if not n_a or not n_b:
        return Estimate(value=math.nan, method="no cases")
    a, b = hits_a / n_a, hits_b / n_b
    (low_a, high_a), (low_b, high_b) = wilson(hits_a, n_a, level), wilson(hits_b, n_b, level)
    low = a - b - math.hypot(a - low_a, high_b - b)
    high = a - b + math.hypot(high_a - a, b - low_b)
    return Estimate(value=a - b, low=low, high=high, n=n_a + n_b, clusters=n_a + n_b, method="Newcombe")


def newcombe_paired(both: int, only_a: int, only_b: int, neither: int, level: float = 0.95) -> Estimate:
    """The difference of two shares of the same cases, a minus b, with Newcombe's interval for pairs.

    Source: Newcombe 1998, Statistics in Medicine 17:2635, method 10 (the correlation phi of both, with a continuity
    correction where it is positive)."""
    n = both + only_a + only_b + neither
    if not n:
        return Estimate(value=math.nan, method="no cases")
    hits_a, hits_b = both + only_a, both + only_b
    a, b = hits_a / n, hits_b / n
    (low_a, high_a), (low_b, high_b) = wilson(hits_a, n, level), wilson(hits_b, n, level)
    phi = _phi(both, only_a, only_b, neither)
    low = _square(a - low_a, high_b - b, phi)
    high = _square(high_a - a, b - low_b, phi)
    return Estimate(value=a - b, low=a - b - low, high=a - b + high, n=n, clusters=n, method="Newcombe, paired")


def _square(first: float, second: float, phi: float) -> float:
    return math.sqrt(max(0.0, first * first - 2 * phi * first * second + second * second))


def _phi(both: int, only_a: int, only_b: int, neither: int) -> float:
    n = both + only_a + only_b + neither
    margins = (both + only_a) * (only_b + neither) * (both + only_b) * (only_a + neither)
    if not margins:
        return 0.0
    cross = both * neither - only_a * only_b
    if cross > 0:
        cross = max(cross - n / 2, 0)  # type: ignore[assignment]  # a half may remain
    return cross / math.sqrt(margins)


def pass_at_k(tries: int, right: int, k: int) -> float:
    """The unbiased estimate of the chance that at least one of k answers is right, from `right` of `tries` answers.

    NaN where there are fewer than k tries. Source: Chen et al. 2021 (arXiv 2107.03374), equation 1."""
    if not 0 < k <= tries:
        return math.nan
    if tries - right < k:
        return 1.0
    return 1.0 - math.exp(sum(math.log1p(-k / i) for i in range(tries - right + 1, tries + 1)))


def cohen_kappa(first: Sequence[object], second: Sequence[object], level: float = 0.95) -> Estimate:
    """The agreement of two raters beyond chance (Cohen's kappa), with Wilson's interval of the share on which they
    agree, at the agreement by chance that was seen.

    NaN without cases, or where both raters give one label only. The large-sample interval (Fleiss, Cohen and Everitt
    1969) has no width where raters agree on everything, and covers a kappa of 0.9 in 70 % of samples of 20: see
    docs/evaluation-intervals.md."""
    n = len(first)
    names = {label: i for i, label in enumerate(dict.fromkeys([*first, *second]))}
    if not n or len(names) < 2:
        return Estimate(value=math.nan, n=n, method="no cases" if not n else "one label only")
    table = np.zeros((len(names), len(names)))
    np.add.at(table, ([names[x] for x in first], [names[y] for y in second]), 1 / n)
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    seen, chance = float(np.trace(table)), float(rows @ columns)
    if chance >= 1:
        return Estimate(value=math.nan, n=n, method="one label only")
    kappa = (seen - chance) / (1 - chance)
    low, high = (max(-1.0, (end - chance) / (1 - chance)) for end in wilson_share(seen, n, level))
    return Estimate(value=kappa, low=low, high=high, n=n, clusters=n, method="Cohen's kappa")
