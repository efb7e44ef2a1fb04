from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from examples import each_of
from hypothesis import given
from hypothesis import strategies as st

from rldk.core.glossary import DATA, PLACEHOLDER, affine, compile_glossary
from rldk.core.spelling import form
from rldk.core.vocabulary import vocabulary
from rldk.errors import ConfigError, UnknownName

V: Any = vocabulary()
FILLERS = {"{name}": "my_fn", "<k>": "8", "<i>": "0", "<source>": "openai/gsm8k"}
ALIASES = [
    (metric, dialect, alias)
    for metric in V.metrics.values()
    for dialect, aliases in metric.aliases.items()
    for alias in aliases
]
COMPANY = {"policy_loss"}  # a metric that only reinforcement learning has
GRPO = frozenset({"clip_ratio/region_mean", "completions/mean_length", "num_tokens", "kl"})


def fill(text: str) -> str:
    return PLACEHOLDER.sub(lambda m: FILLERS.get(m[0], "main"), text)


def test_every_alias_means_its_metric():
    for metric, dialect, alias in ALIASES:
        key, name = fill(alias.key), fill(metric.name)
        beside = [pattern.replace("*", "").replace("[Ee]p[Rr]e", "EpRe") for pattern in map(fill, alias.when)]
        found = V.matches(key, dialect, {key, *beside, *(COMPANY if alias.within else ())})
        named = V.stage_name(name, alias.phase)
        assert (named, alias.transform) in [(m.canonical, m.transform) for m in found], (dialect, key)


def test_a_form_is_the_form_of_itself():
    for _, _, alias in ALIASES:
        assert form(form(alias.key)) == form(alias.key)


@each_of("respelled", [str.upper, str.title, lambda key: key.replace("_", " "), lambda key: f" {key}."])
def test_a_name_is_known_whatever_its_case_and_separators(respelled):
    plain = ("policy_loss", "ep_rew_mean", "grad_norm", "explained_variance", "learning_rate", "total_reward")
    for key in plain:
        assert V.resolve(respelled(key)).canonical == V.resolve(key).canonical


@each_of(
    ("key", "canonical"),
    [
        ("Loss (train)", "loss"),
        ("reward [mean]", "reward_mean"),
        ("reward (max)", "reward_max"),
        ("lr (1e-4)", None),
        ("EvalLoss", "eval_loss"),
        ("Loss/Test", "test_loss"),
        ("metrics/train/Reward", "reward_mean"),
        ("charts/eval/avg reward", "eval_reward_mean"),
        ("criticMse", "value_loss"),
        ("reward (%)", None),
    ],
)
def test_stages_panels_and_brackets(key, canonical):
    match = V.resolve(key)
    assert (match and match.canonical) == canonical


@each_of(
    ("key", "alone", "beside", "canonical"),
    [
        ("score", {"epoch", "loss", "top1"}, {"episode"}, "reward_mean"),
        ("total_return", {"close", "volume", "sharpe"}, {"policy_loss"}, "reward_mean"),
        ("success_rate", {"requests", "latency_ms"}, {"ep_rew_mean"}, "episode_success_rate"),
        ("beta", {"alpha", "close"}, {"reward", "kl"}, "kl_coef"),
        ("accuracy", {"loss", "epoch"}, {"rewards_chosen"}, "pref_accuracy"),
        ("margin", {"revenue", "cost"}, {"rewards_chosen"}, "pref_margin"),
        ("value", {"total", "score"}, {"policy_loss"}, None),
    ],
)
def test_the_company_a_name_keeps(key, alone, beside, canonical):
    assert V.resolve(key, None, {key, *alone}) is None
    match = V.resolve(key, None, {key, *beside})
    assert (match and match.canonical) == canonical


def test_a_key_that_means_something_else_in_a_trainer():
    assert V.resolve("kl", "dreamer") is None
    assert V.resolve("kl", "tianshou").canonical == "kl"


@each_of(
    ("metric", "low", "high", "whole", "fits"),
    [
        ("clip_frac", 0.0, 0.3, False, True),
        ("clip_frac", 0.0, 30.0, False, False),
        ("ratio_mean", 120.0, 900.0, False, False),
        ("lr", 1e-5, 3e-4, False, True),
        ("lr", 3.0, 60.0, False, False),
        ("episode_count", 1.0, 40.0, True, True),
        ("episode_count", 0.1, 0.7, False, False),
        ("kl", 3.0, 18.0, True, False),
        ("eval_loss", 0.0, 0.0, True, True),
    ],
)
def test_values_that_a_guess_would_need(metric, low, high, whole, fits):
    assert V.fits(metric, low, high, whole=whole) is fits


def test_canonical_and_other_names_resolve_in_every_log():
    for name in (n for n in V.names() if not PLACEHOLDER.search(n)):
        metric = V.metrics[name]
        for spelled in (name, *metric.also_known_as, *metric.in_company):
            company = COMPANY if spelled in metric.in_company else frozenset()
            assert V.resolve(spelled, None, company).canonical == name
            assert V.resolve(f"train/{spelled}", None, company).canonical == name
        assert V.resolve(name, "verl", {"actor/pg_loss"}).canonical == name


