from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from examples import each_of

from rldk.adapters import open_run
from rldk.engine.scan import scan
from rldk.rules.select import select_rules
from rldk.testing import scan_columns

FIXTURES = Path(__file__).parents[3] / "fixtures"
DPO, KTO = {"algorithm": "dpo"}, {"algorithm": "kto"}
EVALUATION = {"algorithm": "dpo", "phase": ["eval"] * 4}
WEIGHTED = {**KTO, "config": {"desirable_weight": 1.0, "undesirable_weight": 3.0}}
NONE: list[Any] = [None]


def start(margin: float, chosen: float, logp: float = -40.0) -> dict[str, Any]:
    return {"pref_margin": [margin, 0.3], "pref_reward_chosen": [chosen, 0.2], "logp_chosen": [logp, logp]}


def falling(entropy: float) -> dict[str, Any]:
    return {"logp_chosen": [-20.0, -61.0, -70.0, -80.0], "entropy": [4.0, *[entropy] * 3]}


def held_out(loss: list[float], accuracy: list[float]) -> dict[str, Any]:
    return {"eval_pref_margin": [1.0, 2.0, 3.0, 4.0], "eval_loss": loss, "eval_pref_accuracy": accuracy}


def kinds(rare: int) -> dict[str, Any]:
    undesirable = ([0.1] * rare + NONE * (10 - rare)) * 6
    return {"pref_reward_chosen": [0.1] * 60, "pref_reward_rejected": undesirable}


OVERFIT = held_out([0.50, 0.40, 0.45, 0.55], [0.7, 0.8, 0.75, 0.75])
EASY = {"pref_accuracy": [1.0] * 12, "epoch": [0.004 * i for i in range(1, 13)]}


@each_of(
    ("code", "columns", "options", "first_step"),
    [
        ("PREF001", start(0.3, 0.2), DPO, 1),
        ("PREF001", start(0.3, 0.2), KTO, 1),
        ("PREF002", falling(1.9), DPO, 4),
        ("PREF004", EASY, DPO, 10),
        ("PREF004", EASY, {"algorithm": "reward_model"}, 10),
        ("PREF005", kinds(3), KTO, 50),
        ("PREF006", OVERFIT, EVALUATION, 4),
    ],
)
def test_fires(code: str, columns: dict[str, Any], options: dict[str, Any], first_step: int) -> None:
    report = scan_columns(code, columns, **options)
    assert [(f.code, f.first_step) for f in report.findings] == [(code, first_step)]


@each_of(
    ("code", "columns", "options"),
    [
        ("PREF001", start(0.01, -0.01), DPO),
        ("PREF001", start(0.3, 0.2), {**DPO, "step": [10, 20]}),  # an average over ten steps
        ("PREF001", start(2.0, -4.0), DPO),  # no reference: the reward is 0.1 times the log-probability
        ("PREF002", falling(2.1), DPO),
        ("PREF002", {"logp_chosen": [-20.0, -58.0, -58.0, -58.0], "entropy": [4.0, 1.0, 1.0, 1.0]}, DPO),
        ("PREF004", {**EASY, "epoch": [0.01 * i for i in range(1, 13)]}, DPO),
        ("PREF005", kinds(5), KTO),
        ("PREF006", held_out([0.50, 0.40, 0.45, 0.55], [0.7, 0.8, 0.85, 0.9]), EVALUATION),
        ("PREF006", held_out([0.50, 0.40, 0.43, 0.43], [0.7, 0.8, 0.75, 0.75]), EVALUATION),
    ],
)
def test_stays_quiet_near_the_limit(code: str, columns: dict[str, Any], options: dict[str, Any]) -> None:
    report = scan_columns(code, columns, **options)
    assert report.findings == ()
    assert code in report.checked or code == "PREF002"


