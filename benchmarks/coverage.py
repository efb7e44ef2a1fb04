"""Writes docs/evaluation-intervals.md: how often the intervals of evaluations hold the truth.

python -m benchmarks.coverage [--draws 1000]
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from benchmarks.rate_intervals import METHODS, RATES, SIZES, compared, exact_coverage, inside, out_of_reach  # noqa: E402
from rldk.core.stats.clustered import clustered_mean, clustered_ratio  # noqa: E402
from rldk.core.stats.contrasts import cohen_kappa  # noqa: E402
from rldk.core.stats.estimates import Estimate  # noqa: E402
from rldk.core.stats.resampling import batch_means, bootstrap_interval  # noqa: E402
from rldk.core.stats.serial import serial_mean  # noqa: E402
from rldk.evals.intervals import average, rate  # noqa: E402

OUT = ROOT / "docs" / "evaluation-intervals.md"
INTRO = ROOT / "benchmarks" / "coverage.intro.md"
LENGTHS, SPREADS = ("5 to 200 tokens", "lognormal lengths"), (0.3, 0.6)  # of texts; of their levels, in the log
KAPPAS = (0.0, 0.3, 0.6, 0.9)
LABELS = {"45, 45, 10 %": (0.45, 0.45, 0.1), "80, 15, 5 %": (0.8, 0.15, 0.05)}
COEFFICIENTS = (0.0, 0.5, 0.8, 0.9)
Array = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], tuple[Estimate, float]]


def share_covered(draw: Draw, draws: int) -> float:
    """In which share of the draws with an interval it holds the truth."""
    rng = np.random.default_rng(20261129)
    hits = bounded = 0
    for place in range(draws):
        found, truth = draw(rng, place)
        bounded += found.bounded
        hits += found.low <= truth <= found.high
    return hits / bounded


def clustered(prompts: int, tries: int, correlation: float) -> Draw:
    """Answers to prompts whose means differ: the share `correlation` of the variance lies between prompts."""
    label = np.repeat(np.arange(prompts), tries)

    def draw(rng: np.random.Generator, seed: int) -> tuple[Estimate, float]:
        between = rng.normal(0, math.sqrt(correlation), prompts)[label]
        return average(between + rng.normal(0, math.sqrt(1 - correlation), len(label)), label, seed=seed), 0.0

    return draw


def ignored(prompts: int, tries: int, correlation: float) -> Draw:
    """The same answers, taken for independent ones."""
    inner = np.repeat(np.arange(prompts), tries)

    def draw(rng: np.random.Generator, seed: int) -> tuple[Estimate, float]:
        between = rng.normal(0, math.sqrt(correlation), prompts)[inner]
        return average(between + rng.normal(0, math.sqrt(1 - correlation), len(inner)), None, seed=seed), 0.0

    return draw


def clustered_rate(prompts: int, tries: int, p: float) -> Draw:
    """Right answers whose chance differs by prompt: beta distributed with an intraclass correlation of 0.5."""
    label = np.repeat(np.arange(prompts), tries)

    def draw(rng: np.random.Generator, seed: int) -> tuple[Estimate, float]:
        chance = rng.beta(p, 1 - p, prompts)[label]
        return rate((rng.random(len(label)) < chance).astype(np.float64), label), p

    return draw


def autoregressive(n: int, coefficient: float) -> Draw:
    """Means of steps that follow an AR(1)."""
    from scipy.signal import lfilter

    def draw(rng: np.random.Generator, seed: int) -> tuple[Estimate, float]:
        noise = rng.standard_normal(n + 300)
        return serial_mean(lfilter([1.0], [1.0, -coefficient], noise)[300:]), 0.0

    return draw


def other_methods(n: int, coefficient: float, method: str) -> Draw:
    """The same means, with the intervals that are usually named for them."""
    from scipy.signal import lfilter

    def draw(rng: np.random.Generator, seed: int) -> tuple[Estimate, float]:
        noise = rng.standard_normal(n + 300)
        values: Array = lfilter([1.0], [1.0, -coefficient], noise)[300:]
        if method == "independent":
            return clustered_mean(values), 0.0
        if method == "batches":
            return average(batch_means(values, 20), None, seed=seed), 0.0
        return moving_blocks(values, round(n ** (1 / 3 if method == "short blocks" else 1 / 2)), seed=seed), 0.0

    return draw


def moving_blocks(values: Array, length: int, *, seed: int, draws: int = 1000) -> Estimate:
    """The percentile interval of the mean from blocks of neighbouring values (Kuensch 1989, Ann. Stat. 17)."""
    n = len(values)
    sums = np.convolve(values, np.ones(length), "valid")
    count = max(1, round(n / length))
    chosen = np.random.default_rng(seed).integers(0, len(sums), (draws, count))
    low, high = np.quantile(sums[chosen].sum(axis=1) / (count * length), (0.025, 0.975))
    return Estimate(value=float(values.mean()), low=float(low), high=float(high), n=n)


def texts(count: int, kind: str, spread: float) -> Draw:
    """The loss of a token over texts of different lengths, whose levels differ by `spread` in the log. Perplexity is
    exp of it."""

    def draw(rng: np.random.Generator, seed: int) -> tuple[Estimate, float]:
        evenly = kind == LENGTHS[0]
        lengths = rng.integers(5, 200, count) if evenly else np.maximum(2, rng.lognormal(4, 1, count).round())
        level = rng.lognormal(math.log(2.0) - spread**2 / 2, spread, count)
        sums = rng.gamma(lengths, level)
        return clustered_ratio(sums, lengths.astype(np.float64)), 2.0

    return draw


def raters(count: int, kappa: float, shares: Sequence[float]) -> Draw:
    """Two raters of three labels: the second one repeats the first with the chance `kappa`, else draws as it did."""

    def draw(rng: np.random.Generator, seed: int) -> tuple[Estimate, float]:
        first, other = (rng.choice(3, count, p=shares) for _ in range(2))
        second = np.where(rng.random(count) < kappa, first, other)
        return cohen_kappa(first.tolist(), second.tolist()), kappa

    return draw


MADE: dict[str, tuple[Callable[[np.random.Generator, int], Array], float]] = {
    "normal": (lambda rng, n: rng.normal(size=n), 0.0),
    "t, 3 degrees": (lambda rng, n: rng.standard_t(3, size=n), 0.0),
    "beta(2, 5)": (lambda rng, n: rng.beta(2, 5, size=n), 2 / 7),
    "marks 1 to 5": (lambda rng, n: rng.choice(np.arange(1.0, 6.0), size=n, p=[0.02, 0.03, 0.1, 0.25, 0.6]), 4.38),
    "exponential": (lambda rng, n: rng.exponential(size=n), 1.0),
    "lognormal": (lambda rng, n: rng.lognormal(size=n), math.exp(0.5)),
}


def independent(n: int, kind: str, interval: Callable[..., Estimate] = average) -> Draw:
    """The mean of independent values."""
    made, truth = MADE[kind]

    def draw(rng: np.random.Generator, seed: int) -> tuple[Estimate, float]:
        return interval(made(rng, n), None, seed=seed), truth

    return draw


def student(values: Array, cluster: None, *, seed: int) -> Estimate:
    """Plain t, which was used below 30 values."""
    return clustered_mean(values)


def bootstrap(values: Array, cluster: None, *, seed: int) -> Estimate:
    """The BCa bootstrap, which was used from 30 values on."""
    low, high = bootstrap_interval(values, seed=seed)
    return Estimate(value=float(values.mean()), low=low, high=high, n=len(values))


def _table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def page(draws: int) -> str:
    """The page with its figures."""
    cells = {(n, p): exact_coverage(METHODS["Wilson"], n, p) for n in SIZES for p in RATES}
    rates = [[str(n), *(f"{cells[n, p]:.1%}" for p in RATES)] for n in SIZES]
    far = out_of_reach()
    beyond = [[f"n = {n}, p = {p:g}", f"{low:.1%}", f"{high:.1%}", f"{cells[n, p]:.1%}"] for n, p, low, high in far]
    rest = {cell: found for cell, found in cells.items() if not inside(found) and cell not in {x[:2] for x in far}}
    methods = [[name, f"{count} of {len(cells)}", f"{low:.1%}", f"{high:.1%}"] for name, count, low, high in compared()]
    prompts = [(10, 8), (20, 8), (40, 8), (200, 4)]
    means = [
        [f"{g} x {m}", *(f"{share_covered(clustered(g, m, icc), draws):.1%}" for icc in (0.0, 0.5))] for g, m in prompts
    ]
    shares = [
        [f"{g} x {m}", *(f"{share_covered(clustered_rate(g, m, p), draws):.1%}" for p in (0.1, 0.5))]
        for g, m in prompts
    ]
    steps = [
        [str(n), *(f"{share_covered(autoregressive(n, c), draws):.1%}" for c in COEFFICIENTS)] for n in (100, 400, 1000)
    ]
    alone = [
        [str(n), *(f"{share_covered(independent(n, kind), draws):.1%}" for kind in MADE)] for n in (15, 30, 50, 200)
    ]
    alone_others = [
        [name, *(f"{share_covered(independent(n, kind, interval), draws):.1%}" for kind in MADE)]
        for name, n, interval in (("15, t", 15, student), ("50, t", 50, student), ("50, BCa bootstrap", 50, bootstrap))
    ]
    names = {
        "independent": "values taken for independent", "batches": "20 batch means",
        "short blocks": "moving blocks of 7 steps", "long blocks": "moving blocks of 20 steps",
    }  # fmt: skip
    steps_others = [
        [title, *(f"{share_covered(other_methods(400, c, name), draws):.1%}" for c in COEFFICIENTS)]
        for name, title in names.items()
    ]
    steps_others.append(["autoregressive t (used)", *steps[1][1:]])
    made = {
        "draws": f"{draws:,}",
        "naive": f"{share_covered(ignored(40, 8, 0.5), draws):.0%}",
        "rates": _table(["n", *(f"p = {p:g}" for p in RATES)], rates),
        "outside": str(sum(not inside(found) for found in cells.values())),
        "cells": str(len(cells)),
        "far": str(len(far)),
        "beyond": _table(["cell", "just below 95 %", "from 95 % on", "Wilson"], beyond),
        "rest": ", ".join(f"{found:.2%} (n = {n}, p = {p:g})" for (n, p), found in rest.items()),
        "methods": _table(["interval", "cells in 93 to 97 %", "lowest", "highest"], methods),
        "means": _table(["prompts x answers", "ICC 0", "ICC 0.5"], means),
        "shares": _table(["prompts x answers", "p = 0.1", "p = 0.5"], shares),
        "steps": _table(["steps", *(f"AR {c:g}" for c in COEFFICIENTS)], steps),
        "steps_others": _table(["interval of 400 steps", *(f"AR {c:g}" for c in COEFFICIENTS)], steps_others),
        "texts": _table(
            ["texts", *(f"{kind}, spread {spread:g}" for kind in LENGTHS for spread in SPREADS)],
            [
                [str(n), *(f"{share_covered(texts(n, kind, s), draws):.1%}" for kind in LENGTHS for s in SPREADS)]
                for n in (10, 20, 60, 200)
            ],
        ),
        "raters": _table(
            ["labels", "cases", *(f"kappa {k:g}" for k in KAPPAS)],
            [
                [name, str(n), *(f"{share_covered(raters(n, k, shares), draws):.1%}" for k in KAPPAS)]
                for name, shares in LABELS.items()
                for n in (20, 60, 200)
            ],
        ),
        "alone": _table(["n", *MADE], alone),
        "alone_others": _table(["n and interval", *MADE], alone_others),
    }
    return INTRO.read_text(encoding="utf-8").format(**made)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=1000)
    OUT.write_text(page(parser.parse_args(argv).draws), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
