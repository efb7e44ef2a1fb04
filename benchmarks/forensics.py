"""`update` of the PPO forensics with the whole catalogue: its cost, and that it stays the same along the run."""

from __future__ import annotations

import math
import random
import time
from pathlib import Path
from typing import Any

from benchmarks.measure import Work, race
from benchmarks.result import Result

UPDATES = 20_000
UPDATE_US = 300.0
FLAT = 1.25  # late over early; the engine's plan of who looks settles during the first hundred rows
PROBE = 1_000


def results(work: Path, scale: float, repeats: int) -> list[Result]:
    updates = max(int(UPDATES * scale), 4 * PROBE)
    (ours,) = race(Work(f"{__name__}:run", str(updates), "rldk.forensics"), repeats=repeats)
    facts = ours.facts
    return [
        Result(
            job=f"forensics update, {updates} rows x 13",
            ours=ours,
            against=f"{UPDATE_US:g} us",
            ratio=facts["us"] / UPDATE_US,
            at_most=1.0,
            note=f"{facts['us']:.0f} us an update, {facts['rules']} rules looked",
        ),
        Result(
            job="forensics update, last rows against first",
            against="first rows",
            ratio=facts["late"] / facts["early"],
            at_most=FLAT,
            note=f"{facts['early']:.0f} us, then {facts['late']:.0f} us",
        ),
    ]


def run(argument: str) -> dict[str, Any]:
    """The CPU microseconds of an update over a whole healthy run, and of its first and last thousand after 200."""
    from rldk.forensics import ComprehensivePPOForensics

    updates = int(argument)
    forensics = ComprehensivePPOForensics()
    rng = random.Random(0)
    rows = [row(i, updates, rng) for i in range(updates)]
    marks = {}
    for i, values in enumerate(rows):
        if i in (200, 200 + PROBE, updates - PROBE):
            marks[i] = time.process_time()
        forensics.update(**values)
    end = time.process_time()
    return {
        "us": 1e6 * (end - marks[200]) / (updates - 200),
        "early": 1e6 * (marks[200 + PROBE] - marks[200]) / PROBE,
        "late": 1e6 * (end - marks[updates - PROBE]) / PROBE,
        "rules": len(forensics.report().checked),
    }


def row(i: int, updates: int, rng: random.Random) -> dict[str, float]:
    """What PPO says of a step: learning, an adaptive coefficient, noise."""
    z = [rng.gauss(0.0, 1.0) for _ in range(10)]
    learnt = 1 - math.exp(-4.0 * i / updates)
    return {
        "step": i,
        "kl": 0.1 * learnt * math.exp(0.1 * z[0]) + 1e-3,
        "kl_coef": 0.2 * 1.01 ** math.sin(i / 5),
        "entropy": 2.0 - learnt + 0.02 * z[1],
        "reward_mean": learnt + 0.05 * z[2],
        "reward_std": 0.3 + 0.01 * z[3],
        "policy_grad_norm": math.exp(0.1 * z[4]),
        "value_grad_norm": math.exp(0.1 * z[5]),
        "total_grad_norm": 1.5 * math.exp(0.1 * z[6]),
        "advantage_mean": 1e-7 * z[7],
        "advantage_std": 1.0 + 0.003 * z[8],
        "clip_frac": 0.1 + 0.01 * z[9],
        "learning_rate": 1e-5 * (1 - i / updates),
    }
