from __future__ import annotations

import math
from typing import Any

from examples import each_of

from rldk.testing import scan_columns

GRPO, DPO, PPO = {"algorithm": "grpo"}, {"algorithm": "dpo"}, {"algorithm": "ppo"}
SB3 = {"framework": "stable_baselines3"}
FALL = [4.0 - 0.02 * i for i in range(50)]
RISE = [0.1 + 0.01 * i for i in range(50)]
HALF: list[Any] = [1.0, None]
NAN = math.nan


def topics(columns: dict[str, Any], **options: Any) -> set[str]:
    return {note.topic for note in scan_columns("MET001", columns, **options).notes}


@each_of(
    ("topic", "odd", "options", "other"),
    [
        ("first-grpo-loss-is-zero", {"loss": [0.0, 0.1]}, GRPO, {"loss": [0.1, 0.0]}),
        ("grpo-loss-says-little", {"loss": [0.01, -0.01] * 10}, GRPO, {"loss": [0.2] * 20}),
        ("kl-below-zero", {"kl": [0.1, -0.01, 0.1]}, PPO, {"kl": [0.1, 0.0]}),
        ("kl-zero-without-penalty", {"kl": [0.0] * 5, "kl_coef": [0.0] * 5}, PPO, {"kl": [0.0] * 5}),
        (
            "entropy-falls-while-learning",
            {"entropy": FALL, "reward_mean": RISE},
            PPO,
            {"entropy": FALL, "reward_mean": RISE[::-1]},
        ),
        (
            "dpo-starts-at-ln-2",
            {"loss": [0.693], "pref_accuracy": [0.0]},
            DPO,
            {"loss": [0.693], "pref_accuracy": [0.5]},
        ),
        ("learning-rate-zero-at-an-end", {"lr": [0.2, 0.1, 0.0]}, {}, {"lr": [0.2, 0.2, 0.0]}),
        ("learning-rate-zero-at-an-end", {"lr": [0.0, 0.1]}, {}, {"lr": [0.1, 0.1]}),
        (
            "explained-variance-at-first",
            {"value_explained_variance": [-30.0, 0.1]},
            PPO,
            {"value_explained_variance": [0.1] * 10 + [-30.0]},
        ),
        (
            "explained-variance-at-first",
            {"value_explained_variance": [0.1] * 10 + [NAN]},
            PPO,
            {"value_explained_variance": [0.1]},
        ),
        (
            "no-clipping-on-policy",
            {"clip_frac": [0.0] * 10, "ratio_mean": [1.0] * 10},
            PPO,
            {"clip_frac": [0.0] * 10, "ratio_mean": [1.01] * 10},
        ),
        (
            "ragged-rows",
            {"grad_norm": [0.1] * 12, "reward_mean": HALF * 6},
            GRPO,
            {"grad_norm": [0.1] * 12, "reward_mean": [0.1] * 12},
        ),
        (
            "reward-component-none",
            {"reward_mean": [0.1, 0.1], "reward_fn/style/mean": HALF},
            GRPO,
            {"reward_mean": HALF, "reward_fn/style/mean": HALF},
        ),
        (
            "gradient-norm-above-clip",
            {"grad_norm": [0.5, 1.2]},
            {"config": {"max_grad_norm": 1.0}},
            {"grad_norm": [0.5, 0.9]},
        ),
    ],
)
def test_a_note_is_given_where_it_is_true(
    topic: str, odd: dict[str, Any], options: dict[str, Any], other: dict[str, Any]
) -> None:
    assert topic in topics(odd, **options)
    assert topic not in topics(other, **options)


def test_the_last_row_of_sb3_is_there_twice() -> None:
    columns = {"loss": [0.3, 0.2, 0.2], "entropy": [0.6, 0.5, 0.5]}
    assert "last-row-twice" in topics(columns, step=[1, 2, 2], **SB3)
    assert "last-row-twice" not in topics(columns, step=[1, 2, 3], **SB3)


def test_a_note_that_needs_another_algorithm_or_metric_is_not_given() -> None:
    assert topics({"loss": [0.0, 0.1]}, **DPO) == set()
    assert topics({"loss": [0.0, 0.1]}) == set()
    assert topics({"custom": [0.0] * 40}, **GRPO) == set()


def test_the_text_is_the_first_paragraph() -> None:
    (note,) = scan_columns("MET001", {"lr": [0.0, 0.1]}).notes
    assert note.text.startswith("A learning rate of 0 is normal")
