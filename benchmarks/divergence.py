"""How often `rldk diff` calls healthy runs different, and how soon it sees a change.

`python -m benchmarks.divergence` prints the tables of docs/diff.md. `--pairs FOLDER` compares real trainings instead:
a folder of labelled runs of one configuration each for several algorithms (tests/corpus/pairs, or the unpacked one),
every faulty run with five clean ones, and every clean run with the other five."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from rldk.adapters.open import open_run
from rldk.core.model import Run
from rldk.diff.questions import Answer, Strictness, one_pair, seed_noise
from rldk.diff.sides import SharedSignal

Array = NDArray[np.float64]
STEPS, ONSET, SHIFT = 600, 300, 4.0
WITHIN = 25  # steps after the onset in which a real fault is to be found
SETS = {
    "all": None,
    "core": "reward_mean,kl,entropy,grad_norm,loss,clip_frac,response_length_mean,policy_loss",
    "reward, kl, entropy": "reward_mean,kl,entropy",
}


class Cell(Struct, frozen=True, kw_only=True):
    """One row of the table. `tails`: "normal" or "t4". `seeds`: how much the curves of seeds differ, as a share."""

    trend: str
    phi: float
    signals: int
    tails: str = "normal"
    seeds: float = 0.0


CELLS = (
    *(Cell(trend="flat", phi=phi, signals=n) for phi in (0.0, 0.3, 0.5, 0.7, 0.9) for n in (1, 5)),
    *(Cell(trend="learning", phi=phi, signals=n) for phi in (0.0, 0.5, 0.9) for n in (1, 3, 5)),
    *(Cell(trend="learning", phi=phi, signals=3, seeds=0.1) for phi in (0.0, 0.5, 0.9)),
    *(Cell(trend="learning", phi=phi, signals=3, tails="t4") for phi in (0.0, 0.5)),
)


def curve(rng: np.random.Generator, cell: Cell) -> Array:
    """One signal of one run: autocorrelated noise of variance 1 on its trend."""
    fresh = rng.standard_t(4, size=STEPS) / math.sqrt(2) if cell.tails == "t4" else rng.normal(size=STEPS)
    noise = np.empty(STEPS)
    level = float(rng.normal())
    for i, value in enumerate((fresh * math.sqrt(1 - cell.phi**2)).tolist()):
        level = cell.phi * level + value
        noise[i] = level
    if cell.trend == "flat":
        return noise
    rate, height = 1 + cell.seeds * rng.normal(size=2)
    made: Array = noise + 6 * height * (1 - np.exp(-np.arange(STEPS) / 150 * rate))
    return made


def signals(rng: np.random.Generator, cell: Cell, runs: int, shift: float = 0.0) -> list[SharedSignal]:
    """So many runs; the second one is B, and its first signal shifts at `ONSET`."""
    made = []
    for number in range(cell.signals):
        values = np.array([curve(rng, cell) for _ in range(runs)])
        values[1, ONSET:] += shift if number == 0 else 0.0
        step = np.arange(STEPS, dtype=np.int64)
        last = (STEPS - 1,) * runs
        made.append(SharedSignal(name=f"s{number}", step=step, values=values, interval=(1.0,) * runs, last=last))
    return made


def first_steps(answers: list[Answer]) -> list[int]:
    return sorted(a.detail.first_step for a in answers if a.detail.first_step is not None)


def simulate(cell: Cell, pairs: int, baselines: int, *, seed: int = 0) -> dict[str, float]:
    """Shares of false alarms, of shifts found at or after the onset, and their median delay; also for one pair.

    `baselines`: A is one of them."""
    how = Strictness()
    false = alone = found = 0
    delays: list[int] = []
    for place in range(pairs):
        rng = np.random.default_rng([seed, place])
        calm = signals(rng, cell, baselines + 2)  # rows: A, B, and the range, which is A's kind
        false += bool(first_steps(seed_noise(_with_a(calm), how)))
        alone += bool(first_steps(one_pair(calm, how)))
        moved = signals(rng, cell, baselines + 2, SHIFT)
        steps = first_steps(seed_noise(_with_a(moved), how))
        if steps and steps[0] >= ONSET:
            found += 1
            delays.append(steps[0] + how.persistence - 1 - ONSET)  # the step at which it is certain
    median = float(np.median(delays)) if delays else math.nan
    return {"false": false / pairs, "pair": alone / pairs, "found": found / pairs, "delay": median}


def _with_a(made: list[SharedSignal]) -> list[SharedSignal]:
    """The range as `first_divergence` takes it: A and all but the last of the further runs."""
    return [
        SharedSignal(
            name=s.name,
            step=s.step,
            values=np.vstack([s.values[:2], s.values[:1], s.values[2:-1]]),
            interval=s.interval,
            last=s.last,
        )
        for s in made
    ]


def table(pairs: int, baselines: int, seed: int = 0) -> Iterator[str]:
    yield f"| trend | phi | signals | noise | false alarms | {SHIFT:g} sd found | median delay | one pair: alarms |"
    yield "|---|---|---|---|---|---|---|---|"
    for cell in CELLS:
        got = simulate(cell, pairs, baselines, seed=seed)
        kind = f"{cell.tails}{f', curves of seeds differ by {cell.seeds:.0%}' if cell.seeds else ''}"
        yield (
            f"| {cell.trend} | {cell.phi:g} | {cell.signals} | {kind} | {got['false']:.1%} | {got['found']:.0%} "
            f"| {got['delay']:.0f} | {got['pair']:.1%} |"
        )


class Labelled(Struct, frozen=True, kw_only=True):
    fault: str
    algo: str
    onset: int | None
    run: Run


def read_pairs(folder: Path) -> list[Labelled]:
    made = []
    for path in sorted(folder.glob("*/label.json")):
        said: dict[str, Any] = json.loads(path.read_text())
        log = next(path.parent.glob("metrics.jsonl*"))
        made.append(Labelled(fault=said["fault"], algo=said["algo"], onset=said["onset"], run=open_run(log)))
    return made


def score_pairs(runs: list[Labelled], chosen: str | None) -> dict[str, Any]:
    """What `first_divergence` says: clean runs called different, faults found in time, faults "found" too early.

    With a single set of clean runs as baselines, every fault is compared with the first five of them."""
    from rldk.diff import first_divergence

    clean_different, faults, in_time, late, early = 0, 0, 0, 0, 0
    missed: list[str] = []
    cleans = [one for one in runs if one.fault == "none"]
    for one in runs:
        others = [c.run for c in cleans if c.algo == one.algo and c is not one][:5]
        first = first_divergence(others[0], one.run, chosen, baseline_runs=others[1:]).first_step
        if one.onset is None:
            clean_different += first is not None
            continue
        faults += 1
        early += first is not None and first < one.onset
        in_time += first is not None and one.onset <= first <= one.onset + WITHIN
        late += first is not None and first > one.onset + WITHIN
        if first is None or not one.onset <= first <= one.onset + WITHIN:
            missed.append(f"{one.algo} {one.fault} ({'not found' if first is None else f'step {first}'})")
    return {
        "clean": len(cleans), "clean_different": clean_different, "faults": faults, "in_time": in_time, "late": late,
        "early": early, "missed": missed,
    }  # fmt: skip


def pairs_table(folder: Path) -> Iterator[str]:
    runs = read_pairs(folder)
    yield f"| signals | clean called different | found within {WITHIN} steps | later | before the onset | not in time |"
    yield "|---|---|---|---|---|---|"
    for name, chosen in SETS.items():
        got = score_pairs(runs, chosen)
        yield (
            f"| {name} | {got['clean_different']} of {got['clean']} | {got['in_time']} of {got['faults']} "
            f"| {got['late']} | {got['early']} | {', '.join(got['missed'])} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="simulated comparisons for each row")
    parser.add_argument("--baselines", type=int, default=5, help="runs of A's kind, A included")
    parser.add_argument("--seed", type=int, default=0, help="of the simulated runs")
    parser.add_argument("--pairs", type=Path, help="a folder of labelled runs")
    given = parser.parse_args()
    lines = table(given.count, given.baselines, given.seed) if given.pairs is None else pairs_table(given.pairs)
    for line in lines:
        print(line, flush=True)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
