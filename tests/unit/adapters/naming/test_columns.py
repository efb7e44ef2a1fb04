from __future__ import annotations

import math

import numpy as np
import pytest
from examples import each_of
from hypothesis import given
from hypothesis import strategies as st

from rldk.adapters.base import BaseAdapter
from rldk.adapters.log import Log
from rldk.adapters.naming.columns import to_run
from rldk.adapters.naming.keys import infer_algorithm
from rldk.core.table import TableBuilder

NAN = math.nan


class Made(BaseAdapter):
    name, describes = "made", "rows of a test"

    @classmethod
    def sniff(cls, file):
        return 0

    def read(self):
        raise NotImplementedError


def run_of(*rows, field_map=None, **log):
    builder = TableBuilder()
    for i, row in enumerate(rows):
        phase = row.pop("phase", "train")
        builder.add(i + 1, row, phase=phase)
    return to_run(Log(table=builder.build(), **log), Made([]).origin, field_map=field_map)


def test_the_sources_own_columns_stay_beside_and_share_memory():
    run = run_of({"objective/kl": 1.0, "mine": 3.0}, {"objective/kl": 2.0}, dialect="trl_ppo")
    columns = run.metrics.columns
    assert list(columns) == ["kl", "objective/kl", "mine"]
    assert np.shares_memory(columns["kl"], columns["objective/kl"])
    assert run.meta.names == {"kl": "objective/kl"}
    assert run.meta.estimators == {"kl": "k1 seq_sum"}
    assert (run.meta.framework, run.meta.algorithm) == ("trl", "ppo")


def test_signs_are_turned_and_stated_nan_is_kept():
    rows = [{"train/entropy_loss": -0.7}, {"train/entropy_loss": NAN}, {"time/fps": 1.0}]
    run = run_of(*rows, dialect="sb3")
    assert run.metrics.columns["entropy"].tolist()[:1] == [0.7]
    assert run.metrics.columns["train/entropy_loss"][0] == -0.7
    assert run.metrics.stated_nan["entropy"].tolist() == [1]
    assert "entropy" not in list(run.metrics.rows())[2].values


def test_a_sentinel_for_none_is_missing():
    run = run_of({"train/probs_ratio_max": -1.0}, {"train/probs_ratio_max": 1.5}, dialect="nemo_rl")
    assert [r.values.get("ratio_max") for r in run.metrics.rows()] == [None, 1.5]


@pytest.mark.parametrize(
    ("rows", "key"),
    [
        ([{"actor/kl_loss": 1.0, "actor/reward_kl_penalty": 2.0}] * 4, "actor/kl_loss"),
        (
            [{"actor/kl_loss": 1.0, "actor/reward_kl_penalty": 2.0}] + [{"actor/reward_kl_penalty": 2.0}] * 4,
            "actor/reward_kl_penalty",
        ),
        ([{"actor/kl_loss": 1.0, "kl": 9.0}] * 4, "kl"),
    ],
)
def test_of_two_keys_for_a_metric_one_is_chosen_and_rows_are_never_mixed(rows, key):
    run = run_of(*(dict(r) for r in rows), dialect="verl")
    assert run.meta.names["kl"] == key
    np.testing.assert_array_equal(run.metrics.columns["kl"], run.metrics.columns[key])


def test_the_summary_row_is_not_the_loss():
    rows = [{"loss": 1.0, "learning_rate": 0.1}] * 4 + [{"train_loss": 0.5, "phase": "summary"}]
    run = run_of(*(dict(r) for r in rows), dialect="trl_sft")
    assert run.meta.names["loss"] == "loss"
    assert math.isnan(run.metrics.columns["loss"][4])


def test_evaluation_rows_under_training_names_are_moved():
    run = run_of(
        {"reward": 1.0, "epoch": 0.1}, {"reward": 5.0, "epoch": 0.1, "phase": "eval"}, {"reward": NAN, "phase": "eval"}
    )
    first, second, third = run.metrics.rows()
    assert (first.values["reward_mean"], "eval_reward_mean" in first.values) == (1.0, False)
    assert (second.values["eval_reward_mean"], "reward_mean" in second.values) == (5.0, False)
    assert math.isnan(third.values["eval_reward_mean"])
    assert second.values["epoch"] == 0.1, "a clock stays"


def test_what_only_evaluation_rows_say_is_no_training_metric():
    run = run_of({"loss": 1.0}, {"clip_frac": 0.2, "accuracy": 0.5, "phase": "eval"}, dialect="trl_reward")
    assert "pref_accuracy" not in run.metrics.columns
    assert run.metrics.columns["eval_pref_accuracy"][1] == 0.5


