"""A finished run that is looked at in long stretches gets the report of one that is looked at row by row."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest
from examples import at_most
from hypothesis import given, settings
from hypothesis import strategies as st

from rldk.core.codec import to_builtins
from rldk.core.model import Run, RunMeta
from rldk.core.table import Phase, TableBuilder
from rldk.engine.features.window import HUGE
from rldk.engine.live import Engine
from rldk.engine.scan import context_of, report_of, rows_of, scan
from rldk.rules.chosen import chosen_rules
from rldk.rules.normal import normals

FIXTURES = Path(__file__).parents[2] / "fixtures"
RULES = chosen_rules("default", None, None)
METRICS = (
    "reward_mean", "kl", "entropy", "loss", "policy_loss", "grad_norm", "grad_norm_policy", "grad_norm_value", "lr",
    "value_loss", "response_length_mean", "clip_frac", "pref_accuracy", "reward_kl_penalty", "sampled_nll", "own",
    "wall_time", "memory_peak_gb",
)  # fmt: skip


def by_row(run: Run) -> str:
    asked = (*RULES, *normals)
    engine = Engine(asked, context_of(run.meta))
    for row in rows_of(run):
        engine.feed(row)
    return repr(to_builtins(report_of(run, engine, asked)))


def agrees(run: Run) -> bool:
    """The signs of zeros and the order of findings count, too."""
    return repr(to_builtins(scan(run, RULES))) == by_row(run)


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


@pytest.mark.slow
@settings(max_examples=at_most(60), deadline=None)
@given(seed=st.integers(0, 10**9), rows=st.integers(1, 400))
def test_odd_runs_get_the_report_of_single_rows(seed: int, rows: int) -> None:
    assert agrees(odd_run(seed, rows))


def test_a_metric_that_disappears_within_a_stretch_is_missed() -> None:
    rows = [{"loss": 1.0 + step / 7, "own": step / 3} if step < 40 else {"loss": 1.0 + step / 7} for step in range(90)]
    builder = TableBuilder()
    for step, values in enumerate(rows):
        builder.add(step, values)
    run = Run(id="gone", source="gone", metrics=builder.build(), meta=RunMeta())
    assert "MET003" in {finding.code for finding in scan(run, RULES).findings}
    assert agrees(run)
