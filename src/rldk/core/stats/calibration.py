"""Whether probabilities say what they mean. Arrays have shape (n,): probabilities in [0, 1], outcomes 0 or 1."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from rldk.core.stats.clustered import Labels, from_influence
from rldk.core.stats.estimates import Estimate, ReliabilityParts

Array = NDArray[np.float64]
BINS = 10
DRAWS = 200  # of outcomes that are calibrated by construction
STEPS = 60  # of Newton's method


def brier_score(p: Array, y: Array) -> float:
    """The mean of (p - y)^2."""
    return float(np.mean((p - y) ** 2))


def isotonic(p: Array, y: Array) -> Array:
    """The outcomes' rate as a rising function of `p`, at each value: least squares by pooling adjacent violators.

    Equal probabilities get equal rates. Source: Ayer et al. 1955, Annals of Mathematical Statistics 26:641."""
    order = np.argsort(p, kind="stable")
    _, starts, sizes = np.unique(p[order], return_index=True, return_counts=True)
    sums = np.add.reduceat(y[order], starts)
    level: list[float] = []
    weight: list[float] = []
    spans: list[int] = []
    for total, size in zip(sums.tolist(), sizes.tolist(), strict=True):
        mean, heavy, span = total / size, float(size), 1
        while level and level[-1] >= mean:
            mean = (mean * heavy + level[-1] * weight[-1]) / (heavy + weight[-1])
            heavy += weight.pop()
            span += spans.pop()
            level.pop()
        level.append(mean)
        weight.append(heavy)
        spans.append(span)
    fitted = np.repeat(np.repeat(level, spans), sizes)
    made = np.empty(len(p))
    made[order] = fitted
    return made


def reliability_parts(p: Array, y: Array) -> ReliabilityParts:
    """The Brier score taken apart by the isotonic fit. Source: Dimitriadis, Gneiting, Jordan 2021, PNAS 118 (CORP)."""
    fitted, base = isotonic(p, y), float(y.mean())
    brier, after, flat = brier_score(p, y), brier_score(fitted, y), base * (1 - base)
    return ReliabilityParts(brier=brier, miscalibration=brier - after, discrimination=flat - after, uncertainty=flat)


def calibration_bins(p: Array, y: Array, bins: int = BINS) -> tuple[Array, Array, NDArray[np.int64]]:
    """Mean probability, rate of the outcome and number of cases of bins of equal mass, by rising probability."""
    order = np.argsort(p, kind="stable")
    edges = np.linspace(0, len(p), min(bins, len(p)) + 1).astype(np.int64)
    sizes = np.diff(edges)
    return np.add.reduceat(p[order], edges[:-1]) / sizes, np.add.reduceat(y[order], edges[:-1]) / sizes, sizes


def expected_calibration_error(p: Array, y: Array, bins: int = BINS) -> float:
    """The mean of |probability - rate| over bins of equal mass, weighted by their cases. NaN without cases.

    It is above 0 for perfect probabilities, too, by chance: compare it with `calibration_error_by_chance`."""
    if not len(p):
        return math.nan
    said, seen, sizes = calibration_bins(p, y, bins)
    return float((sizes * np.abs(said - seen)).sum() / len(p))


def calibration_error_by_chance(
    p: Array, *, seed: int, share: float = 0.95, bins: int = BINS, draws: int = DRAWS
) -> float:
    """The quantile of the expected calibration error that perfect probabilities have: outcomes are drawn from them."""
    rng = np.random.default_rng(seed)
    ordered = np.sort(p)
    edges = np.linspace(0, len(p), min(bins, len(p)) + 1).astype(np.int64)
    sizes = np.diff(edges)
    said = np.add.reduceat(ordered, edges[:-1]) / sizes
    found = np.empty(draws)
    for draw in range(draws):
        seen = np.add.reduceat((rng.random(len(p)) < ordered).astype(np.float64), edges[:-1]) / sizes
        found[draw] = (sizes * np.abs(said - seen)).sum() / len(p)
    return float(np.quantile(found, share))


def logistic_slope(x: Array, y: Array, cluster: Labels | None = None, *, constant: bool = True) -> Estimate:
    """The slope of a logistic regression of `y` on `x`: 1 where `x` is a calibrated log-odds, below it where that is
    too certain.

    `constant`: the regression has a constant, which margins of pairs do not need. The interval is cluster-robust. NaN
    where the outcomes are all alike or `x` separates them."""
    design = np.column_stack([x, np.ones(len(x))]) if constant else x[:, None]
    if not len(y) or not float(np.ptp(x)) > 0 or (constant and not float(np.ptp(y)) > 0):
        return Estimate(value=math.nan, n=len(y), method="no variation")
    beta, hessian = _newton(design, y)
    if beta is None:
        return Estimate(value=math.nan, n=len(y), method="the outcomes are separated")
    p = sigmoid(design @ beta)
    scores = (design * (y - p)[:, None]) @ np.linalg.inv(hessian)[:, 0]
    return from_influence(float(beta[0]), scores, cluster)


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), without overflow."""
    made: Array = 0.5 * (1 + np.tanh(0.5 * x))
    return made


def _newton(design: Array, y: Array) -> tuple[Array | None, Array]:
    """The coefficients, None where they run away, and the information matrix at them."""
    scale = np.maximum(np.abs(design).max(axis=0), 1e-300)
    z = design / scale
    beta = np.zeros(z.shape[1])
    hessian = np.eye(z.shape[1])
    for _ in range(STEPS):
        p = sigmoid(z @ beta)
        hessian = (z * (p * (1 - p))[:, None]).T @ z + 1e-12 * np.eye(len(beta))
        step = np.linalg.solve(hessian, z.T @ (y - p))
        beta = beta + np.clip(step, -5, 5)
        if np.abs(step).max() < 1e-9:
            return beta / scale, hessian * np.outer(scale, scale)
        if np.abs(beta).max() > 1e4:
            break
    return None, hessian
