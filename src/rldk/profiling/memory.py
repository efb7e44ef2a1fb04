"""Whether memory grows without end: a test of the trend of its lows, not a threshold on one value."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rldk.core.stats.monotone import monotone_trend
from rldk.rules.profiles import MemoryTrend

WARM_UP = 0.2  # of the time: models are loaded, caches and pools are filled
BLOCKS = 40
FEWEST = 60  # samples after the warm-up
SHORTEST_S = 5.0
CERTAIN = 0.001  # p of the whole; of each half a twentieth is enough
HALF = 0.05
STEADY = 0.5  # the pace of the second half as a share of that of the first, for growth that does not level off
LEAST_SHARE, LEAST_BYTES = 0.02, 8 << 20  # growth over the time that was seen


def memory_trend(at: NDArray[np.float64], held: NDArray[np.float64]) -> MemoryTrend | str:
    """The trend of the bytes held (n,) at these seconds (n,), or why there is none to judge.

    The first fifth is dropped. Of the rest, the lowest value in each of up to 40 blocks of equal time is taken: between
    two of them memory may have been used and given back, which is no leak. The lows grow when the test of Mann and
    Kendall says so for the whole (p < 0.001) and for each half (p < 0.05), when the second half grows at half of the
    pace of the first or faster, and when the growth is more than 2 % and 8 MiB. Positions must not descend."""
    if len(at):
        late = at >= at[0] + WARM_UP * (at[-1] - at[0])
        at, held = at[late], held[late]
    if len(at) < FEWEST or at[-1] - at[0] < SHORTEST_S:
        span = float(at[-1] - at[0]) if len(at) else 0.0
        return f"needs {FEWEST} samples over {SHORTEST_S:g} s after the warm-up; there are {len(at)} over {span:.1f} s"
    when, lows = _lows(at, held)
    if len(lows) < 16:
        return "needs samples throughout the time"
    whole = monotone_trend(when, lows)
    middle = len(lows) // 2
    halves = (monotone_trend(when[:middle], lows[:middle]), monotone_trend(when[middle:], lows[middle:]))
    seconds = float(at[-1] - at[0])
    growth = whole.slope * seconds
    level = float(np.median(lows))
    grows = (
        whole.p < CERTAIN
        and all(half.p < HALF for half in halves)
        and halves[1].slope >= STEADY * halves[0].slope
        and growth > max(LEAST_BYTES, LEAST_SHARE * level)
    )
    return MemoryTrend(
        grows=grows, slope=whole.slope, low=whole.low, high=whole.high, p=whole.p, growth=growth, level=level,
        seconds=seconds,
    )  # fmt: skip


def _lows(at: NDArray[np.float64], held: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The lowest value of each block, with its time."""
    edges = np.linspace(at[0], at[-1], BLOCKS + 1)[1:-1]
    groups = np.searchsorted(edges, at, side="right")
    starts = np.flatnonzero(np.diff(groups, prepend=-1))
    lowest = [lo + int(np.argmin(held[lo:hi])) for lo, hi in zip(starts, [*starts[1:], len(at)], strict=True)]
    return at[lowest], held[lowest]