@pytest.mark.parametrize("field_map", [{"rew": "reward_mean"}, {"reward_mean": "rew"}, {"rew": "reward"}])
def test_a_field_map_works_in_both_directions(field_map):
    run = run_of({"rew": 1.0, "critic/score/mean": 2.0}, dialect="verl", field_map=field_map)
    assert run.metrics.columns["reward_mean"][0] == 1.0
    assert run.meta.names["reward_mean"] == "rew"


def test_a_field_map_can_name_the_step_and_keeps_the_sign_of_known_keys():
    rows = [{"it": 10.0, "train/entropy_loss": -0.5}, {"it": 20.0}, {"it": 5.0}]
    run = run_of(*rows, dialect="sb3", field_map={"it": "step", "train/entropy_loss": "entropy"})
    assert run.metrics.step.tolist() == [10, 20, 5]
    assert run.metrics.segment.tolist() == [0, 0, 1]
    assert run.metrics.columns["entropy"][0] == 0.5


def test_a_field_map_that_misses_says_so():
    run = run_of({"rew": 1.0}, field_map={"reww": "reward_mean", "rew": "reward_men"})
    assert run.meta.notes[0] == "field map: there is no column 'reww'"
    assert "did you mean reward_mean" in run.meta.notes[1]
    assert run.metrics.columns["reward_men"].tolist() == [1.0]


def test_the_seed_of_the_configuration_is_the_seed():
    assert run_of({"kl": 1.0}, config={"seed": 3}).meta.seed == 3
    assert run_of({"kl": 1.0}, config={"seed": 3}, meta={"seed": 4}).meta.seed == 4
    assert run_of({"kl": 1.0}, config={"seed": True}).meta.seed is None


def test_exact_sums_are_added():
    rows = [{"train/gsm8k/all/solved_none": 0.25, "train/gsm8k/all/solved_all": 0.5}]
    run = run_of(*rows, dialect="prime_rl")
    assert run.metrics.columns["zero_std_group_frac"].tolist() == [0.75]
    assert "solved_none" in run.meta.names["zero_std_group_frac"]


@each_of(
    ("metrics", "algorithm"),
    [
        ({"value_loss", "clip_frac", "zero_std_group_frac"}, "ppo"),
        ({"zero_std_group_frac", "clip_frac"}, "grpo"),
        ({"pref_margin", "logp_chosen", "pref_accuracy", "loss"}, "dpo"),
        ({"pref_margin", "logp_chosen", "kl"}, "kto"),
        ({"pref_accuracy", "loss", "reward_mean"}, "reward_model"),
        ({"exploration_rate", "loss"}, "dqn"),
        ({"policy_loss", "value_loss", "value_explained_variance"}, "a2c"),
        ({"token_accuracy", "loss"}, "sft"),
        ({"loss", "reward_mean", "kl"}, None),
    ],
)
def test_the_metrics_tell_the_algorithm_or_nothing(metrics, algorithm):
    assert infer_algorithm(metrics) == algorithm


def test_what_the_log_says_wins_over_what_is_guessed():
    run = run_of(
        {"reward": 1.0, "value_loss": 1.0, "clip_frac": 0.1}, algorithm="rloo", framework="mine", total_steps=9
    )
    assert (run.meta.algorithm, run.meta.framework, run.meta.total_steps) == ("rloo", "mine", 9)
    assert run_of({"x": 1.0}, dialect="nobody").meta.framework is None


NAMES = st.sampled_from(
    ["kl", "loss", "eval_loss", "rewards/<b>/mean", "train/entropy_loss", "reward", "x", "", "\x00", "step"]
)
ROWS = st.lists(st.dictionaries(NAMES, st.floats(width=32)).map(dict), max_size=6)


@given(ROWS, st.sampled_from([None, "trl_grpo", "sb3", "verl"]), st.lists(st.booleans(), min_size=6, max_size=6))
def test_nothing_is_lost_and_every_canonical_value_is_somebodys(rows, dialect, evals):
    tagged = [row | ({"phase": "eval"} if evals[i] else {}) for i, row in enumerate(rows)]
    run = run_of(*tagged, dialect=dialect)
    assert len(run.metrics) == len(rows)
    columns = run.metrics.columns
    for name in {n for row in rows for n in row} - set(run.meta.names):
        own = [row.get(name, NAN) for row in rows]
        np.testing.assert_array_equal(columns[name], np.array(own))
    for i, row in enumerate(run.metrics.rows()):
        if row.phase == "eval":
            assert not {"kl", "loss", "reward_mean", "entropy"} & row.values.keys()
        assert all(math.isnan(v) is (i in run.metrics.stated_nan.get(n, ())) for n, v in row.values.items())


def test_a_map_may_name_the_column_that_is_the_step_already() -> None:
    made = run_of({"kl": 0.1}, {"kl": 0.2}, meta={"clock": "it"}, field_map={"it": "step", "gone": "entropy"})
    assert made.meta.notes == ("field map: there is no column 'gone'",)
