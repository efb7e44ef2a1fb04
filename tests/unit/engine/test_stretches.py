"""A finished run that is looked at in long stretches gets the report of one that is looked at row by row."""

from __future__ import annotations

import random

import pytest
from examples import at_most
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from odd_runs import odd_run

from rldk.core.codec import to_builtins
from rldk.core.model import Run, RunMeta, SampleTable
from rldk.core.table import TableBuilder
from rldk.engine.live import Engine
from rldk.engine.scan import context_of, report_of, rows_of, rows_with_samples, scan
from rldk.rules.chosen import chosen_rules
from rldk.rules.normal import normals

RULES = chosen_rules("default", None, None)


def by_row(run: Run) -> str:
    asked = (*RULES, *normals)
    engine = Engine(asked, context_of(run.meta))
    for row in rows_with_samples(run, engine) or rows_of(run):
        engine.feed(row)
    return repr(to_builtins(report_of(run, engine, asked)))


def agrees(run: Run) -> bool:
    """The signs of zeros and the order of findings count, too."""
    return repr(to_builtins(scan(run, RULES))) == by_row(run)


@pytest.mark.slow
@settings(max_examples=at_most(60), deadline=None)
@given(seed=st.integers(0, 10**9), rows=st.integers(1, 400))
def test_odd_runs_get_the_report_of_single_rows(seed: int, rows: int) -> None:
    assert agrees(odd_run(seed, rows))


def samples_of(run: Run, seed: int) -> SampleTable:
    """Some samples of some steps, and of steps that have no row."""
    rng = random.Random(seed)
    steps = sorted({step for step in [*run.metrics.step.tolist(), 10**6] if rng.random() < 0.7})
    at = [step for step in steps for _ in range(rng.choice([1, 4, 8]))]
    numbers = {
        name: [rng.choice([None, float("nan")]) if rng.random() < 0.02 else rng.gauss(0.5, 0.3) for _ in at]
        for name in ("reward", "advantage")
    }
    length = [rng.randint(1, 300) for _ in at]
    return SampleTable(
        columns={"step": at, **numbers, "n_tokens": length, "prompt_id": [str(i // 4 % 9) for i in range(len(at))]}
    )


@pytest.mark.slow
@settings(max_examples=at_most(25), deadline=None)
@given(seed=st.integers(0, 10**9), rows=st.integers(1, 150), alone=st.booleans())
def test_odd_runs_with_samples_get_the_report_of_single_rows(seed: int, rows: int, alone: bool) -> None:
    run = odd_run(seed, rows)
    samples = samples_of(run, seed)
    assert agrees(replace(run, samples=samples, metrics=TableBuilder().build() if alone else run.metrics))


def test_a_metric_that_disappears_within_a_stretch_is_missed() -> None:
    rows = [{"loss": 1.0 + step / 7, "own": step / 3} if step < 40 else {"loss": 1.0 + step / 7} for step in range(90)]
    builder = TableBuilder()
    for step, values in enumerate(rows):
        builder.add(step, values)
    run = Run(id="gone", source="gone", metrics=builder.build(), meta=RunMeta())
    assert "MET003" in {finding.code for finding in scan(run, RULES).findings}
    assert agrees(run)
