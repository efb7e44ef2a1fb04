"""Rules are decided for whole blocks of a healthy run. A body that cannot be decided for a block is asked on each row,
which is many times as slow."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from rldk.core.model import Run, RunMeta
from rldk.core.table import MetricTable
from rldk.engine.evaluate import Evaluator
from rldk.engine.scan import scan
from rldk.rules.select import select_rules

ROWS = 4000
LEVELS = {
    "reward_mean": 0.6, "reward_std": 0.3, "kl": 0.05, "entropy": 1.2, "loss": 0.2, "policy_loss": 0.01,
    "value_loss": 0.2, "value_explained_variance": 0.7, "grad_norm": 0.8, "clip_frac": 0.1, "ratio_mean": 1.0,
    "response_length_mean": 200.0, "advantage_mean": 0.01, "advantage_std": 1.0, "kl_coef": 0.05,
    "truncation_frac": 0.02, "eval_reward_mean": 0.6, "pass_at_k": 0.5,
}  # fmt: skip
MOST = 0.05  # of the rows; what few rules ask is about the first rows


@pytest.mark.parametrize("algorithm", ["grpo", "ppo", "dqn"])
def test_no_rule_is_asked_about_each_row_of_a_healthy_run(algorithm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: Counter[str] = Counter()
    look = Evaluator._look

    def counted(self: Evaluator, turn: Any, *rest: Any) -> Any:
        asked[turn[0].rule.code] += 1
        return look(self, turn, *rest)

    monkeypatch.setattr(Evaluator, "_look", counted)
    rng, step = np.random.default_rng(3), np.arange(1, ROWS + 1)
    columns = {name: level * (1 + 0.1 * rng.random(ROWS)) for name, level in LEVELS.items()}
    columns["lr"] = 1e-5 * (1 - step / (ROWS + 1))
    table = MetricTable(
        step=step,
        columns=columns,
        phase=np.zeros(ROWS, dtype=np.uint8),
        segment=np.zeros(ROWS, dtype=np.int32),
        time=np.full(ROWS, np.nan),
    )
    scan(Run(id="made", source="made", metrics=table, meta=RunMeta(algorithm=algorithm)), select_rules())
    assert {code: count for code, count in asked.items() if count > MOST * ROWS} == {}
