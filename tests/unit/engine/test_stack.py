"""Runs that are scanned together get the reports that each gets alone."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest

from rldk.core.codec import to_builtins
from rldk.core.model import Run, RunMeta
from rldk.core.table import TableBuilder
from rldk.engine.scan import scan
from rldk.engine.stacks import stack
from rldk.engine.stacks.stack import scan_all
from rldk.rules.chosen import chosen_rules

NAMES = ("reward_mean", "kl", "entropy", "loss", "policy_loss", "grad_norm", "clip_frac", "response_length_mean")
RULES = chosen_rules("default", None, None)


def _run(
    seed: int, rows: int = 60, change: Callable[[int, dict[str, float]], None] = lambda *_: None, **meta: object
) -> Run:
    rng, builder = random.Random(seed), TableBuilder()
    levels = [rng.uniform(0.1, 2.0) for _ in NAMES]
    for step in range(rows):
        values = {name: abs(rng.gauss(level, 0.05)) for name, level in zip(NAMES, levels, strict=True)}
        values |= {"lr": 1e-5, "reward_mean": min(step, 40) / rows + rng.gauss(0, 0.1)}
        change(step, values)
        builder.add(step, values)
    given = {"format": "jsonl", "names": {name: name for name in (*NAMES, "lr")}, **meta}
    return Run(id=f"run_{seed}", source="log", metrics=builder.build(), meta=RunMeta(**given))  # type: ignore[arg-type]


def _alone(runs: list[Run]) -> list[object]:
    return [to_builtins(scan(run, RULES)) for run in runs]


def _together(runs: list[Run]) -> list[object]:
    return [to_builtins(report) for report in scan_all(runs, RULES)]


def test_runs_of_different_lengths() -> None:
    runs = [_run(seed, rows) for seed, rows in enumerate((60, 20, 75, 13, 61, 60, 12, 3))]
    assert _together(runs) == _alone(runs)


def _set(name: str, value: float, at: int) -> Callable[[int, dict[str, float]], None]:
    return lambda step, values: values.update({name: value}) if step >= at else None


def test_what_happens_to_one_run_is_said_of_that_one() -> None:
    changes = [
        _set("kl", 9.0, 30), _set("loss", math.nan, 45), _set("grad_norm", -0.0, 50), _set("entropy", 0.0, 5),
        _set("reward_mean", 1.0, 0), _set("clip_frac", 0.9, 20), _set("value_loss", 1.0, 10), _set("loss", 1e305, 40),
        lambda step, values: values.pop("kl") and None if step % 3 else None,
    ]  # fmt: skip
    runs = [_run(seed, 60, change) for seed, change in enumerate([*changes, lambda *_: None, lambda *_: None])]
    assert _together(runs) == _alone(runs)


def test_runs_of_which_rules_know_different_things_are_told_apart() -> None:
    configs: list[dict[str, object]] = [{}, {"learning_rate": 1.0}, {"learning_rate": 1e-5}, {}, {"learning_rate": 1.0}]
    runs = [_run(seed, config=config) for seed, config in enumerate(configs)]
    assert _together(runs) == _alone(runs)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_many_random_runs(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(seed)
    monkeypatch.setattr(stack, "MOST_ROWS", rng.choice((400, 1 << 14)))
    changes = [_set(rng.choice(NAMES), rng.choice((0.0, 1e-9, 50.0, 0.3)), rng.randrange(60)) for _ in range(12)]
    runs = [_run(100 * seed + i, rng.randrange(13, 220), change) for i, change in enumerate(changes)]
    assert _together(runs) == _alone(runs)
