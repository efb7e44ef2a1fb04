"""Whole reports of made-up runs: findings with onset and recovery, incidents, verdict, understanding, outlook, health.

They are judged under a rule file of their own, so that no change of the catalogue changes them; kept in
tests/golden."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rldk.cards.wire import document
from rldk.core.model import Run
from rldk.diagnosis import diagnose_run
from rldk.rules.files.load import load_rules
from rldk.testing import run_of

RULES = """
rules:
  - {id: kl_high, metric: kl, condition: value > 0.5, window: {size: 2, kind: consecutive}, cooldown_steps: 5}
  - {id: kl_doubled, metric: kl, condition: value > 2 * past(value), grace_steps: 10}
  - {id: reward_low, metric: reward_mean, condition: value < 0.2, severity: critical, window: {size: 3, kind: rolling}}
  - {id: entropy_low, metric: entropy, condition: value < 0.5 * early(value), severity: info}
  - {id: grad_high, metric: grad_norm, condition: value > 5}
  - {id: loss_gone, metric: loss, condition: value > 10, severity: critical}
"""


def _noise(n: int, level: float, share: float, seed: int) -> list[Any]:
    rng = random.Random(seed)
    return [level * (1 + share * rng.gauss(0, 1)) for _ in range(n)]


def _calm(n: int) -> dict[str, list[Any]]:
    return {
        "kl": _noise(n, 0.1, 0.05, 1),
        "reward_mean": [0.4 + 0.3 * i / n + x for i, x in enumerate(_noise(n, 0.02, 1, 2))],
        "entropy": _noise(n, 2.0, 0.02, 3), "grad_norm": _noise(n, 1.0, 0.2, 4), "loss": _noise(n, 0.3, 0.1, 5),
        "lr": [1e-4 * (1 - i / n) for i in range(n)],
    }  # fmt: skip


def _changed(n: int, **changes: Callable[[int, float], Any]) -> dict[str, list[Any]]:
    return {name: [changes[name](i, x) if name in changes else x for i, x in enumerate(column)] for name, column in
            _calm(n).items()}  # fmt: skip


def _late(row: int, factor: float) -> Callable[[int, float], float]:
    return lambda i, x: x * factor if i > row else x


def _runs() -> dict[str, Run]:
    hours = [1.7e9 + 30.0 * i for i in range(120)]
    work: dict[str, list[Any]] = {
        "tokens_per_sec": [100.0 if i < 60 else 60.0 for i in range(120)],
        "memory_allocated_gib": [10.0 + 0.05 * i for i in range(120)],
    }
    few = {k: v for k, v in _calm(60).items() if k in ("kl", "lr")}
    unknown: dict[str, list[Any]] = {"mine": _noise(40, 1.0, 0.1, 6), "yours": _noise(40, 2.0, 0.1, 7)}
    broken = _changed(120, kl=_late(70, 9), grad_norm=_late(68, 9), reward_mean=_late(75, 0.1), entropy=_late(80, 0.25))
    phases: Any = ["eval" if i % 10 == 9 else "train" for i in range(60)]
    return {
        "calm": run_of(_calm(120), time=hours, total_steps=400, algorithm="ppo", framework="trl"),
        "short": run_of(_calm(19), algorithm="ppo"),
        "twenty rows": run_of(_calm(20), algorithm="ppo"),
        "without a goal": run_of(few),
        "nothing known": run_of(unknown),
        "kl comes and goes": run_of(_changed(120, kl=lambda i, x: x * (9 if 40 <= i < 50 or i >= 100 else 1))),
        "collapse": run_of(broken, algorithm="grpo"),
        "a loss that is no number": run_of(_changed(60, loss=_late(30, math.nan))),
        "restarted": run_of(_changed(80, kl=_late(60, 9)), step=[*range(50), *range(40, 70)]),
        "evaluated": run_of(_calm(60), phase=phases),
        "slower and fuller": run_of({**_calm(120), **work}, time=hours, total_steps=1000, config={"gpu_gib": 24}),
        "reward falls": run_of(_changed(120, reward_mean=lambda i, x: x - 0.004 * max(0, i - 60)), algorithm="ppo"),
        "reward settled": run_of(_changed(160, reward_mean=lambda i, x: 0.7 + 0.01 * (x - 0.5)), algorithm="ppo"),
        "a smoothed reward": run_of(_calm(120), framework="stable_baselines3", algorithm="ppo"),
        "sparse": run_of(_changed(60, entropy=lambda i, x: x if i % 4 == 0 else None), total_steps=60),
    }


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.8g}")
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items() if k not in ("series", "causes", "fixes", "name", "family")}
    return [_rounded(v) for v in value] if isinstance(value, list) else value


def test_golden_reports(golden: Callable[[str, str], None], tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(RULES)
    rules, parts = load_rules(tmp_path / "mine.yaml"), []
    for name, run in _runs().items():
        told = _rounded(document(diagnose_run(run, rules)))
        parts.append(f"== {name}\n{json.dumps(told, indent=1, sort_keys=True)}")
    golden("engine-reports.txt", "\n".join(parts))