@each_of(
    ("code", "columns", "options", "reason"),
    [
        ("PREF001", {"pref_margin": [0.3]}, DPO, "needs pref_reward_chosen"),
        ("PREF002", {"loss": [0.3]}, DPO, "needs logp_chosen"),
        ("PREF004", {"pref_accuracy": [1.0] * 12}, DPO, "needs epoch"),
        ("PREF005", {"loss": [0.3]}, KTO, "needs pref_reward_chosen or pref_reward_rejected"),
        ("PREF006", {"eval_loss": [0.3] * 4}, EVALUATION, "needs eval_pref_margin, eval_pref_accuracy"),
        (
            "PREF005",
            kinds(3),
            {**KTO, "config": {"desirable_weight": 1.0, "undesirable_weight": 3.0}},
            "the run weights",
        ),
    ],
)
def test_says_what_is_missing(code: str, columns: dict[str, Any], options: dict[str, Any], reason: str) -> None:
    (check,) = scan_columns(code, columns, **options).skipped
    assert check.reason.startswith(reason)


def test_half_precision_at_the_start_is_a_warning() -> None:
    small, large = scan_columns("PREF001", start(0.05, 0.04), **DPO), scan_columns("PREF001", start(0.3, 0.2), **DPO)
    assert (small.worst(), large.worst()) == ("warn", "critical")


def test_token_accuracy_is_a_witness_where_entropy_is_not_logged() -> None:
    columns = {"logp_chosen": [-20.0, -61.0, -70.0, -80.0], "token_accuracy": [0.6, 0.2, 0.2, 0.2]}
    assert [f.first_step for f in scan_columns("PREF002", columns, **DPO).findings] == [4]


def test_a_dpo_run_with_a_far_too_high_learning_rate_is_named() -> None:
    report = scan(open_run(FIXTURES / "trl-dpo-hot" / "trainer_state.json"), select_rules(["PREF"]))
    assert [(f.code, f.first_step) for f in report.findings] == [("PREF002", 6), ("PREF010", 10)]


@pytest.mark.parametrize("folder", ["trl-dpo", "trl-kto"])
def test_healthy_preference_runs_have_no_findings(folder: str) -> None:
    report = scan(open_run(FIXTURES / folder), select_rules(["PREF", "GRAD", "OPT", "DATA", "MET"]))
    assert report.findings == ()


def untaught(margin: float, accuracy: float | None, loss: float, rows: int = 100) -> dict[str, Any]:
    rng = random.Random(1)
    columns: dict[str, Any] = {
        "pref_margin": [0.0, *(margin + rng.gauss(0, 0.1) for _ in range(rows - 1))],
        "loss": [0.6931, *(loss + rng.gauss(0, 0.01) for _ in range(rows - 1))],
    }
    if accuracy is not None:
        columns["pref_accuracy"] = [0.0, *(accuracy + rng.gauss(0, 0.15) for _ in range(rows - 1))]
    return columns


@pytest.mark.parametrize(
    ("algorithm", "columns", "words"),
    [
        ("dpo", untaught(0.0, 0.5, 0.694), "nothing tells chosen from rejected"),
        ("kto", untaught(0.0, None, 0.694), "nothing tells chosen from rejected"),
        ("dpo", untaught(-0.5, 0.2, 0.9), "the wrong way round"),
    ],
)
def test_preferences_that_are_not_learnt(algorithm: str, columns: dict[str, Any], words: str) -> None:
    (finding,) = scan_columns("PREF003", columns, algorithm=algorithm).findings
    assert (finding.first_step, finding.severity) == (64, "warn")
    known = scan_columns("PREF003", columns, algorithm=algorithm, total_steps=200)
    assert [f.first_step for f in known.findings] == [44]
    assert words in finding.message


@pytest.mark.parametrize(
    "columns",
    [
        untaught(0.1, 0.55, 0.68),
        untaught(0.1, 0.5, 0.694),  # accuracy at chance by ties, the margin grows
        untaught(0.0, 0.5, 0.6),
    ],
)
def test_preferences_that_are_learnt_slowly(columns: dict[str, Any]) -> None:
    report = scan_columns("PREF003", columns, algorithm="dpo")
    assert (report.findings, report.checked) == ((), ("PREF003",))


def test_preferences_not_learnt_says_what_is_missing() -> None:
    (check,) = scan_columns("PREF003", {"loss": [0.69] * 70}, algorithm="dpo").skipped
    assert check.reason == "needs pref_margin"
