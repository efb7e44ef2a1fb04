from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rldk.core.glossary import DATA, PLACEHOLDER, affine, compile_glossary
from rldk.core.vocabulary import vocabulary
from rldk.errors import ConfigError, UnknownName

V = vocabulary()
FILLERS = {"{name}": "my_fn", "<k>": "8", "<i>": "0", "<source>": "openai/gsm8k"}
ALIASES = [
    pytest.param(metric, dialect, alias, id=f"{dialect}:{alias.key}")
    for metric in V.metrics.values()
    for dialect, aliases in metric.aliases.items()
    for alias in aliases
]
GRPO = frozenset({"clip_ratio/region_mean", "completions/mean_length", "num_tokens", "kl"})


def fill(text: str) -> str:
    return PLACEHOLDER.sub(lambda m: FILLERS.get(m[0], "main"), text)


@pytest.mark.parametrize(("metric", "dialect", "alias"), ALIASES)
def test_every_alias_means_its_metric(metric, dialect, alias):
    key, name = fill(alias.key), fill(metric.name)
    found = V.matches(key, dialect, {key, *map(fill, alias.when)})
    named = V.staged(name, alias.phase)
    assert named in [m.canonical for m in found]
    assert next(m for m in found if m.canonical == named).transform == alias.transform


@pytest.mark.parametrize("name", [n for n in V.names() if not PLACEHOLDER.search(n)])
def test_canonical_and_other_names_resolve_in_every_log(name):
    for spelled in (name, *V.metrics[name].also_known_as):
        assert V.resolve(spelled).canonical == name
        assert V.resolve(f"train/{spelled}").canonical == name
    assert V.resolve(name, "verl", {"actor/pg_loss"}).canonical == name


def test_compiled_data_is_what_the_yaml_says():
    text = (DATA / "metrics.yaml").read_text(encoding="utf-8")
    assert compile_glossary(text) == (DATA / "metrics.json").read_bytes(), "run python -m rldk.core.glossary"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("est: k1 tok_mean", "est: k9", "no estimator k9"),
        ("transform: negate", "transform: twice", "unknown transform"),
        ("\n  env_steps:\n", "\n  step:\n", "given twice"),
        ("also_known_as: [learning_rate]", "also_known_as: [loss]", "names another metric"),
        ("direction: counter", "direction: sideways", "Invalid enum value"),
    ],
)
def test_contradictory_data_are_refused(old, new, problem):
    text = (DATA / "metrics.yaml").read_text(encoding="utf-8")
    assert old in text
    with pytest.raises(ConfigError, match=problem):
        compile_glossary(text.replace(old, new, 1))


@pytest.mark.parametrize(
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


@pytest.mark.parametrize(
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
        ("return", {"return", "x"}, "reward_mean"),
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


@pytest.mark.parametrize(
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
    _, dialect, alias = param.values
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


@pytest.mark.parametrize(
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
