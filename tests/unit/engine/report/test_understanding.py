"""How much of a log was understood: metrics that were there, columns that nobody knows, what they may be."""

from __future__ import annotations

import math
from fnmatch import fnmatchcase
from typing import Any

import pytest
from examples import each_of

from rldk.core.algorithms import ALGORITHMS
from rldk.core.model import COUNTED, Understanding
from rldk.core.vocabulary import vocabulary
from rldk.engine.report.essentials import needs_of
from rldk.engine.scan import scan
from rldk.rules.rule import rules
from rldk.testing import run_of


def understood(columns: dict[str, Any], **options: Any) -> Understanding:
    found = scan(run_of(columns, **options), ()).understanding
    assert found is not None
    return found


def of(metrics: str, algorithm: str | None = None) -> Understanding:
    return understood({name: [1.0] * 30 for name in metrics.split()}, algorithm=algorithm)


@each_of(
    ("algorithm", "judged", "partly"),
    [
        ("ppo", "reward_mean kl", "reward_mean clip_frac"),
        ("grpo", "eval_reward_mean grad_norm", "loss entropy"),
        ("dpo", "pref_accuracy loss", "loss grad_norm"),
        ("kto", "pref_margin loss", "reward_mean loss"),
        ("reward_model", "pref_accuracy loss", "pref_accuracy lr"),
        ("sft", "loss lr", "loss"),
        ("dqn", "reward_mean loss", "reward_mean entropy"),
        (None, "reward_mean policy_loss", "loss grad_norm"),
    ],
)
def test_each_kind_of_training_has_needs_of_its_own(algorithm: str | None, judged: str, partly: str) -> None:
    assert of(judged, algorithm).state == "judged"
    assert of(partly, algorithm).state == "partly"
    assert of("epoch clip_range x", algorithm).state == "not"


@each_of("algorithm", [*sorted(ALGORITHMS), None])
def test_rules_look_at_every_metric_that_matters(algorithm: str | None) -> None:
    named = [pattern for r in rules if r.family != "MET" for pattern in (*r.needs, *r.also, *r.each)]
    for name in (name for need in needs_of(algorithm) for name in need.metrics):
        assert vocabulary().canonical(name) == name
        assert any(fnmatchcase(name, pattern) for pattern in named)


@pytest.mark.parametrize(("more", "state"), [("lr eval_zeta", "judged"), ("lr zeta", "partly"), ("kl", "partly")])
def test_a_trainer_of_losses_needs_no_reward_unless_a_column_may_be_one(more: str, state: str) -> None:
    names = f"loss grad_norm {more}".split()
    assert understood({name: [1.0] * 30 for name in names}, framework="transformers").state == state


def test_what_is_missing_is_said_with_the_metrics_that_would_do() -> None:
    found = of("reward_mean")
    assert (found.goal, found.looked_at, list(found.missing)) == (
        True,
        ("reward_mean",),
        ["loss", "KL", "entropy", "gradients"],
    )
    assert found.missing["KL"] == ("kl", "kl_policy_update")


def test_a_metric_on_a_handful_of_rows_was_not_looked_at() -> None:
    assert understood({"reward_mean": [1.0] * 4 + [None] * 30, "kl": [1.0] * 34}).goal is False
    assert understood({"reward_mean": [math.nan] * 34, "kl": [1.0] * 34}).goal is False
    assert understood({"reward_mean": [1.0] * 5 + [None] * 29, "kl": [1.0] * 34}).goal is True
    assert understood({"reward_mean": [1.0] * 2 + [None] * 2, "kl": [1.0] * 4}).goal is True


def test_unknown_columns_are_those_without_a_metric_and_not_the_clock() -> None:
    found = understood({"zeta": [1.0], "kl": [1.0], "Episode": [1.0], "eval_zeta": [2.0]}, clock="Episode")
    assert (found.unknown, found.known) == (("eval_zeta", "zeta"), {"kl": "kl"})
    counted = understood({"zeta": [1.0]}, clock=COUNTED)
    assert counted.unknown == ("zeta",)


def test_what_the_engine_derives_is_no_column_of_the_log() -> None:
    found = understood(
        {"kl": [1.0] * 3, "loss": [1.0] * 3, "reward_mean": [1.0] * 3, "response_length_mean": [2.0] * 3}
    )
    assert found.unknown == ()


def test_a_guess_fits_in_name_and_in_values() -> None:
    found = understood({"avg_clip_frac": [0.1, 0.2], "train_grad_norm": [-3.0, -2.0]})
    assert found.field_map == {"avg_clip_frac": "clip_frac"}


def test_a_metric_that_the_log_has_is_not_guessed_again() -> None:
    assert understood({"kl": [0.1], "avg_kl": [0.1]}).field_map == {}


def test_health_is_not_told_of_a_run_whose_goal_nobody_looked_at() -> None:
    columns: dict[str, Any] = {"kl": [0.1 + i / 1000 for i in range(60)]}
    rules_of_kl = [r for r in rules if r.family == "KL"]
    assert scan(run_of(columns), rules_of_kl).numbers["health"] is None
    assert scan(run_of(columns | {"reward_mean": columns["kl"]}), rules_of_kl).numbers["health"] is not None
