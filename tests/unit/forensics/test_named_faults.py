"""What goes wrong comes out of `update` under its documented name."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from examples import every

from rldk.forensics import ComprehensivePPOForensics

Rows = list[dict[str, Any]]
Change = Callable[[int, Any, np.random.Generator], Any]
AT = 60  # the row of the fault, where it has one

FAULTS: dict[str, dict[str, Change]] = {
    "kl_trend_anomaly": {
        "kl": lambda i, x, _: x if i < AT else 6 * x,
        "reward_mean": lambda i, x, _: 0.5 + 0.001 * (i % 5),
    },
    "kl_volatility_anomaly": {"kl": lambda i, _, rng: 0.1 * math.exp((0.05 if i < AT else 0.6) * rng.normal())},
    "target_range_anomaly": {"kl": lambda i, _, rng: 0.5 + 0.02 * rng.normal()},
    "controller_overshoot_anomaly": {"kl": lambda i, *_: min(0.1, 0.02 * i) if i < 20 else 0.3},
    "controller_oscillation_anomaly": {
        "kl": lambda i, *_: 0.1 + (0.09 * math.sin(math.pi * i / 6) if i >= 30 else 0.0),
        "kl_coef": lambda i, *_: 0.2 * (1 + 0.3 * math.sin(math.pi * i / 6 + 1)),
    },
    "coef_adaptation_anomaly": {"kl_coef": lambda i, x, _: x if i < AT else 0.0},
    "exploding_gradient_anomaly": {"policy_grad_norm": lambda i, x, _: x if i < AT else 40 * x},
    "vanishing_gradient_anomaly": {
        name: lambda i, x, _: x * math.exp(-i / 15) for name in ("policy_grad_norm", "total_grad_norm")
    },
    "gradient_imbalance_anomaly": {"policy_grad_norm": lambda i, x, _: x if i < AT else 40 * x},
    "gradient_balance_anomaly": {"policy_grad_norm": lambda i, x, _: x if i < AT else 5 * x},
    "gradient_stability_anomaly": {
        "policy_grad_norm": lambda i, _, rng: math.exp((0.1 if i < AT else 1.0) * rng.normal())
    },
    "advantage_bias_anomaly": {
        "advantage_mean": lambda i, _, rng: 0.05 * rng.normal() + (0.4 if i >= AT else 0.0),
    },
    "advantage_scale_anomaly": {
        "advantage_std": lambda i, _, rng: (1.0 if i < AT else 4.0) * (1 + 0.05 * rng.normal()),
    },
    "advantage_trend_anomaly": {"advantage_mean": lambda i, _, rng: 0.02 * rng.normal() + 0.005 * i},
    "advantage_volatility_anomaly": {"advantage_mean": lambda i, _, rng: (0.02 if i < AT else 0.4) * rng.normal()},
    "advantage_normalization_anomaly": {"advantage_mean": lambda i, x, _: x if i < AT else 0.3},
    "advantage_distribution_anomaly": {"advantage_samples": lambda i, _, rng: rng.normal(size=512) + (i >= AT)},
    "advantage_kurtosis_anomaly": {
        "advantage_samples": lambda i, _, rng: (rng.normal if i < AT else rng.standard_cauchy)(size=512)
    },
    "advantage_skewness_anomaly": {
        "advantage_samples": lambda i, _, rng: rng.normal(size=512) if i < AT else rng.exponential(size=512) ** 2
    },
}


@pytest.mark.parametrize("name", every(8, FAULTS))
def test_a_fault_has_its_documented_name(ppo_rows: Callable[..., Rows], name: str) -> None:
    rng = np.random.default_rng(1)
    changes = {metric: (lambda i, x, change=change: change(i, x, rng)) for metric, change in FAULTS[name].items()}
    forensics = ComprehensivePPOForensics()
    for row in ppo_rows(110, **changes):
        forensics.update(**row)
    found = {a["type"]: a["step"] for a in forensics.get_anomalies()}
    assert name in found
