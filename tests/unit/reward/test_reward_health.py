"""`rldk.reward.health`: each check on data with a planted fault, next to it, and without what it needs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from examples import each_of
from made_rewards import answers, pairs, rows

import rldk
from rldk.errors import NoData, UnknownName, UsageError
from rldk.reward import RewardHealthReport, health, reward_health


def codes(report: RewardHealthReport) -> set[str]:
    return {f.code for f in report.findings}


def test_a_clean_reward_passes_and_says_what_it_could_not_look_at() -> None:
    report = health(rows(answers()))
    assert (report.passed, codes(report)) == (True, set())
    assert report.status("length_bias") == report.status("shortcuts") == report.status("saturation") == "pass"
    for name in ("drift", "calibration", "label_leakage", "overoptimization", "label_noise", "data_imbalance"):
        check = report.checks[name]
        assert (check.status, check.value) == ("not_available", None)
        assert check.needs
    assert report.calibration_score is None
    assert report.drift_detected is None
    assert report.label_leakage_risk is None
    without = [check for check in report.checks.values() if check.status == "not_available"]
    assert f"{len(without)} of {len(report.checks)} checks need data that is not there" in report.verdict


@each_of(
    ("planted", "code", "check"),
    [
        ({"per_word": 0.1}, "LEN020", "length_bias"),
        ({"per_word": -0.1}, "LEN020", "length_bias"),
        ({"listed": 2.0}, "RM020", "shortcuts"),
        ({"position": 0.5}, "RM021", "shortcuts"),
    ],
)
def test_a_planted_shortcut_is_named(planted: dict[str, Any], code: str, check: str) -> None:
    report = health(rows(answers(**planted)))
    assert code in codes(report)
    assert report.status(check) in ("warn", "fail")
    assert report.fixes


def test_a_reward_that_is_always_the_same_follows_nothing_that_can_be_measured() -> None:
    data = answers()
    del data["position"]
    report = health(rows({**data, "reward": [1.0] * 480}))
    assert report.status("saturation") == "fail"
    assert report.status("shortcuts") == report.status("length_bias") == "not_available"


def test_length_bias_has_severity_direction_and_advice() -> None:
    bias = health(rows(answers(per_word=-0.1))).length_bias_metrics
    assert bias is not None
    assert bias.bias_direction == "shorter"
    assert bias.bias_severity == -bias.correlation > 0.5
    assert bias.longer_wins is not None
    assert bias.longer_wins[0] < 0.5
    assert health(rows(answers(per_word=0.1))).length_bias_recommendations


@pytest.mark.slow
def test_the_threshold_of_length_bias_decides_and_the_interval_tells_a_warning_from_a_failure() -> None:
    data = rows(answers(per_word=0.03))
    report = health(data)
    bias = report.length_bias_metrics
    assert bias is not None
    assert bias.low is not None
    at = {limit: health(data, threshold_length_bias=limit).status("length_bias") for limit in (
        bias.low - 0.01, (bias.low + bias.correlation) / 2, bias.correlation + 0.01)}  # fmt: skip
    assert list(at.values()) == ["fail", "warn", "pass"]


def test_a_bias_that_prompts_make_is_not_one_and_one_that_they_hide_is_found() -> None:
    rng = np.random.default_rng(0)
    hard = np.repeat(rng.normal(size=100), 4)
    within = rng.normal(size=400)
    made = {
        "confounded": (100 + 30 * hard + 5 * within, -hard + rng.normal(size=400) * 0.5),
        "masked": (100 + 30 * hard + 5 * within, -1.5 * hard + within + 0.3 * rng.normal(size=400)),
    }
    found = {}
    for name, (length, reward) in made.items():
        data = {"prompt": np.repeat(np.arange(100), 4).astype(str), "n_tokens": length, "reward": reward}
        found[name] = health(pd.DataFrame(data))
    assert found["confounded"].status("length_bias") == "pass"
    assert found["masked"].status("length_bias") == "fail"
    assert np.corrcoef(*made["masked"])[0, 1] < 0


def test_without_prompts_a_length_bias_warns_at_most() -> None:
    columns = answers(per_word=0.2)
    del columns["prompt"]
    report = health(rows(columns))
    assert report.status("length_bias") == "warn"
    assert report.length_bias_metrics is not None
    assert report.length_bias_metrics.confounded == "unknown"


@pytest.mark.slow
def test_scores_that_are_log_odds_are_calibrated_and_larger_ones_are_not() -> None:
    fair, sure = health(rows(pairs())), health(rows(pairs(scale=4.0)))
    assert fair.status("calibration") == "pass"
    assert fair.calibration_score is not None
    assert fair.calibration_score > 0.9
    assert "RM023" in codes(sure)
    assert sure.calibration_details is not None
    assert sure.calibration_details.slope.low <= 0.25 <= sure.calibration_details.slope.high


@pytest.mark.slow
def test_flipped_labels_are_counted() -> None:
    report = health(rows(pairs(count=4000, scale=3.0, flip=0.2)))
    check = report.checks["label_noise"]
    assert "DATA050" in codes(report)
    assert check.low is not None
    assert check.high is not None
    assert check.low <= 0.2 <= check.high
    assert health(rows(pairs(count=4000))).status("label_noise") == "pass"


def test_swapped_pairs_are_at_chance() -> None:
    columns = pairs()
    swapped = {"chosen_score": columns["rejected_score"], "rejected_score": columns["chosen_score"]}
    report = health(rows(swapped))
    assert "RM024" in codes(report)
    assert not report.passed


@pytest.mark.slow
def test_gold_scores_give_pairs_by_column_by_row_and_by_id() -> None:
    columns = answers()
    columns["id"] = [f"a{i}" for i in range(len(columns["reward"]))]
    gold = [r + g for r, g in zip(columns["reward"], np.random.default_rng(1).normal(size=480), strict=True)]
    data = rows(columns)
    by_row = health(data, gold=gold)
    by_id = health(data, gold=dict(zip(columns["id"], gold, strict=True)))
    by_column = health(rows({**columns, "truth": gold}), gold="truth")
    assert by_row.calibration_score == by_id.calibration_score == by_column.calibration_score is not None
    with pytest.raises(UsageError, match="3 gold scores for 480 rows"):
        health(data, gold=[1.0, 2.0, 3.0])
    with pytest.raises(UnknownName, match="trut"):
        health(data, gold="trut")


def test_drift_from_a_reference_has_its_size_inside_its_interval() -> None:
    data, other = rows(answers(1)), rows(answers(2))
    same = health(data, other)
    assert (same.drift_detected, same.status("drift")) == (False, "pass")
    moved = [{**row, "reward": 1.5 * row["reward"] + 0.5} for row in data]
    report = health(moved, other)
    drift = report.drift_metrics["reference"]
    assert report.drift_detected
    assert drift.mean.low <= 0.5 <= drift.mean.high
    assert drift.scale.low <= 1.5 <= drift.scale.high


def test_a_rising_reward_is_no_drift_and_a_falling_one_is() -> None:
    rng = np.random.default_rng(3)
    step = np.repeat(np.arange(50), 8)
    for sign, code in ((1, False), (-1, True)):
        reward = sign * step / 25 + rng.normal(size=400)
        report = health(pd.DataFrame({"step": step, "reward": reward}))
        assert ("RM028" in codes(report)) is code
        assert report.drift_detected is code


def test_rewards_that_are_clipped_are_at_a_bound_and_two_values_are_not() -> None:
    columns = answers()
    clipped = [min(r, 0.0) for r in columns["reward"]]
    report = health(rows({**columns, "reward": clipped}))
    assert "RM025" in codes(report)
    assert report.saturation_analysis is not None
    assert report.saturation_analysis.bound == 0.0
    assert report.saturation_issues
    verified = [float(r > 0) for r in columns["reward"]]
    assert "RM025" not in codes(health(rows({**columns, "reward": verified})))


def test_a_declared_range_decides_where_the_bound_is() -> None:
    columns = {"reward": [0.5 + i / 1000 for i in range(100)]}
    bound = health(rows(columns), reward_range=(0.0, 10.0)).saturation_analysis
    assert bound is not None
    assert (bound.declared, bound.share.value) == (True, 0.0)


def test_groups_in_which_all_rewards_are_equal_are_counted() -> None:
    columns = answers()
    easy = [1.0 if i // 4 % 4 else r for i, r in enumerate(columns["reward"])]
    report = health(rows({**columns, "reward": easy}))
    assert "RM026" in codes(report)
    assert report.flat_group_share == pytest.approx(0.75)


def test_gold_that_falls_while_the_reward_rises_fails() -> None:
    rng = np.random.default_rng(4)
    step = np.repeat(np.arange(60), 6)
    up = step / 30 + 0.3 * rng.normal(size=360)
    down = np.where(step < 25, step / 25, 1 - (step - 25) / 35) + 0.3 * rng.normal(size=360)
    report = health(pd.DataFrame({"step": step, "reward": up, "gold_score": down}))
    assert "RM029" in codes(report)
    assert report.overoptimization is not None
    assert 15 < report.overoptimization.peak < 35
    assert "RM029" not in codes(health(pd.DataFrame({"step": step, "reward": up, "gold_score": up})))


@pytest.mark.slow
def test_validation_rows_that_stand_in_training_are_counted() -> None:
    train, held = rows(answers(5)), rows(answers(6, prompts=100))
    for row in held:
        row["prompt"] += " held"
    copied = [{**held[i], **{k: train[i][k] for k in ("prompt", "response")}} for i in range(40)]
    data = [{**row, "split": "train"} for row in train] + [{**row, "split": "val"} for row in copied + held[40:]]
    report = health(data)
    assert "EVAL006" in codes(report)
    assert report.label_leakage_risk == pytest.approx(0.1)
    clean = [{**row, "split": "train"} for row in train] + [{**row, "split": "val"} for row in held]
    assert health(clean).label_leakage_risk == 0.0


@pytest.mark.slow
def test_a_model_that_remembers_its_training_rows_is_named() -> None:
    train, held = pairs(7, scale=1.0), pairs(8)
    sure = [abs(a - b) for a, b in zip(train["chosen_score"], train["rejected_score"], strict=True)]
    data = [{"chosen_score": s, "rejected_score": 0.0, "split": "train"} for s in sure]
    data += [{**row, "split": "validation"} for row in rows(held)]
    report = health(data)
    assert "EVAL007" in codes(report)
    assert report.status("label_leakage") in ("warn", "fail")


def test_contradicting_pairs_and_rare_labels_are_counted() -> None:
    columns = {
        **pairs(count=100),
        "chosen": [f"good {i}" for i in range(100)],
        "rejected": [f"bad {i}" for i in range(100)],
    }
    data = rows(columns)
    turned = [{**row, "chosen": row["rejected"], "rejected": row["chosen"]} for row in data[:10]]
    assert "DATA053" in codes(health(data + turned))
    labels = [{"reward": float(i % 7), "label": int(i % 50 == 0)} for i in range(1000)]
    report = health(labels)
    assert "DATA051" in codes(report)
    assert report.checks["data_imbalance"].value == pytest.approx(0.02)


def test_rewards_that_are_no_numbers_are_counted_and_the_rest_is_looked_at() -> None:
    data = rows(answers())
    odd: list[Any] = [float("nan"), None, "n/a", float("inf"), {"a": 1}, []]
    for place, value in enumerate(odd):
        data[place]["reward"] = value
    report = health(data)
    assert "DATA052" in codes(report)
    assert report.numbers["rewards"] == len(data) - 6
    assert report.checks["missing_rewards"].status == "fail"
    assert report.status("length_bias") == "pass"


def test_a_log_of_steps_is_looked_at_as_far_as_it_goes() -> None:
    rng = np.random.default_rng(9)
    frame = pd.DataFrame({"step": range(200), "reward_mean": np.linspace(0, 1, 200) + 0.05 * rng.normal(size=200)})
    report = health(frame)
    assert report.status("drift") == "pass"
    assert report.status("length_bias") == "not_available"


@pytest.mark.parametrize(
    "data",
    [
        [{"reward": 1.0}] * 3,
        [{"reward": float("nan")}] * 50,
        [{"reward": float("nan"), "prompt": "a", "response": "b"}] * 50,
    ],
)
def test_too_little_is_not_judged(data: list[dict[str, Any]]) -> None:
    report = health(data)
    assert not report.passed
    assert "Not judged" in report.verdict or report.status("missing_rewards") == "fail"


def test_constant_rewards_are_at_a_bound_and_nothing_else_is_made_of_them() -> None:
    columns = answers()
    report = health(rows({**columns, "reward": [1.0] * len(columns["reward"])}))
    assert report.status("saturation") == "fail"
    assert report.length_bias_metrics is None
    assert report.status("length_bias") == "not_available"


@pytest.mark.slow
def test_the_report_goes_through_json_and_the_same_seed_gives_the_same_bytes() -> None:
    data = rows(answers(per_word=0.1, listed=1.0))
    report = health(data, rows(answers(3)))
    plain = report.to_dict()
    assert plain == health(data, rows(answers(3))).to_dict()
    assert RewardHealthReport.from_dict(plain).to_dict() == plain


@pytest.mark.slow
def test_reward_health_has_the_report_and_the_numbers_of_both() -> None:
    both = reward_health(rows(answers(1)), rows(answers(2)))
    assert isinstance(both.report, rldk.RewardHealthReport)
    assert both.metrics["samples"] == 480
    assert both.reference_metrics is not None
    assert both.passed == both.report.passed
    assert both.length_bias_metrics == both.report.length_bias_metrics
    assert rldk.reward_health(rows(answers(1))).reference_metrics is None


def test_wrong_calls_say_what_to_give() -> None:
    data = rows(answers())
    with pytest.raises(UnknownName, match="rewrd"):
        health(data, reward_col="rewrd")
    with pytest.raises(UsageError, match="threshold_drift"):
        health(data, threshold_drift=float("nan"))
    with pytest.raises(UsageError, match="no field is called"):
        health(data, columns={"answers": "response"})
    with pytest.raises(NoData, match="no column of rewards"):
        health([{"text": "a"}])
    with pytest.raises(NoData):
        health([])
    with pytest.raises(UnknownName, match="LEN999"):
        health(data, select="LEN999")


def test_a_selection_leaves_the_other_checks_open() -> None:
    report = health(rows(answers(per_word=0.1)), select="LEN")
    assert report.checked == ("LEN020",)
    assert report.status("saturation") == "not_available"