def test_compiled_data_is_what_the_yaml_says():
    text = (DATA / "metrics.yaml").read_text(encoding="utf-8")
    assert compile_glossary(text) == (DATA / "metrics.json").read_bytes(), "run python -m rldk.core.glossary"


SMALL = """
version: 1
estimators:
  k1: {definition: x}
dialects:
  trl: {framework: trl}
  trl_dpo: {framework: trl, algorithm: dpo, parents: [trl]}
metrics:
  step: {definition: x, unit: "1", direction: counter}
  loss: {definition: x, unit: "1", direction: down, sum_of: [step]}
  lr: {definition: x, unit: "1", direction: monitor, also_known_as: [learning_rate]}
  kl:
    definition: x
    unit: nats
    direction: monitor
    aliases:
      trl: [{key: objective/kl, est: k1, transform: negate}, policy_kl]
"""


def test_a_glossary_without_contradictions_is_compiled():
    aliases = json.loads(compile_glossary(SMALL))["metrics"]["kl"]["aliases"]["trl"]
    assert [a["key"] for a in aliases] == ["objective/kl", "policy_kl"]


@each_of(
    ("old", "new", "problem"),
    [
        ("est: k1", "est: k9", "kl: no estimator k9"),
        ("transform: negate", "transform: twice", "unknown transform"),
        ("transform: negate", "transform: scale:x", "unknown transform"),
        ("  loss:", "  step:", "a key is given twice"),
        ("also_known_as: [learning_rate]", "also_known_as: [loss]", "lr: loss names another metric"),
        ("direction: counter", "direction: sideways", "Invalid enum value"),
        ("sum_of: [step]", "sum_of: [stpe]", "loss: no metric stpe"),
        ("sum_of: [step]", "eval_name: eval_los", "loss: no metric eval_los"),
        ("      trl: [", "      trll: [", "kl: no dialect trll"),
        ("policy_kl", "'policy_{name}'", "must stand on both sides"),
        ("parents: [trl]", "parents: [tlr]", "trl_dpo: no dialect tlr"),
        ("algorithm: dpo", "algorithm: dop", "trl_dpo: no algorithm dop"),
    ],
)
def test_contradictory_data_are_refused(old, new, problem):
    assert old in SMALL
    with pytest.raises(ConfigError, match=problem):
        compile_glossary(SMALL.replace(old, new, 1))


@each_of(
    ("key", "dialect", "logged", "value"),
    [
        ("train/entropy_loss", "sb3", -0.7, 0.7),
        ("train/entropy_loss", "slime", 0.7, 0.7),
        ("entropy_loss", "openrlhf", 0.7, 0.7),
        ("ppo_actor/update/approx_kl/avg", "areal", -0.02, 0.02),
        ("actor/lr(1e-4)", "verl", 0.01, 1e-6),
        ("val/stop_rate", "open_instruct", 0.75, 0.25),
        ("dynamic_filtering_pass_rate", "openrlhf", 80.0, 0.2),
        ("perf/mfu", "prime_rl", 31.0, 0.31),
        ("train/total_tokens(B)", "verl_sft", 0.5, 5e8),
    ],
)
def test_sign_and_scale(key, dialect, logged, value):
    match = V.resolve(key, dialect)
    assert match.apply(logged) == pytest.approx(value)
    assert match.apply(np.array([logged, math.nan]))[0] == pytest.approx(value)


@each_of(
    ("key", "columns", "canonical"),
    [
        ("rewards/chosen", {"rewards/chosen", "rewards/accuracies", "logps/chosen"}, "pref_reward_chosen"),
        ("train/rewards/chosen", {"train/rewards/chosen", "train/logps/chosen"}, "pref_reward_chosen"),
        ("rewards/chosen", {"rewards/chosen", "completion_length", *GRPO}, "reward_fn/chosen/mean"),
        ("rewards/fmt", {"rewards/fmt", "logps/chosen", "rewards/margins"}, None),
        ("rewards/fmt/std", {"rewards/fmt/std", *GRPO}, "reward_fn/fmt/std"),
        ("global_step", {"global_step", "policy_loss", "actor_lr", "ppo_kl"}, "step"),
        ("global_step", {"global_step", "val/stop_rate", "objective/kl2_avg", "training_step"}, "env_steps"),
        ("values", {"values", "critic_loss", "actor_lr", "ppo_clip_ratio"}, "value_mean"),
        ("values", {"values", "loss", "x"}, None),
        ("return", {"return", "critic_loss", "actor_lr", "ppo_clip_ratio"}, "reward_shaped_mean"),
        ("return", {"return", "x"}, None),
        ("return", {"return", "policy_loss"}, "reward_mean"),
        ("acc", {"acc", "loss"}, None),
        ("train/entropy_loss", {"train/entropy_loss", "train/loss"}, None),
        ("train/entropy_loss", {"train/entropy_loss", "rollout/ep_rew_mean", "time/fps"}, "entropy"),
        ("val/ratio", {"val/ratio", "objective/kl", "policy/approxkl_avg"}, "ratio_mean"),
        ("val/loss", {"val/loss", "x"}, "eval_loss"),
        ("eps", {"eps", "loss"}, None),
        ("eps", {"eps", "objective/kl", "policy/approxkl_avg", "val/ratio"}, "samples_per_sec"),
    ],
)
def test_a_key_means_what_its_neighbours_say(key, columns, canonical):
    match = V.resolve(key, None, columns)
    assert (match and match.canonical) == canonical


