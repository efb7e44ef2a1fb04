"""Features that a report asks for, whatever the rules do: made before the first row."""

from __future__ import annotations

from typing import Any

NOISE_ROWS = 20
MEMORY = ("memory_peak_gb", "memory_cpu_gb")
_BLOCKS = ("reward_mean", "loss", "lr", *MEMORY, "step_time", "tokens_step", "tokens_per_sec", "row_interval_s")
KEYS: tuple[tuple[Any, ...], ...] = (
    *(("blocks", name) for name in _BLOCKS),
    *(("noise", name, NOISE_ROWS) for name in ("reward_mean", "loss")),
    *((kind, "step") for kind in ("first", "last", "count")),
)
