"""What the three trackers measure of fixed runs, as a whole; kept in tests/golden."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import asdict

from rldk.forensics import AdvantageStatisticsTracker, GradientNormsAnalyzer, KLScheduleTracker

Rows = list[dict[str, Any]]
SHOWN = (0, 9, 10, 19, 20, 39, 60, 61, 63, 75, 89)


def _shown(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.9g}")
    return {k: _shown(v) for k, v in value.items()} if isinstance(value, dict) else value


def _text(made: list[Any]) -> str:
    lines = []
    for place in SHOWN:
        told = {k: _shown(v) for k, v in asdict(made[place]).items() if not k.endswith("_health_score")}
        lines.append(f"{place}: " + ", ".join(f"{k} {v}" for k, v in told.items()))
    return "\n".join(lines)


LATE = 60
Change = Callable[[int, float], float | None]
RUNS: dict[str, tuple[str, dict[str, Change]]] = {
    "kl runs off": ("kl", {"kl": lambda i, x: x * (1 + max(0, i - LATE) / 10)}),
    "coefficient obeys": ("kl", {"kl_coef": lambda i, x: 0.2 * 1.03 ** (i % 20)}),
    "coefficient is off, and gaps": ("kl", {"kl_coef": lambda i, x: 0.0, "kl": lambda i, x: x if i % 7 else math.nan}),
    "gradients burst": ("norms", {"policy_grad_norm": lambda i, x: x * (12 if i > LATE else 1)}),
    "gradients vanish": ("norms", {"policy_grad_norm": lambda i, x: 0.0 if i > LATE else x}),
    "one norm": ("norms", {"policy_grad_norm": lambda i, x: None, "value_grad_norm": lambda i, x: None}),
    "advantages lean": ("advantages", {"advantage_mean": lambda i, x: 0.3 if i > LATE else x}),
    "advantages grow": ("advantages", {"advantage_std": lambda i, x: 2.5 if i > LATE else x}),
}


def _measured(part: str, rows: Rows) -> list[Any]:
    kl, norms = KLScheduleTracker(kl_target=0.1, window_size=40), GradientNormsAnalyzer(window_size=40)
    advantages, made = AdvantageStatisticsTracker(window_size=40), list[Any]()
    for i, row in enumerate(rows):
        if part == "kl":
            made.append(kl.update(i, row["kl"], row["kl_coef"]))
        elif part == "norms":
            made.append(norms.update(i, row["policy_grad_norm"], row["value_grad_norm"], row["total_grad_norm"]))
        else:
            samples = [row["advantage_std"] * math.sin(i + 7 * k) + 0.01 * k for k in range(64)] if i % 3 else None
            mean, std = row["advantage_mean"], row["advantage_std"]
            made.append(advantages.update(i, mean, std, advantage_samples=samples))
    return made


@pytest.mark.parametrize("part", ["kl", "norms", "advantages"])
def test_golden_trackers(golden: Callable[[str, str], None], ppo_rows: Callable[..., Rows], part: str) -> None:
    told = {
        name: _measured(part, ppo_rows(90, seed=seed, **changes))
        for seed, (name, (of, changes)) in enumerate(RUNS.items())
        if of == part
    }
    golden(f"tracker-{part}.txt", "\n".join(f"== {name}\n{_text(made)}" for name, made in told.items()))