@each_of(
    ("key", "dialect", "canonical"),
    [
        ("eval_loss", "trl_dpo", "eval_loss"),
        ("eval_rewards/chosen", "trl_dpo", "eval_pref_reward_chosen"),
        ("eval/rewards/fmt/mean", "trl_grpo", "eval_reward_fn/fmt/mean"),
        ("eval_reward", "trl_grpo", "eval_reward_mean"),
        ("eval_completions/mean_length", "trl_grpo", "eval_length_mean"),
        ("test_loss", "trl_sft", "test_loss"),
        ("eval/mean_reward", "sb3", "eval_reward_mean"),
        ("validation/loss", "nemo_rl", "eval_loss"),
        ("evaluation/env_runners/episode_return_mean", "rllib", "eval_reward_mean"),
        ("ray/tune/evaluation/env_runners/episode_return_mean", "rllib", "eval_reward_mean"),
        ("ray/tune/learners/p0/entropy", "rllib", "entropy"),
        ("val-core/openai/gsm8k/reward/mean@8", "verl", "eval_reward_mean"),
        ("val-core/openai/gsm8k/acc/best@8/mean", "verl", "eval_pass_at_k"),
        ("eval_gsm8k_pass4", "openrlhf", "eval_pass_at_k"),
        ("val_loss", None, "eval_loss"),
    ],
)
def test_evaluation_never_gets_a_training_name(key, dialect, canonical):
    assert V.resolve(key, dialect).canonical == canonical


@given(st.sampled_from(ALIASES), st.sampled_from(["eval/", "eval_"]))
def test_no_key_behind_an_eval_prefix_is_a_training_metric(param, prefix):
    _, dialect, alias = param
    match = V.resolve(prefix + fill(alias.key), dialect)
    assert match is None or match.canonical.startswith("eval_")


@given(st.text(max_size=600), st.sampled_from([None, *V.dialects]))
def test_hostile_names_never_raise(key, dialect):
    match = V.resolve(key, dialect, {key, "x"})
    assert match is None or V.metric(match.canonical).name == match.canonical


def test_a_reward_function_keeps_its_hostile_name():
    match = V.resolve("rewards/<script>{name}\n/mean", "trl_grpo")
    assert match.canonical == "reward_fn/<script>{name}\n/mean"
    assert V.resolve("rewards/" + "x" * 1000 + "/mean", "trl_grpo") is None


def test_estimators_are_named_only_when_sure():
    assert V.resolve("objective/kl", "trl_ppo").estimator == "k1 seq_sum"
    assert V.resolve("kl", None, GRPO).estimator == "", "GRPO and RLOO log the same keys with different estimators"
    assert V.resolve("kl", None, GRPO | {"sampling/sampling_logp_difference/mean"}).estimator == "k3 tok_mean"
    assert V.resolve("kl", "trl_rloo").estimator == "k1 tok_mean"


@each_of(
    ("name", "options", "bounds"),
    [
        ("clip_frac", {}, (0.0, 1.0)),
        ("value_explained_variance", {}, (-math.inf, 1.0)),
        ("kl", {"estimator": "k3 tok_mean"}, (0.0, math.inf)),
        ("kl", {"estimator": "k1 tok_mean"}, (-math.inf, math.inf)),
        ("entropy", {}, (-math.inf, math.inf)),
        ("eval_entropy", {"discrete": True}, (0.0, math.inf)),
        ("reward_fn/fmt/std", {}, (0.0, math.inf)),
    ],
)
def test_bounds(name, options, bounds):
    assert V.bounds(name, **options) == bounds


def test_a_sum_of_sequences_is_marked():
    assert "seq_sum" in V.resolve("objective/kl", "trl_ppo").estimator
    assert V.metric("value_explained_variance").nan_means
    assert V.metric("reward_fn/a/b/mean").nan_means


def test_unknown_names_offer_the_nearest():
    with pytest.raises(UnknownName, match="entropy"):
        V.metric("entrpy")
    with pytest.raises(UnknownName, match="trl_grpo"):
        V.resolve("kl", "trl_gpro")
    with pytest.raises(ConfigError):
        affine("scale:much")


def test_a_person_may_use_any_name_for_a_column():
    columns = {"kl", "objective/kl", "reward_mean", "my_loss"}
    assert V.locate("kl_mean", columns) == "kl"
    assert V.locate("objective/kl", columns) == "objective/kl"
    assert V.locate("reward", columns) == "reward_mean"
    with pytest.raises(UnknownName, match="my_loss"):
        V.locate("my_los", columns)
