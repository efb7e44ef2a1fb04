from __future__ import annotations

import math
import random
from typing import Any

import pytest

from rldk.testing import scan_columns


def noisy(level: float, n: int, seed: int = 1, share: float = 0.05) -> list[float]:
    rng = random.Random(seed)
    return [level * math.exp(rng.gauss(0, share)) for _ in range(n)]


FLAT = noisy(0.5, 60, 2)
STEADY = {"reward_mean": FLAT}
JUMP = noisy(1.0, 40) + noisy(4.0, 20)
CREEP = [math.exp(0.05 * i) * x for i, x in enumerate(noisy(1.0, 60))]
SPIKE = [*noisy(1.0, 40), 90.0, *noisy(1.0, 19)]
LEARNT = noisy(0.2, 40) + noisy(0.6, 20)
RISING = [x + 0.04 * max(0, min(10, i - 40)) for i, x in enumerate(noisy(0.2, 60))]
CRITIC = noisy(0.03, 40) + noisy(0.5, 20)
POOR = [-0.1] * 40 + [-6.0] * 20


@pytest.mark.parametrize(
    ("code", "columns", "first_step"),
    [
        ("KL001", {"kl": JUMP, **STEADY}, 43),
        ("GRAD002", {"grad_norm": JUMP}, 43),
        ("GRAD002", {"grad_norm": [x * (1 if i < 30 else 1.15 ** (i - 30)) for i, x in enumerate(noisy(1.0, 60))]}, 49),
        ("REW005", {"reward_mean": noisy(0.9, 40) + noisy(180.0, 20)}, 43),
        ("REW005", {"reward_mean": FLAT, "reward_std": JUMP}, 43),
        ("REW005", {"reward_mean": noisy(0.5, 60, 3, 0.01) + noisy(0.5, 20, 4, 0.9)}, 66),
        ("VAL003", {"value_loss": CRITIC, "value_explained_variance": POOR}, 44),
        ("ENT008", {"entropy": noisy(2.0, 40, share=0.01) + noisy(1.2, 20, share=0.01), **STEADY}, 43),
        ("OFF002", {"rollout_logprob_diff_mean": [0.01 * x for x in JUMP]}, 43),
    ],
)
def test_fires(code: str, columns: dict[str, Any], first_step: int) -> None:
    report = scan_columns(code, columns)
    assert [(f.code, f.first_step) for f in report.findings[:1]] == [(code, first_step)]


@pytest.mark.parametrize(
    ("code", "columns"),
    [
        ("KL001", {"kl": JUMP, "reward_mean": LEARNT}),
        ("KL001", {"kl": CREEP, **STEADY}),
        ("GRAD002", {"grad_norm": CREEP}),
        ("GRAD002", {"grad_norm": SPIKE}),
        ("GRAD002", {"grad_norm": noisy(1.0, 40) + noisy(2.5, 20)}),
        ("REW005", {"reward_mean": RISING, "reward_std": noisy(0.2, 40) + noisy(0.4, 20)}),
        ("REW005", {"reward_mean": [0.0] * 30 + [min(1.0, 0.05 * i) for i in range(30)], "reward_std": FLAT}),
        ("VAL003", {"value_loss": CRITIC, "value_explained_variance": [-0.1] * 60}),
        ("ENT008", {"entropy": noisy(2.0, 40, share=0.01) + noisy(1.2, 20, share=0.01), "reward_mean": LEARNT}),
        ("ENT008", {"entropy": noisy(2.0, 40, share=0.01) + noisy(1.7, 20, share=0.01), **STEADY}),
        ("OFF002", {"rollout_logprob_diff_mean": [1e-6 * x for x in JUMP]}),
    ],
)
def test_stays_quiet_near_the_limit(code: str, columns: dict[str, Any]) -> None:
    report = scan_columns(code, columns)
    assert (report.findings, report.checked) == ((), (code,))


@pytest.mark.parametrize(
    ("code", "columns", "reason"),
    [
        ("KL001", {"loss": JUMP}, "needs kl"),
        ("GRAD002", {"loss": JUMP}, "needs grad_norm"),
        ("REW005", {"loss": JUMP}, "needs reward_mean"),
        ("VAL003", {"value_loss": CRITIC}, "needs value_explained_variance"),
        ("ENT008", {"entropy": JUMP}, "needs reward_mean"),
        ("OFF002", {"loss": JUMP}, "needs rollout_logprob_diff_mean"),
    ],
)
def test_says_what_is_missing(code: str, columns: dict[str, Any], reason: str) -> None:
    (check,) = scan_columns(code, columns).skipped
    assert check.reason.startswith(reason)


@pytest.mark.parametrize(("scale", "worst"), [(1.0, "warn"), (1e-7, None)])
def test_a_value_loss_that_is_next_to_nothing(scale: float, worst: str | None) -> None:
    columns = {
        "value_loss": [10.0] * 10 + [scale] * 20 + [5 * scale] * 6,
        "value_explained_variance": [0.5] * 30 + [-9.0] * 6,
    }
    assert scan_columns("VAL003", columns, algorithm="ppo").worst() == worst


@pytest.mark.parametrize(("key", "worst"), [("rewards/mean", "warn"), ("ep_reward_mean", None)])
def test_a_return_that_takes_off(key: str, worst: str | None) -> None:
    columns = {"reward_mean": [0.1 * (i % 2) for i in range(30)] + [9.0, 9.1, 9.2]}
    assert scan_columns("REW005", columns, names={"reward_mean": key}).worst() == worst


@pytest.mark.parametrize(("beside", "worst"), [({}, None), ({"kl": [0.01] * 80}, "warn")])
def test_a_return_beside_a_critic_spreads_as_the_agent_lives_longer(beside: dict[str, Any], worst: str | None) -> None:
    reward = noisy(0.5, 60, 3, 0.01) + noisy(0.5, 20, 4, 0.9)
    columns = {"reward_mean": reward, "value_loss": [0.1] * 80, "policy_loss": [0.0] * 80, **beside}
    names = {"reward_mean": "rew", "value_loss": "vl_loss", "policy_loss": "pg_loss", "kl": "kl"}
    assert scan_columns("REW005", columns, names=names).worst() == worst


@pytest.mark.parametrize(("slope", "warned"), [(0.02, False), (0.0, True)])
def test_an_agent_that_decides_while_it_still_improves(slope: float, warned: bool) -> None:
    rewards = [slope * i + 0.1 * (2 * i % 5) for i in range(60)]
    columns = {"entropy": noisy(2.0, 40, share=0.01) + noisy(1.2, 20, share=0.01), "reward_mean": rewards}
    found = scan_columns("ENT008", columns, framework="mlagents", algorithm="ppo").findings
    assert bool(found) == warned
