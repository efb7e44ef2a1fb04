from __future__ import annotations

import random
from typing import Any

import pytest
from examples import each_of

from rldk.testing import scan_columns

BEFORE, AFTER = 40, 20
STEP = [*range(1, BEFORE + 1), *range(21, 21 + AFTER)]


def resumed(**levels: tuple[float, float]) -> dict[str, Any]:
    """Columns that stand at the first level before the restart and at the second after it."""
    rng = random.Random(3)
    return {
        name: [level * (1 + rng.uniform(-0.02, 0.02)) for level in [a] * BEFORE + [b] * AFTER]
        for name, (a, b) in levels.items()
    }


def test_fires_when_two_metrics_are_elsewhere_after_a_restart() -> None:
    report = scan_columns("CKPT001", resumed(entropy=(2.0, 1.2), kl=(0.5, 0.5), grad_norm=(1.0, 8.0)), step=STEP)
    (finding,) = report.findings
    assert (finding.first_step, finding.severity, finding.metric) == (30, "warn", "entropy")
    assert "step 21" in finding.message
    assert "grad_norm" in finding.message


@each_of(
    ("columns", "step"),
    [
        (resumed(entropy=(2.0, 1.2), kl=(0.5, 0.5)), STEP),  # one metric
        (resumed(entropy=(2.0, 1.9), grad_norm=(1.0, 1.5)), STEP),  # too little
        (resumed(entropy=(2.0, 1.2), grad_norm=(1.0, 8.0)), list(range(1, 61))),  # no restart
        (resumed(entropy=(2.0, 1.2), grad_norm=(1.0, 8.0)), [*range(1, 41), *range(1, 21)]),  # a new run
    ],
)
def test_stays_quiet_where_the_run_goes_on_or_is_a_new_one(columns: dict[str, Any], step: list[int]) -> None:
    report = scan_columns("CKPT001", columns, step=step)
    assert (report.findings, report.checked) == ((), ("CKPT001",))


EVAL: dict[str, Any] = {"phase": ["eval"] * 12}
PEAKED: list[Any] = [0.1, 0.3, 0.5, 0.8, 0.79, 0.7, 0.6, 0.5, 0.5, 0.49, 0.5, 0.5]


def test_fires_when_the_best_evaluation_is_long_past() -> None:
    report = scan_columns("CKPT003", {"eval_reward_mean": PEAKED}, **EVAL)
    assert [(f.first_step, f.severity, f.limit) for f in report.findings] == [(9, "info", 0.8)]


def test_preference_training_is_judged_by_its_loss() -> None:
    loss = [1 - x for x in PEAKED if x is not None]
    pairs = {"eval_loss": loss, "eval_pref_accuracy": [0.7] * 12, "eval_reward_mean": [0.1 * i for i in range(12)]}
    assert [f.metric for f in scan_columns("CKPT003", pairs, **EVAL).findings] == ["eval_loss"]
    policy = {"eval_loss": loss, "eval_reward_mean": [0.1 * i for i in range(12)]}
    assert scan_columns("CKPT003", policy, **EVAL).findings == ()


def test_a_best_within_the_noise_is_not_long_past() -> None:
    noisy = [0.1, 0.3, 0.5, 0.8, 0.6, 0.8, 0.6, 0.78, 0.6, 0.79, 0.6, 0.78]
    report = scan_columns("CKPT003", {"eval_reward_mean": noisy}, **EVAL)
    assert (report.findings, report.checked) == ((), ("CKPT003",))


def test_says_what_is_missing() -> None:
    (check,) = scan_columns("CKPT003", {"loss": [1.0] * 30}).skipped
    assert check.reason == "needs eval_reward_mean or eval_loss"


def way(*legs: tuple[float, float, int]) -> list[Any]:
    """Legs from one level to another in so many rows, with a little noise."""
    rng = random.Random(4)
    return [a + (b - a) * (i / n + rng.uniform(-0.01, 0.01)) for a, b, n in legs for i in range(n)]


LOST = {
    "reward_mean": way((0.2, 0.5, 40), (0.2, 0.3, 15)),
    "kl": way((0.0, 0.02, 40), (0.0, 0.005, 15)),
    "response_length_mean": way((500.0, 700.0, 40), (500.0, 540.0, 15)),
}
WARM_UP: list[Any] = [1e-6 * (1 - i / 80) for i in range(40)] + [1e-7 * (i + 1) for i in range(15)]


@pytest.mark.parametrize("columns", [LOST, {**LOST, "lr": WARM_UP, "kl": way((0.0, 0.02, 55))}])
def test_training_that_began_again_is_said_on_the_third_row(columns: dict[str, Any]) -> None:
    (finding,) = scan_columns("CKPT002", columns).findings
    assert (finding.first_step, finding.severity) == (43, "warn")


@pytest.mark.parametrize(
    "changed",
    [
        {"kl": way((0.0, 0.02, 55))},  # two, and no warm-up
        {"kl": way((0.0, 0.02, 55)), "response_length_mean": way((500.0, 700.0, 55))},
        {name: column[:42] for name, column in LOST.items()},
    ],
)
def test_fewer_metrics_are_no_new_beginning(changed: dict[str, Any]) -> None:
    rows = min(len(column) for column in changed.values())
    columns = {name: column[:rows] for name, column in (LOST | changed).items()}
    assert scan_columns("CKPT002", columns).findings == ()


def test_a_new_beginning_needs_the_reward() -> None:
    (check,) = scan_columns("CKPT002", {"kl": LOST["kl"]}).skipped
    assert check.reason == "needs reward_mean"
