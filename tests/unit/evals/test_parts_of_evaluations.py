"""Several tasks or categories in one evaluation: measured each on its own, and shown the gravest first."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rldk.cards.terminal import render
from rldk.evals import run
from rldk.evals.suites import Suite

LENGTHS = Suite(name="lengths", description="", evaluations=("length_bias",))
SLICES = Suite(name="slices", description="", evaluations=("slices",))


def scored(task: str, mean: float, length: int, *, slope: float = 0.0, each: int = 1) -> list[dict[str, Any]]:
    """300 answers whose reward goes with the length inside the task by `slope`."""
    rng = np.random.default_rng(len(task))
    off = rng.integers(-10, 11, 300)
    reward = mean + slope * off / 10 + rng.normal(0, 0.1, 300)
    return [
        {"task": task, "prompt_id": f"{task}-{i // each}", "reward": float(reward[i]), "n_tokens": int(length + off[i])}
        for i in range(300)
    ]


def test_a_task_with_long_answers_and_high_scores_makes_no_length_bias() -> None:
    rows = [*scored("short", 0.2, 20), *scored("long one", 0.8, 80)]
    found = run(rows, LENGTHS)
    assert found.scores.keys() == {"length_bias", "length_bias.short", "length_bias.long one"}
    assert all(one.status == "pass" and (one.value or 0) < 0.2 for one in found.raw_results.values())
    assert found.raw_results["length_bias"].method == "Spearman within tasks"
    mixed = run([{**row, "task": "one"} for row in rows], LENGTHS)
    assert (mixed.raw_results["length_bias"].status, len(mixed.scores)) == ("warn", 1)
    assert "each prompt has one answer" in mixed.raw_results["length_bias"].reason


@pytest.mark.parametrize(("each", "state"), [(1, "warn"), (4, "fail")])
def test_one_task_of_several_with_a_length_bias_is_named(each: int, state: str) -> None:
    rows = [*scored("short", 0.2, 20, each=each), *scored("long one", 0.8, 80, slope=1.0, each=each)]
    found = run(rows, LENGTHS)
    states = {name: one.status for name, one in found.raw_results.items()}
    assert (states["length_bias.short"], states["length_bias.long one"]) == ("pass", state)
    assert "length bias: long one" in found.verdict.lower()


def test_many_parts_have_a_table_of_their_own_with_the_gravest_first() -> None:
    rng = np.random.default_rng(0)
    rows = [
        {"prompt_id": f"{c}-{i}", "category": f"topic {c}", "correct": int(rng.random() < (0.3 if c == 7 else 0.6))}
        for c in range(12)
        for i in range(100)
    ]
    text = render(run(rows, SLICES))
    first = text.split("Measurements: 12 slices\n")[1].splitlines()[0]
    assert first.startswith("  - topic 7 against the rest WARNS: -0.")
    assert "no lower score, adjusted p" in text
    assert "100 cases" in text
    assert "and 6 more with --all" in text
