"""Runs with rows of several kinds by chance."""

from __future__ import annotations

import math
import random

from rldk.core.model import Run, RunMeta
from rldk.core.table import Phase, TableBuilder
from rldk.engine.features.window import HUGE

METRICS = (
    "reward_mean", "kl", "entropy", "loss", "policy_loss", "grad_norm", "grad_norm_policy", "grad_norm_value", "lr",
    "value_loss", "response_length_mean", "clip_frac", "pref_accuracy", "reward_kl_penalty", "sampled_nll", "own",
    "wall_time", "memory_peak_gb",
)  # fmt: skip


def odd_run(seed: int, rows: int) -> Run:
    """Rows of several kinds by chance: evaluations, gaps, values that are not finite, restarts, times, changes."""
    rng, builder = random.Random(seed), TableBuilder()
    names = rng.sample(METRICS, rng.randint(2, 12))
    kinds = [rng.sample(names, rng.randint(1, len(names))) for _ in range(rng.randint(1, 4))]
    levels = {name: rng.choice([0.001, 0.05, 0.5, 2.0]) for name in names}
    odd, evals, cut = rng.choice([0.0, 0.0, 0.01, 0.2]), rng.choice([0.0, 0.1, 0.5]), rng.choice([0.0, 0.1, 0.4])
    restarts, timed = rng.choice([0.0, 0.0, 0.01]), rng.choice([0.0, 0.9, 1.0])
    begin = {name: rng.choice([0, 0, 0, rng.randrange(rows)]) for name in names}
    fall, stuck, segment, step, clock = rng.randrange(rows), rng.random() < 0.3, 0, 0, 1e9
    for at in range(rows):
        step, clock = step + rng.choice([1, 1, 1, 5]), clock + rng.uniform(0.5, 2.0)
        if rng.random() < restarts:
            segment, step = segment + 1, max(0, step - 20)
        phase: Phase = (
            "eval" if rng.random() < evals else "summary" if at == rows - 1 and rng.random() < 0.2 else "train"
        )
        kind = rng.choice(kinds)
        values: dict[str, float] = {}
        for name in kind:
            if at < begin[name] or rng.random() < cut:
                continue
            worse = 20.0 if at > fall and name in ("kl", "loss", "grad_norm") else 1.0
            value = levels[name] * worse * (1.0 + (0.0 if stuck and at > fall else rng.gauss(0, 0.2)))
            values[name] = rng.choice([math.nan, math.inf, -math.inf, HUGE * 10, 0.0]) if rng.random() < odd else value
        if not values:
            values = {kind[0]: levels[kind[0]]}
        builder.add(step, values, phase=phase, segment=segment, **({"time": clock} if rng.random() < timed else {}))
    return Run(
        id="odd", source="odd", metrics=builder.build(), meta=RunMeta(algorithm=rng.choice([None, "ppo", "grpo"]))
    )
