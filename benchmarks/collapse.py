"""Collapse seen by one witness: synthetic returns that fall for good, and returns that dip and recover.

python -m benchmarks.collapse [--runs 200] [--seed 0]: how many falls are warned of within 30 rows of their end, how
many dips are warned of at all, and how many that lose all of the gain at once for exactly 10, 15 and 20 rows.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rldk.testing import scan_columns

WITHIN = 30  # rows from the end of a fall to the warning
DIPS = (10, 15, 20)  # rows without the gain
Series = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Figures:
    """`late`: falls warned of too late or never; `falsely`: dips warned of; `deep`: those that lose all for so many
    rows. All as seeds."""

    runs: int
    late: tuple[int, ...]
    falsely: tuple[int, ...]
    deep: dict[int, tuple[int, ...]]


def _rise(rng: np.random.Generator) -> list[Series]:
    """A start, a rise and a plateau, from 0 to 1."""
    start, rise, plateau = rng.integers(5, 30), rng.integers(10, 80), rng.integers(5, 60)
    return [np.zeros(start), np.linspace(0, 1, rise), np.ones(plateau)]


def _scaled(rng: np.random.Generator, parts: list[Series]) -> Series:
    """The parts in some unit, from some level on, with noise of up to a third of the gain."""
    gain = 10 ** rng.uniform(-1, 2.5)
    level = rng.choice([0, -1, -3, 2, 0.1]) * gain
    shape = np.concatenate(parts)
    return level + gain * shape + rng.normal(0, rng.uniform(0, 1 / 3) * gain, len(shape))


def fall(seed: int) -> tuple[Series, int]:
    """A return that loses 62 to 120 % of its gain over 1 to 100 rows, and the row at which the fall is over."""
    rng = np.random.default_rng(seed)
    parts = _rise(rng)
    rows, left = int(np.exp(rng.uniform(0, np.log(100)))), 1 - rng.uniform(0.62, 1.2)
    parts.append(np.linspace(1, left, rows + 1)[1:])
    end = sum(map(len, parts))
    return _scaled(rng, [*parts, np.full(60, left)]), end


def dip(seed: int) -> Series:
    """A return that loses 50 to 110 % of its gain and has it all back within 2 to 20 rows."""
    rng = np.random.default_rng(seed)
    rows, depth = rng.integers(2, 21), rng.uniform(0.5, 1.1)
    box, arc, slope = np.ones(rows), np.sin(np.linspace(0, np.pi, rows + 2))[1:-1], np.linspace(1, 0, rows + 1)[:-1]
    shape = (box, arc, slope)[rng.integers(3)]
    return _scaled(rng, [*_rise(rng), 1 - depth * shape, np.ones(60)])


def deep_dip(seed: int, rows: int) -> Series:
    """A return that loses all of its gain for so many rows and then has it back at once."""
    rng = np.random.default_rng(seed)
    return _scaled(rng, [*_rise(rng), np.zeros(rows), np.ones(60)])


def warned(values: Series) -> int | None:
    """The row (from 1) at which REW012 first warns; None where it does not."""
    findings = scan_columns("REW012", {"reward_mean": values.tolist()}).findings
    return min((f.first_step for f in findings if f.severity != "info"), default=None)


def measure(runs: int, seed: int = 0) -> Figures:
    late = []
    for i in range(seed, seed + runs):
        values, end = fall(i)
        row = warned(values)
        if row is None or row > end + WITHIN:
            late.append(i)
    falsely = [i for i in range(seed, seed + runs) if warned(dip(i)) is not None]
    deep = {rows: tuple(i for i in range(seed, seed + runs) if warned(deep_dip(i, rows)) is not None) for rows in DIPS}
    return Figures(runs=runs, late=tuple(late), falsely=tuple(falsely), deep=deep)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.collapse", description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    found = measure(options.runs, options.seed)
    print(f"falls warned of within {WITHIN} rows of their end: {found.runs - len(found.late)} of {found.runs}")
    print(f"dips warned of: {len(found.falsely)} of {found.runs}")
    for rows, seeds in found.deep.items():
        print(f"dips of all the gain for {rows} rows warned of: {len(seeds)} of {found.runs}")
    print(f"seeds missed {list(found.late)}, seeds of dips {list(found.falsely)}")


if __name__ == "__main__":
    main()
