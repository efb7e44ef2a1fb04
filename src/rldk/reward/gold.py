"""Reward and gold score over training: does the reward rise while the goal falls?"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from rldk.core.stats.estimates import Estimate
from rldk.core.stats.student import t_quantile
from rldk.reward.rows import finite_rows
from rldk.reward.table import Array, ScoreTable
from rldk.rules.score_view import GoldCourse

LEAST_STEPS = 10
BLOCKS = 10
WINDOW = 0.1  # of the steps, for the curve whose top is named


def gold_course(table: ScoreTable) -> GoldCourse | None:
    """The slopes of reward and gold over the second half of the run; None without gold over ten steps or more.

    A step counts as the mean of its answers. The run goes over sqrt(KL) where every step has its KL, else over the
    steps."""
    rows = finite_rows(table.reward, table.gold, table.step)
    if not len(rows) or table.gold is None or table.step is None:
        return None
    steps, place = np.unique(table.step[rows], return_inverse=True)
    if len(steps) < LEAST_STEPS:
        return None
    count = np.bincount(place)
    reward = np.bincount(place, weights=table.reward[rows]) / count
    gold = np.bincount(place, weights=table.gold[rows]) / count
    x, over = steps, "step"
    if table.kl is not None and np.isfinite(table.kl[rows]).all():
        kl = np.bincount(place, weights=table.kl[rows]) / count
        if (kl >= 0).all() and float(np.ptp(kl)) > 0:
            x, over = np.sqrt(kl), "sqrt(KL)"
    order = np.argsort(x, kind="stable")
    x, reward, gold = x[order], reward[order], gold[order]
    half = slice(len(x) // 2, None)
    smooth = _running(gold, max(1, int(WINDOW * len(gold))))
    top = int(smooth.argmax())
    inside = 0 < top < 0.9 * len(smooth)
    keep = np.unique(np.linspace(0, len(x) - 1, min(len(x), 400)).astype(np.int64))
    return GoldCourse(
        reward=block_slope(x[half], reward[half], float(reward.std())),
        gold=block_slope(x[half], gold[half], float(gold.std())),
        over=over,
        rows=len(rows),
        peak=float(x[min(len(x) - 1, top + int(WINDOW * len(gold)) // 2)]) if inside else math.nan,
        x=tuple(x[keep].tolist()),
        reward_curve=tuple(reward[keep].tolist()),
        gold_curve=tuple(gold[keep].tolist()),
    )


def block_slope(x: Array, y: Array, spread: float) -> Estimate:
    """The change of `y` over the range of `x` in units of `spread`, from a line through the means of ten blocks.

    Means of blocks are nearly independent where neighbours are not; the interval is that of the regression with eight
    degrees of freedom. NaN where `x` or `y` is constant."""
    blocks = min(BLOCKS, len(x) // 2)
    if blocks < 4 or not spread > 0 or not float(np.ptp(x)) > 0:
        return Estimate(value=math.nan, n=len(x), method="too few steps")
    means = np.array([[a.mean(), b.mean()] for a, b in zip(*(np.array_split(v, blocks) for v in (x, y)), strict=True)])
    u, v = means[:, 0] - means[:, 0].mean(), means[:, 1] - means[:, 1].mean()
    squares = float(u @ u)
    if not squares > 0:
        return Estimate(value=math.nan, n=len(x), method="too few steps")
    slope = float(u @ v) / squares
    left = v - slope * u
    error = math.sqrt(float(left @ left) / (blocks - 2) / squares)
    unit = float(np.ptp(x)) / spread
    half = t_quantile(0.975, blocks - 2) * error
    return Estimate(
        value=slope * unit, low=(slope - half) * unit, high=(slope + half) * unit, n=len(x), clusters=blocks,
        method="line through block means, t",
    )  # fmt: skip


def _running(values: Array, window: int) -> NDArray[np.float64]:
    return np.convolve(values, np.ones(window) / window, mode="valid")
