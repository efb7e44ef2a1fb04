"""What the names in a log tell of its trainer, where the format does not say it."""

from __future__ import annotations

import json
from pathlib import Path

from examples import each_of

from rldk.adapters import open_run

CLEANRL_DQN = {"global_step": 100, "losses/td_loss": 0.5, "losses/q_values": 1.0, "charts/SPS": 900}
VERL = {"step": 1, "actor/pg_loss": 0.1, "critic/advantages/mean": 0.0}


@each_of(
    ("row", "told"),
    [
        (CLEANRL_DQN, ("cleanrl", "dqn")),
        ({k: x for k, x in CLEANRL_DQN.items() if k != "losses/q_values"}, ("cleanrl", None)),
        (VERL, ("verl", "grpo")),
        ({**VERL, "critic/vf_loss": 0.2, "actor/ppo_kl": 0.01, "actor/pg_clipfrac": 0.1}, ("verl", "ppo")),
    ],
)
def test_names_tell_the_algorithm(row: dict[str, float], told: tuple[str, str | None], tmp_path: Path) -> None:
    log = tmp_path / "metrics.jsonl"
    clock = next(iter(row))
    log.write_text("".join(json.dumps({**row, clock: row[clock] * i}) + "\n" for i in range(1, 6)))
    meta = open_run(log).meta
    assert (meta.framework, meta.algorithm) == told
