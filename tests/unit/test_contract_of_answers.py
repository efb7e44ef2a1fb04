"""What the public contract names of rewards and evaluations (SPEC, sections 10 and 11): every attribute is there, goes
through JSON with its schema, and is the same bytes for the same seed."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from made_answers import answers as evaluated
from made_answers import red_team
from made_rewards import answers, pairs, rows

from rldk import evals, reward
from rldk.cards.wire import render
from rldk.core.model import Report
from rldk.core.schema import schema_of
from rldk.evals import EvalComparison, EvalResult, suites
from rldk.reward import RewardHealthReport, RewardModelReport

HEALTH = (
    "passed drift_detected drift_metrics saturation_issues saturation_analysis calibration_score calibration_details "
    "shortcut_signals shortcut_analysis label_leakage_risk length_bias_detected length_bias_metrics "
    "length_bias_recommendations overoptimization fixes label_noise"
).split()
MODELS = "passed pearson spearman kendall sign_flips pair_flips disagreements calibration figures".split()
EVALUATED = (
    "overall_score scores confidence_intervals effect_sizes sample_size seed metadata raw_results warnings "
    "not_available"
).split()
COMPARED = "passed contrasts parts paired margin seed".split()
DEFAULTS: Mapping[Callable[..., Any], Mapping[str, Any]] = {
    reward.health: {
        "reference_data": None, "reward_col": "reward_mean", "step_col": "step", "threshold_drift": 0.1,
        "threshold_saturation": 0.8, "threshold_calibration": 0.7, "threshold_shortcut": 0.6, "threshold_leakage": 0.3,
        "threshold_length_bias": 0.35, "response_col": None, "length_col": None, "prompt_col": None, "gold": None,
    },
    evals.run: {"suite": "quick", "seed": 42, "sample_size": None, "output_dir": None},
}  # fmt: skip


def whole_health(seed: int) -> RewardHealthReport:
    """A look at data that has what every check needs."""
    columns = answers(prompts=120, per_word=0.1, listed=2.0)
    count, rng = len(columns["reward"]), np.random.default_rng(0)
    noise = rng.normal(size=count)
    columns["gold"] = (np.array(columns["reward"]) + noise).tolist()
    columns["step"] = (np.arange(count) // 12).tolist()
    columns["position"] = (np.arange(count) % 4).tolist()
    columns["split"] = ["train" if i % 2 else "validation" for i in range(count)]
    columns["label"] = (noise > 0).astype(int).tolist()
    return reward.health(rows(columns), rows(answers(prompts=60)), seed=seed, reward_col="reward")


def whole_models(seed: int) -> RewardModelReport:
    columns = answers(prompts=200)
    texts = columns["response"]
    data = [
        {"prompt": columns["prompt"][i], "chosen": texts[i], "rejected": texts[i + 1]} for i in range(0, len(texts), 2)
    ]

    def by_length(answers: list[str]) -> list[float]:
        return [len(text) / 50 - 4 for text in answers]

    def noisy(answers: list[str]) -> list[float]:
        return (np.array(by_length(answers)) + rng.normal(size=len(answers))).tolist()

    rng = np.random.default_rng(0)
    return reward.compare_models(by_length, noisy, data, seed=seed)


def whole_evaluation(seed: int) -> EvalResult:
    return evals.run(evaluated(), "comprehensive", seed=seed)


def whole_safety(seed: int) -> EvalResult:
    return evals.run(red_team(), "safety", seed=seed)


def whole_comparison(seed: int) -> EvalComparison:
    return evals.compare(evaluated(), evaluated(), margin=0.1, seed=seed)


CASES: Mapping[str, tuple[Callable[[int], Report], type[Report], list[str]]] = {
    "health": (whole_health, RewardHealthReport, HEALTH),
    "models": (whole_models, RewardModelReport, MODELS),
    "evaluation": (whole_evaluation, EvalResult, EVALUATED),
    "safety": (whole_safety, EvalResult, EVALUATED),
    "comparison": (whole_comparison, EvalComparison, COMPARED),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_every_attribute_goes_through_json_and_a_seed_gives_the_same_bytes(name: str) -> None:
    make, kind, names = CASES[name]
    report = make(7)
    assert [each for each in names if not hasattr(report, each)] == []
    text = render(report)
    plain = json.loads(text)
    Draft202012Validator(schema_of(kind)).validate(plain)
    assert [each for each in names if each not in plain] == []
    again = kind.from_dict(plain)
    assert again == report
    assert render(again) == text == render(make(7))


@pytest.mark.slow
def test_data_that_has_everything_leaves_no_attribute_of_health_empty() -> None:
    report = whole_health(0)
    empty = [name for name in HEALTH if getattr(report, name) in (None, {}, ())]
    assert empty == ["saturation_issues", "label_noise"]  # these rewards are not stuck; label noise takes pairs
    assert reward.health(rows(pairs(flip=0.2))).label_noise == pytest.approx(0.2, abs=0.1)
    assert report.length_bias_metrics is not None
    assert report.length_bias_metrics.bias_severity == pytest.approx(abs(report.length_bias_metrics.correlation))


def test_the_parameters_and_their_defaults_are_those_of_the_contract() -> None:
    for function, wanted in DEFAULTS.items():
        found = inspect.signature(function).parameters
        assert {name: found[name].default for name in wanted} == wanted


def test_the_suites_have_their_public_names() -> None:
    assert all(
        isinstance(getattr(suites, f"{name}_SUITE"), suites.Suite) for name in ("QUICK", "COMPREHENSIVE", "SAFETY")
    )
