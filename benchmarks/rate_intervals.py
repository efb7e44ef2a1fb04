"""How often five intervals of a rate hold it, exactly: a sum over all counts that can occur.

The figures are those of `python -m benchmarks.coverage`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rldk.core.stats.proportions import wilson

RATES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
SIZES = (20, 50, 100, 200, 500, 2000)
LEAST, MOST = 0.93, 0.97
Holds = Callable[[int, float], NDArray[np.bool_]]  # n, rate -> for each count whether its interval holds the rate


def by_wilson(n: int, p: float) -> NDArray[np.bool_]:
    low, high = np.array([wilson(hits, n) for hits in range(n + 1)]).T
    return (low <= p) & (p <= high)


def by_jeffreys(n: int, p: float) -> NDArray[np.bool_]:
    """The interval of a beta distribution with half a hit and half a miss more; it ends at 0 and 1 without hits, and
    without misses (Brown, Cai, DasGupta 2001)."""
    from scipy.stats import beta

    hits = np.arange(n + 1)
    low, high = beta.ppf(0.025, hits + 0.5, n - hits + 0.5), beta.ppf(0.975, hits + 0.5, n - hits + 0.5)
    low[0], high[-1] = 0.0, 1.0
    return (low <= p) & (p <= high)


def tails(n: int, p: float) -> tuple[NDArray[np.float64], ...]:
    """For each count its probability, that of so many hits or more, and that of so many or fewer."""
    from scipy.stats import binom

    hits = np.arange(n + 1)
    return binom.pmf(hits, n, p), binom.sf(hits - 1, n, p), binom.cdf(hits, n, p)


def by_clopper_pearson(n: int, p: float) -> NDArray[np.bool_]:
    _, above, below = tails(n, p)
    return (above > 0.025) & (below > 0.025)


def by_mid_p(n: int, p: float) -> NDArray[np.bool_]:
    """As Clopper and Pearson, with half the probability of the count itself."""
    own, above, below = tails(n, p)
    return (above - own / 2 > 0.025) & (below - own / 2 > 0.025)


def by_blaker(n: int, p: float) -> NDArray[np.bool_]:
    """The smaller tail plus the largest tail on the other side that is no larger (Blaker 2000)."""
    _, above, below = tails(n, p)
    made = np.empty(n + 1)
    for hits in range(n + 1):
        own, other = (above, below) if above[hits] <= below[hits] else (below, above)
        reach = other[other <= own[hits] * (1 + 1e-12)]
        made[hits] = own[hits] + (reach.max() if len(reach) else 0.0)
    return made > 0.05


METHODS: dict[str, Holds] = {
    "Wilson": by_wilson,
    "Jeffreys": by_jeffreys,
    "mid-P Clopper-Pearson": by_mid_p,
    "Blaker": by_blaker,
    "Clopper-Pearson": by_clopper_pearson,
}


def exact_coverage(holds: Holds, n: int, p: float) -> float:
    """The probability that the interval of n independent cases holds the rate."""
    return float(tails(n, p)[0][holds(n, p)].sum())


def inside(coverage: float) -> bool:
    return LEAST <= coverage <= MOST


def reachable(n: int, p: float) -> tuple[float, float]:
    """The two neighbouring probabilities around 95 % that a run of counts can have: any interval whose ends rise with
    the count holds the rate for such a run."""
    ends = np.concatenate(([0.0], np.cumsum(tails(n, p)[0])))
    runs = (ends[None, :] - ends[:, None])[np.triu_indices(len(ends), 1)]
    runs = runs[runs <= 1 - 1e-12] if n else runs
    return float(runs[runs < 0.95].max()), float(runs[runs >= 0.95].min())


def out_of_reach() -> list[tuple[int, float, float, float]]:
    """The cells that no interval can bring between 93 and 97 %: n, rate, and the nearest probabilities."""
    cells = [(n, p, *reachable(n, p)) for n in SIZES for p in RATES]
    return [cell for cell in cells if not inside(cell[2]) and not inside(cell[3])]


def compared() -> list[tuple[str, int, float, float]]:
    """For each method the cells between 93 and 97 %, and its lowest and highest coverage."""
    made = []
    for name, holds in METHODS.items():
        found = [exact_coverage(holds, n, p) for n in SIZES for p in RATES]
        made.append((name, sum(map(inside, found)), min(found), max(found)))
    return made
