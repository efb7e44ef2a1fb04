"""The identities of one batch by hand: at the number of tokens from which they are taken, and one below it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from rldk.errors import UsageError
from rldk.integrations.identities import batch
from rldk.integrations.trl.benchmarks import Benchmark


def test_what_is_left_out_and_what_is_empty() -> None:
    nan = [math.nan]
    for found in (batch.first_minibatch(nan, nan), batch.rollout_gap(nan, nan), batch.advantages(nan)):
        assert found == {}
    assert (batch.valid_tokens([]), batch.valid_tokens([[1, 0], [1, 1]])) == ({}, {"valid_token_frac": 0.75})
    assert batch.masked([[1.0, 2.0], [3.0, 4.0]], [[0, 1], [1, 0]]).tolist() == [2.0, 3.0]
    assert batch.masked([[1.0, 2.0]]).tolist() == [1.0, 2.0]


def test_the_ratio_of_a_first_minibatch() -> None:
    found = batch.first_minibatch([0.0, math.log(3.0), math.nan], [0.0, 0.0, 0.0])
    assert found["ratio_first_minibatch_dev"] == pytest.approx(1.0)
    assert found["logprob_first_minibatch_gap"] == pytest.approx(math.log(3.0) / 2)
    far = batch.first_minibatch([50.0], [0.0])
    assert far["ratio_first_minibatch_dev"] == pytest.approx(math.exp(20.0) - 1)


def test_the_gap_to_the_sampler_has_a_slope_from_sixteen_tokens_on() -> None:
    for count, sloped in [(15, False), (16, True)]:
        x = np.arange(float(count))
        found = batch.rollout_gap(2 * x + 1, x)
        assert ("rollout_logprob_slope" in found) is sloped, count
        assert (found["rollout_logprob_diff_mean"], found["rollout_logprob_diff_max"]) == (x.mean() + 1, count)
    assert (found["rollout_logprob_corr"], found["rollout_logprob_slope"]) == (pytest.approx(1.0), pytest.approx(2.0))
    assert (found["rollout_logprob_offset"], found["rollout_logprob_spread"]) == (8.5, 4.0)
    assert batch.rollout_gap([50.0, -50.0], [0.0, 0.0])["rollout_is_ratio_mean"] == pytest.approx(math.exp(20) / 2)
    for x_size, y_size, sloped in [
        (0.0011, 1.0, True),
        (0.0009, 1.0, False),
        (1.0, 1.1e-6, True),
        (1.0, 0.9e-6, False),
    ]:
        signs = np.array([1.0, -1.0] * 8)
        assert ("rollout_logprob_slope" in batch.rollout_gap(y_size * signs, x_size * signs)) is sloped


def test_advantages_add_up_within_their_group() -> None:
    assert batch.advantages([1.0, 3.0, math.inf]) == {
        "advantage_mean": 2.0, "advantage_std": 1.0, "advantage_count": 2.0,
    }  # fmt: skip
    for values, groups, expected in [
        ([1.0, -1.0, 2.0, -2.0], [0, 0, 1, 1], 0.0),
        ([1.0, -1.0, 3.0, -1.0], [0, 0, 1, 1], 1.0 / 1.5),
        ([1.0, -1.0, 9.0], [0, 0, 1], 0.0),
        ([0.0, 0.0], [0, 0], 0.0),
    ]:
        assert batch.group_sums(values, groups) == {"advantage_group_dev": pytest.approx(expected)}, values
    for values, groups in [([1.0], [0]), ([1.0, 2.0], [0]), ([], []), ([1.0, 2.0], [0, 1])]:
        assert batch.group_sums(values, groups) == {}


def test_what_counts_as_a_number() -> None:
    found = [batch.is_number(x) for x in (1, 1.5, True, "1", None, math.nan, math.inf)]
    assert found == [True, True, False, False, False, False, False]


def goal(name: str, value: Any) -> Benchmark:
    return Benchmark.read(name, value)


def test_a_goal_is_met_at_its_value_and_a_limit_is_passed_beyond_it() -> None:
    for name, newest, met, step in [
        ("target_reward", 1.0, True, 2), ("min_reward", 0.99, False, None), ("max_kl_divergence", 1.0, True, None),
        ("max_kl_divergence", 1.01, False, 2),
    ]:  # fmt: skip
        one = goal(name, 1)
        metric = one.metric
        assert one.result()["met"] is None
        for at, value in ((0, math.nan), (1, 0.5), (2, newest), (3, 0.25), (4, newest)):
            one.look(at, {metric: value, "other": 9.0})
        one.look(5, {"other": 9.0})
        assert one.result() == {
            "metric": metric, "goal": 1.0, "met": met, "step": step, "newest": newest, "highest": max(newest, 0.5),
        }, name  # fmt: skip


def test_names_of_goals() -> None:
    names = ["target_reward", "max_kl_divergence", "max_clip_fraction", "max_gradient_norm", "min_entropy"]
    assert [goal(name, 0.5).metric for name in names] == ["reward_mean", "kl", "clip_frac", "grad_norm", "entropy"]
    assert [goal(name, 0.5).upper for name in names] == [False, True, True, True, False]
    for name, value in [("reward", 1.0), ("max_kl", True), ("max_kl", "1")]:
        with pytest.raises(UsageError, match="is no goal"):
            goal(name, value)
