"""Which samples become pairs, and how many are kept."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

from rldk.core.samples import to_sample
from rldk.logprobs.pairs import Pairs, collect


def pairs(*records: dict[str, Any]) -> Pairs:
    return collect(to_sample(record) for record in records)


def sample(step: int = 1, n: int = 1, **more: Any) -> dict[str, Any]:
    return {"step": step, "logp_rollout": [-1.0] * n, "logp_train": [-2.0] * n, **more}


def test_the_columns_of_a_pair() -> None:
    found = pairs(sample(3, 2, policy_version=1, group_id="g"), sample(3, 3, group_id="g"), sample(4, 1, group_id="g"))
    assert found.place.tolist() == [0, 1, 0, 1, 2, 0]
    assert found.row.tolist() == [1, 1, 2, 2, 2, 3]
    assert found.context.tolist() == [0, 0, 0, 0, 0, 1]
    assert found.step.tolist() == [3, 3, 3, 3, 3, 4]
    assert found.length.tolist() == [2, 2, 3, 3, 3, 1]
    assert found.lag[:2].tolist() == [2.0, 2.0]
    assert math.isnan(found.lag[2])
    assert (found.samples, found.sums, len(found)) == (3, False, 6)


def test_prompts_without_a_group_are_contexts_of_their_own() -> None:
    found = pairs(sample(prompt="a"), sample(prompt="a"), sample(prompt="b"), sample(), sample())
    assert found.context.tolist() == [0, 0, 1, 2, 3]


def test_twenty_thousand_tokens_of_a_step_are_enough() -> None:
    for first, kept in [(19_999, 20_002), (20_000, 20_000)]:
        found = pairs(sample(1, first), sample(1, 3), sample(1, 3))
        assert len(found) == kept, first
    assert len(pairs(sample(1, 20_000), sample(2, 3))) == 20_003


def test_sixty_four_steps_are_kept_and_of_more_every_second() -> None:
    for count, kept in [(64, 64), (65, 33), (66, 33), (67, 34), (129, 33)]:
        steps = sorted(set(pairs(*(sample(step) for step in range(count))).step.tolist()))
        assert (len(steps), steps[0]) == (kept, 0), count
        assert len({b - a for a, b in pairwise(steps)}) == 1


def test_sums_are_taken_where_there_are_no_lists() -> None:
    total = {"step": 1, "logp_rollout": -4.0, "logp_train": -6.0, "n_tokens": 2}
    found = pairs(total, {**total, "logp_train": math.nan}, {**total, "logp_rollout": math.inf})
    assert (found.sums, found.sampler.tolist(), found.trainer.tolist()) == (True, [-4.0], [-6.0])
    assert (found.length.tolist(), found.place.tolist(), found.samples) == ([2.0], [0], 3)
    both = pairs(total, sample())
    assert (both.sums, len(both)) == (False, 1)
    assert (pairs().sums, len(pairs())) == (False, 0)


def test_lists_of_other_lengths_are_other_tokens() -> None:
    one = {"step": 7, "logp_rollout": [-1.0, -1.0], "logp_train": [-1.0]}
    found = pairs(
        one, {**one, "step": 8}, sample(response_ids=[1], train_ids=[1]), sample(response_ids=[1], train_ids=[2])
    )
    assert (found.spelled, found.respelled, len(found)) == (4, 3, 2)
    assert found.example == "step 7: 2 tokens were sampled, 1 trained on"
    assert pairs(sample(response_ids=[1])).spelled == pairs(sample(train_ids=[1])).spelled == 0


def test_a_mask_of_the_same_length_leaves_tokens_out() -> None:
    assert pairs(sample(1, 3, loss_mask=[0, 1, 1])).place.tolist() == [0, 1]
    assert pairs(sample(1, 3, loss_mask=[0, 1])).place.tolist() == [0, 1, 2]
    assert len(pairs(sample(1, 3, loss_mask=[0, 0, 0]))) == 0
