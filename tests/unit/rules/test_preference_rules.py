from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rldk.adapters import open_run
from rldk.engine.scan import scan
from rldk.rules.select import select_rules
from rldk.testing import scan_columns

FIXTURES = Path(__file__).parents[2] / "fixtures"
DPO, KTO = {"algorithm": "dpo"}, {"algorithm": "kto"}
EVALUATION = {"algorithm": "dpo", "phase": ["eval"] * 4}
WEIGHTED = {**KTO, "config": {"desirable_weight": 1.0, "undesirable_weight": 3.0}}
NONE: list[float | None] = [None]


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


@pytest.mark.parametrize(
    ("code", "columns", "options", "first_step"),
    [
        ("PREF001", start(0.3, 0.2), DPO, 1),
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


@pytest.mark.parametrize(
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


@pytest.mark.parametrize(
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
        ("PREF001", start(0.3, 0.2), {"algorithm": "kto"}, "defined for dpo"),
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
    assert [(f.code, f.first_step) for f in report.findings] == [("PREF002", 6)]


@pytest.mark.parametrize("folder", ["trl-dpo", "trl-kto"])
def test_healthy_preference_runs_have_no_findings(folder: str) -> None:
    report = scan(open_run(FIXTURES / folder), select_rules(["PREF", "GRAD", "OPT", "DATA", "MET"]))
    assert report.findings == ()
