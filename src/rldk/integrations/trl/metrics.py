"""The metrics of one logged step, by the names that users of the callbacks know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from rldk.core.table import Row


class RLDKMetrics(Struct, frozen=True, kw_only=True):
    """One logged step in canonical names; None is missing. `values`: everything that was logged or measured."""

    step: int = 0
    phase: str = "train"
    wall_time: float | None = None
    epoch: float | None = None
    loss: float | None = None
    lr: float | None = None
    grad_norm: float | None = None
    reward_mean: float | None = None
    reward_std: float | None = None
    kl: float | None = None
    entropy: float | None = None
    clip_frac: float | None = None
    policy_loss: float | None = None
    value_loss: float | None = None
    advantage_mean: float | None = None
    advantage_std: float | None = None
    response_length_mean: float | None = None
    tokens_per_sec: float | None = None
    memory_cpu_gb: float | None = None
    memory_peak_gb: float | None = None
    values: Mapping[str, float] = {}

    @classmethod
    def of(cls, row: Row) -> RLDKMetrics:
        """The metrics of a row."""
        known = {name: row.values[name] for name in cls.__struct_fields__ if name in row.values and name != "step"}
        moment = row.time if row.time == row.time else None
        return cls(step=row.step, phase=row.phase, **{"wall_time": moment, **known}, values=dict(row.values))

    def to_dict(self) -> dict[str, Any]:
        """The known metrics as a flat dictionary."""
        return {name: value for name, value in asdict(self).items() if name != "values"}
