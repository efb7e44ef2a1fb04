from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from rldk.core.vocabulary import vocabulary
from rldk.engine.sample_metrics import POOL, REFERENCE, Distiller, arrays


def answers(rng: np.random.Generator, *, pay: float, prompts: int = 16) -> list[dict[str, Any]]:
    """Four answers to each prompt; a reward that pays `pay` for each standard deviation of length."""
    return [
        {"prompt": f"p{prompt}", "n_tokens": 100 + 20 * own, "reward": pay * own + rng.normal()}
        for prompt in range(prompts)
        for own in rng.normal(size=4)
    ]


def test_the_shape_of_the_advantages_is_that_of_scipy() -> None:
    x = np.random.default_rng(0).standard_t(5, size=300)
    made = Distiller().advantages(x.tolist())
    assert made["advantage_kurtosis"] == pytest.approx(stats.kurtosis(x))
    assert made["advantage_skewness"] == pytest.approx(stats.skew(x))
    assert (made["advantage_mean"], made["advantage_count"]) == (pytest.approx(x.mean()), 300)
    assert "advantage_shift" not in made  # nothing to hold it against


def test_a_shift_is_seen_against_the_rows_before_and_then_becomes_the_past() -> None:
    rng, distiller = np.random.default_rng(0), Distiller()
    still = [distiller.advantages(rng.normal(size=256)).get("advantage_shift", 0.0) for _ in range(20)]
    moved = [distiller.advantages(rng.normal(size=256) + 1)["advantage_shift"] for _ in range(20)]
    assert max(still) < 0.2
    assert moved[0] == pytest.approx(1, abs=0.2)
    assert moved[-1] < 0.2


def test_an_advantage_that_is_not_finite_is_said_and_none_is_nothing() -> None:
    made = Distiller().advantages([1.0, math.nan, 3.0])
    assert math.isnan(made["advantage_mean"])
    assert made["advantage_max"] == 3.0
    assert Distiller().advantages([]) == {}


@pytest.mark.parametrize(("pay", "coupled"), [(0.0, False), (1.5, True)])
def test_length_and_reward_go_together_within_prompts_or_not(pay: float, coupled: bool) -> None:
    rng, distiller = np.random.default_rng(1), Distiller()
    made = [distiller.responses(answers(rng, pay=pay)) for _ in range(12)][-1]
    assert (made["length_reward_rho_low"] > 0.35) is coupled
    assert "length_reward_rho_overall" not in made


def test_without_prompts_the_plain_correlation_leaves_out_what_both_do_over_time() -> None:
    rng, distiller = np.random.default_rng(2), Distiller()
    for step in range(30):  # both rise with the steps, and are independent within each
        rows = [{"length": 10 * step + rng.normal(), "reward": step + rng.normal()} for _ in range(16)]
        made = distiller.responses(rows)
    assert abs(made["length_reward_rho_overall"]) < 0.15
    assert not distiller.prompts_known


def test_records_without_a_reward_or_a_length_are_passed_over_and_a_text_has_one() -> None:
    rows = [{"reward": 1.0}, {"length": 3}, {"reward": "x", "length": 3}, {"reward": 1, "response": "four"}]
    assert Distiller().responses(rows[:-1]) == {}  # type: ignore[arg-type]
    assert arrays(rows[-1:]).length.tolist() == [4.0]  # type: ignore[arg-type]  # characters, and no mean length in tokens
    assert Distiller().responses({"reward": 1, "length": 7}) == {"response_length_mean": 7.0}


def test_groups_that_differ_by_rounding_reach_the_bound_of_the_advantage() -> None:
    def group(rewards: list[float], name: str) -> list[dict[str, Any]]:
        x = np.array(rewards)
        made = (x - x.mean()) / x.std()
        return [
            {"group_id": name, "length": 5, "reward": r, "advantage": a}
            for r, a in zip(rewards, made.tolist(), strict=True)
        ]

    real, noise = group([0.0, 0.0, 0.0, 1.0], "real"), group([0.5, 0.5, 0.5, 0.5 + 1e-9], "noise")
    assert Distiller().responses(real)["advantage_bound_frac"] == 0.0
    assert Distiller().responses([*real, *noise])["advantage_bound_frac"] == 0.5


@pytest.mark.parametrize(("share", "bound"), [(0.979, 0.0), (0.981, 1.0)])
def test_an_advantage_counts_as_at_its_bound_within_two_percent(share: float, bound: float) -> None:
    noise = [0.5, 0.5, 0.5, 0.5 + 1e-9]
    rows = [
        {"group_id": "noise", "length": 5, "reward": r, "advantage": share * math.sqrt(3) if r > 0.5 else -0.5}
        for r in noise
    ]
    rows += [{"group_id": "pair", "length": 5, "reward": r, "advantage": 1.0} for r in (0.0, 1.0)]
    assert Distiller().responses(rows)["advantage_bound_frac"] == bound


@pytest.mark.slow
def test_memory_does_not_grow_with_the_run() -> None:
    rng, distiller = np.random.default_rng(3), Distiller()
    for _ in range(100):
        distiller.advantages(rng.normal(size=100))
        distiller.responses(answers(rng, pay=0.0, prompts=25))
    assert sum(map(len, distiller._advantages)) <= REFERENCE + 100
    assert sum(len(r.length) for r in distiller._responses) <= POOL + 100


def test_what_is_made_has_a_canonical_name() -> None:
    rng, distiller = np.random.default_rng(4), Distiller()
    made: set[str] = set()
    for _ in range(12):
        made |= distiller.advantages(rng.normal(size=64)).keys() | distiller.responses(answers(rng, pay=1)).keys()
    assert made <= set(vocabulary().names())
