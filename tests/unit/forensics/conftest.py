from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

Rows = list[dict[str, Any]]


def ppo_rows(n: int = 80, *, seed: int = 0, **changes: Any) -> Rows:
    """Arguments of `update` for a healthy run: noise around a slow course. A change is a function of (row, value)."""
    rng = np.random.default_rng(seed)
    rows: Rows = []
    for i in range(n):
        z = rng.normal(size=10)
        row = {
            "step": i,
            "kl": 0.1 + 0.008 * z[0],
            "kl_coef": 0.2 * 1.01 ** float(np.sin(i / 3)),
            "entropy": 2.0 - 0.002 * i + 0.02 * z[1],
            "reward_mean": 0.5 + 0.002 * i + 0.03 * z[2],
            "reward_std": 0.3 + 0.01 * z[3],
            "policy_grad_norm": float(np.exp(0.1 * z[4])),
            "value_grad_norm": 0.8 * float(np.exp(0.1 * z[5])),
            "total_grad_norm": 1.3 * float(np.exp(0.1 * z[6])),
            "advantage_mean": 1e-7 * z[7],
            "advantage_std": 1.0 + 0.002 * z[8],
            "value_loss": 0.2 + 0.01 * z[9],
            "clip_frac": 0.1,
        }
        for name, change in changes.items():
            row[name] = change(i, row.get(name))
        rows.append(row)
    return rows


@pytest.fixture(name="ppo_rows")
def _ppo_rows() -> Callable[..., Rows]:
    return ppo_rows
