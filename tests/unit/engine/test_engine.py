from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from rldk.core.model import Report
from rldk.engine.scan import scan
from rldk.rules.page import Page
from rldk.rules.rule import Context, Frame, Rule, Signal
from rldk.testing import run_of, scan_columns

PAGE = Page(what="", sections={})


def _rule(body: Callable[[Frame], Signal | None], **options: Any) -> Rule:
    needs = options.get("needs", ("kl",))
    fields = {"metric": needs[0] if needs else "", "needs": needs} | options
    return Rule(code="TST001", name="test", severity="warn", tier=2, body=body, page=PAGE, **fields)


def _above_one(f: Frame) -> Signal | None:
    return Signal(value=f["kl"], limit=1.0, message="high") if f["kl"] > 1 else None


def _judge(rule: Rule, columns: dict[str, Any], **options: Any) -> Report:
    return scan(run_of(columns, **options), (rule,))


def test_missing_rows_neither_break_nor_feed_a_streak() -> None:
    report = _judge(_rule(_above_one, rows=3), {"kl": [0.0, 2.0, None, 2.0, None, None, 2.0]})
    assert [(f.onset, f.first_step, f.rows) for f in report.findings] == [(2, 7, 3)]


def test_a_stated_nan_is_shown_only_to_rules_that_ask_for_it() -> None:
    columns: dict[str, Any] = {"kl": [1.0, math.nan, None, 1.0]}

    def gone(f: Frame) -> Signal | None:
        return Signal(value=f["kl"]) if f["kl"] != f["kl"] else None

    assert _judge(_rule(gone), columns).findings == ()
    assert [f.first_step for f in _judge(_rule(gone, nonfinite=True), columns).findings] == [2]


def test_missing_input_is_skipped_by_name() -> None:
    report = _judge(_rule(_above_one, needs=("kl", "lr")), {"kl": [2.0]})
    assert [(c.status, c.reason) for c in report.skipped] == [("skipped", "needs lr")]


def test_too_few_rows_is_skipped_not_passed() -> None:
    def needs_past(f: Frame) -> Signal | None:
        return Signal(value=1.0) if f["kl"] > f.median("kl", 10) else None

    report = _judge(_rule(needs_past), {"kl": [1.0, 2.0]})
    assert report.checked == ()
    assert report.skipped[0].reason.startswith("needs more rows: only 2 had")


def test_other_algorithm_is_not_applicable() -> None:
    report = _judge(_rule(_above_one, algorithms=frozenset({"dpo"})), {"kl": [2.0]}, algorithm="ppo")
    assert report.skipped[0].status == "not_applicable"
    unless = _rule(_above_one, unless=lambda c: "beta is 0" if c.config.get("beta") == 0 else None)
    assert _judge(unless, {"kl": [2.0]}, config={"beta": 0.0}).skipped[0].reason == "beta is 0"


def test_patterned_rules_run_once_a_metric_and_miss_nothing_of_late_ones() -> None:
    def moved(f: Frame) -> Signal | None:
        first = f.first(f.metric)
        return Signal(value=f[f.metric], limit=first) if f[f.metric] > first else None

    rule = _rule(moved, needs=(), each=("reward_fn/*/mean",))
    columns: dict[str, Any] = {
        "reward_fn/a/mean": [1.0, 2.0, 2.0, 2.0, 2.0, 2.0],
        "reward_fn/b/mean": [None, None, None, 5.0, 5.0, 6.0],
    }
    assert [(f.metric, f.first_step, f.limit) for f in _judge(rule, columns).findings] == [
        ("reward_fn/a/mean", 2, 1.0),
        ("reward_fn/b/mean", 6, 5.0),
    ]


def test_eval_rows_have_a_memory_of_their_own() -> None:
    def count(f: Frame) -> Signal | None:
        n = f.count("kl")
        return Signal(value=n) if n == 2 else None

    report = _judge(_rule(count, phase="eval"), {"kl": [1.0, 9.0, 2.0]}, phase=["train", "eval", "eval"])
    assert [f.first_step for f in report.findings] == [3]


def test_eval_rows_carry_the_training_reward_of_their_time() -> None:
    def beside(f: Frame) -> Signal | None:
        return Signal(value=f["train_reward_mean"]) if f["train_reward_mean"] > 0 else None

    rule = _rule(beside, phase="eval", needs=("eval_reward_mean", "train_reward_mean"))
    columns: dict[str, Any] = {"reward_mean": [1.0, 2.0, None], "eval_reward_mean": [None, None, 0.5]}
    report = _judge(rule, columns, phase=["train", "train", "eval"])
    assert [(f.first_step, f.value) for f in report.findings] == [(3, pytest.approx(1.2))]


def test_a_feature_of_a_metric_the_run_lacks_does_not_make_a_rule_skipped() -> None:
    def optional(f: Frame) -> Signal | None:
        return Signal(value=1.0) if f["kl"] > f.highest("lr") else None

    assert _judge(_rule(optional), {"kl": [1.0, 2.0]}).checked == ("TST001",)


def test_a_feature_not_asked_for_at_binding_is_an_error() -> None:
    def late(f: Frame) -> Signal | None:
        return Signal(value=f.mean("kl", 2)) if f["kl"] > 0 else None

    with pytest.raises(KeyError):
        _judge(_rule(late), {"kl": [1.0]})


def test_the_users_own_name_stands_beside_the_canonical_one() -> None:
    report = _judge(_rule(_above_one), {"kl": [2.0]}, names={"kl": "objective/kl"})
    assert report.findings[0].evidence == {"logged_as": "objective/kl"}


def test_nothing_to_look_at_is_not_a_pass() -> None:
    assert _judge(_rule(_above_one), {"lr": [1.0]}).verdict.startswith("Not checked")


def test_context_reaches_the_rule() -> None:
    def config(f: Frame) -> Signal | None:
        return Signal(value=f.progress(), limit=f.config("beta", "kl_coef")) if f["kl"] > 0 else None

    finding = _judge(_rule(config), {"kl": [1.0]}, total_steps=4, config={"kl_coef": 0.5}).findings[0]
    assert (finding.value, finding.limit) == (0.25, 0.5)
    assert Context().algorithm is None


def test_evaluation_rules_are_given_the_level_of_training() -> None:
    def gap(f: Frame) -> Signal | None:
        return Signal(value=f["train_reward_mean"]) if f["reward_mean"] < f["train_reward_mean"] else None

    rule = _rule(gap, needs=("reward_mean", "train_reward_mean"), phase="eval")
    report = _judge(rule, {"reward_mean": [5.0, 5.0, 1.0]}, phase=["train", "train", "eval"])
    assert [(f.first_step, f.value) for f in report.findings] == [(3, 5.0)]


def test_a_rule_that_raises_is_given_up_and_says_so() -> None:
    def inverse(f: Frame) -> Signal | None:
        return Signal(value=1 / f["kl"]) if 1 / f["kl"] > 9 else None

    report = _judge(_rule(inverse), {"kl": [1.0, 0.0, 0.1]})
    assert report.findings == ()
    assert report.checked == ()
    assert "ZeroDivisionError on the row of step 2" in report.skipped[0].reason


def test_every_finding_carries_how_the_gradient_norms_compare() -> None:
    rows = {"reward_mean": [0.5, 0.4, float("nan")], "grad_norm_policy": [6.0, 8.0, None], "grad_norm_value": [2.0] * 3}
    (finding,) = scan_columns("REW010", rows).findings  # type: ignore[arg-type]
    assert finding.evidence["policy_over_value"] == 4.0
    assert finding.evidence["value_over_policy"] == 0.25
