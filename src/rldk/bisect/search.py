"""Which commit is the first bad one, given the outcomes of runs: a posterior over all commits, and what to run next.

A candidate is a commit that may have brought the fault. A point is a commit that can be run. A point is truly bad when
the candidate is the point itself or one of its ancestors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

# Beta priors of the chance that a run says "bad", without and with the fault: flips of 20 % are expected, and the runs
# decide. The means are those of Beta(1, 4) and Beta(4, 1).
WITHOUT, WITH = (1.0, 4.0), (4.0, 1.0)
SURE = 0.95
LEAST_GAIN = 1e-3  # bits below which a further run is of no use


class CommitSearch:
    """`contains`: (points, candidates), True where the candidate is the point or an ancestor of it. `noisy`: outcomes
    may be wrong; otherwise each is certain.

    In a noisy search the two rates of "bad" are unknown; their posterior is integrated out for each candidate, so that
    no rate has to be given (Beta-Bernoulli). They are assumed to be the same for all commits without the fault, and
    the same for all with it."""

    def __init__(self, contains: NDArray[np.bool_], *, noisy: bool) -> None:
        points, candidates = contains.shape
        self._contains, self._noisy = contains, noisy
        self._good, self._bad = np.zeros(points, dtype=np.int64), np.zeros(points, dtype=np.int64)
        self._skipped = np.zeros(points, dtype=np.bool_)
        self._ends = np.zeros(4, dtype=np.int64)  # good and bad outcomes of the good end, then of the bad end
        self._candidates = candidates

    def observe(self, point: int, *, bad: bool) -> None:
        """Counts an outcome of a point."""
        (self._bad if bad else self._good)[point] += 1

    def observe_end(self, *, bad_end: bool, bad: bool) -> None:
        """Counts an outcome of the good end, which has no candidate, or of the bad end, which has all."""
        self._ends[2 * bad_end + bad] += 1

    def skip(self, point: int) -> None:
        """Takes a point that cannot be run out of the choice. It stays a candidate."""
        self._skipped[point] = True

    def posterior(self) -> NDArray[np.float64]:
        """(candidates,): the probability of each to be the first bad commit, from a flat prior. All zero where the
        outcomes contradict each other, which only certain ones can."""
        inside = self._contains.T  # (candidates, points)
        bad_with, good_with = inside @ self._bad + self._ends[3], inside @ self._good + self._ends[2]
        bad_without = self._bad.sum() - inside @ self._bad + self._ends[1]
        good_without = self._good.sum() - inside @ self._good + self._ends[0]
        if not self._noisy:
            fits = (good_with == 0) & (bad_without == 0)
            return np.asarray(fits / max(1, int(fits.sum())), dtype=np.float64)
        score = _log_beta(WITH[0] + bad_with, WITH[1] + good_with) + _log_beta(
            WITHOUT[0] + bad_without, WITHOUT[1] + good_without
        )
        weight = np.exp(score - score.max())
        return np.asarray(weight / weight.sum(), dtype=np.float64)

    def next_points(self, count: int) -> list[int]:
        """The points to run next, at most `count`; none where no run would tell anything more.

        One point: the one whose outcome is expected to tell most. Several: they cut the posterior into equal parts."""
        mass = self._contains @ self.posterior()
        gain = np.where(self._skipped, 0.0, self._gain(mass))
        useful = np.flatnonzero(gain > LEAST_GAIN)
        if not useful.size:
            return []
        chosen = [int(useful[np.argmax(gain[useful])])]
        if count == 1:
            return chosen
        chosen = []
        for place in range(1, count + 1):
            order = useful[np.argsort(np.abs(mass[useful] - place / (count + 1)), kind="stable")]
            fresh = [int(point) for point in order if int(point) not in chosen]
            if fresh:
                chosen.append(fresh[0])
            elif self._noisy:
                chosen.append(int(order[0]))
        return chosen

    def rates(self) -> tuple[float, float]:
        """The expected shares of "bad" without and with the fault, for the likeliest candidate."""
        if not self._noisy:
            return 0.0, 1.0
        inside = self._contains[:, int(np.argmax(self.posterior()))]
        bad_with = self._bad[inside].sum() + self._ends[3] + WITH[0]
        good_with = self._good[inside].sum() + self._ends[2] + WITH[1]
        bad_without = self._bad[~inside].sum() + self._ends[1] + WITHOUT[0]
        good_without = self._good[~inside].sum() + self._ends[0] + WITHOUT[1]
        return float(bad_without / (bad_without + good_without)), float(bad_with / (bad_with + good_with))

    def _gain(self, mass: NDArray[np.float64]) -> NDArray[np.float64]:
        """The expected information of a run of each point, in bits."""
        without, with_fault = self.rates()
        told = mass * with_fault + (1.0 - mass) * without
        return _entropy(told) - mass * _entropy(np.array(with_fault)) - (1.0 - mass) * _entropy(np.array(without))


def credible_set(probabilities: NDArray[np.float64], level: float = SURE) -> list[int]:
    """The fewest candidates that hold this much probability together, the likeliest first."""
    order = np.argsort(-probabilities, kind="stable")
    needed = int(np.searchsorted(np.cumsum(probabilities[order]), level - 1e-12)) + 1
    return [int(place) for place in order[:needed] if probabilities[place] > 0]


def separated(good: Sequence[bool], bad: Sequence[bool], level: float = SURE) -> bool:
    """Whether the outcomes of both ends (True: bad) show with this probability that the bad end is bad more often."""
    return _greater(_counts(bad), _counts(good)) >= level


def _counts(outcomes: Iterable[bool]) -> tuple[int, int]:
    found = list(outcomes)
    return 1 + sum(found), 1 + len(found) - sum(found)


def _greater(one: tuple[int, int], other: tuple[int, int]) -> float:
    """P(X > Y) for X ~ Beta(one) and Y ~ Beta(other) with whole parameters (Cook 2005, exact sum)."""
    (a, b), (c, d) = one, other
    total = 0.0
    for i in range(a):
        total += math.exp(_log_beta_of(c + i, b + d) - math.log(b + i) - _log_beta_of(1 + i, b) - _log_beta_of(c, d))
    return total


def _log_beta_of(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _log_beta(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([_log_beta_of(x, y) for x, y in zip(a.tolist(), b.tolist(), strict=True)])


def _entropy(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of a coin, in bits; 0 at 0 and 1."""
    inner = np.clip(p, 1e-300, 1.0)
    outer = np.clip(1.0 - p, 1e-300, 1.0)
    return np.asarray(-(p * np.log2(inner) + (1.0 - p) * np.log2(outer)), dtype=np.float64)
