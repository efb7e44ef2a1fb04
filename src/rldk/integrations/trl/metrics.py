"""The metrics of one logged step, and of one checkpoint, by the names that users of the callbacks know."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeVar

from msgspec import Struct
from msgspec.structs import asdict

from rldk.core.model import SEVERITIES, Finding
from rldk.core.table import Row
from rldk.engine.report.health import Health

T = TypeVar("T", bound="LoggedStep")
Risk = Literal["none", "info", "warn", "critical"]
COLLAPSE = frozenset({"ENT"})  # families
HACKING = frozenset({"REW002", "REW003", "LEN001"})  # codes


class LoggedStep(Struct, frozen=True, kw_only=True):
    """One logged step in canonical names; None is missing. `values`: everything that was logged or measured."""

    step: int = 0
    phase: str = "train"
    wall_time: float | None = None
    epoch: float | None = None
    values: Mapping[str, float] = {}

    @classmethod
    def of(cls: type[T], row: Row, **more: Any) -> T:
        """The metrics of a row."""
        known: dict[str, Any] = {name: row.values[name] for name in cls.__struct_fields__ if name in row.values}
        if row.time == row.time:
            known["wall_time"] = row.time
        return cls(**{**known, **more, "step": row.step, "phase": row.phase, "values": dict(row.values)})

    def to_dict(self) -> dict[str, Any]:
        """The known metrics as a flat dictionary."""
        return {name: value for name, value in asdict(self).items() if name != "values"}


class RLDKMetrics(LoggedStep, frozen=True, kw_only=True):
    """What a logged step of any trainer may hold."""

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
    pref_margin: float | None = None
    pref_accuracy: float | None = None
    tokens_per_sec: float | None = None
    memory_cpu_gb: float | None = None
    memory_peak_gb: float | None = None


class PPOMetrics(LoggedStep, frozen=True, kw_only=True):
    """One update of PPO, GRPO or RLOO: the rollout, the update, and what the rules make of it.

    `policy_collapse_risk`, `reward_hacking_risk`: the gravest finding of that kind that is going on; None while the
    metrics it needs are not there. `stability`: the share of the newest rows without a warning. `health`: the
    probability that the run is healthy."""

    reward_mean: float | None = None
    reward_std: float | None = None
    reward_min: float | None = None
    reward_max: float | None = None
    response_length_mean: float | None = None
    response_length_min: float | None = None
    response_length_max: float | None = None
    kl: float | None = None
    kl_coef: float | None = None
    entropy: float | None = None
    clip_frac: float | None = None
    policy_loss: float | None = None
    value_loss: float | None = None
    loss: float | None = None
    grad_norm: float | None = None
    advantage_mean: float | None = None
    advantage_std: float | None = None
    tokens_per_sec: float | None = None
    policy_collapse_risk: Risk | None = None
    reward_hacking_risk: Risk | None = None
    stability: float | None = None
    health: float | None = None

    @classmethod
    def judged(cls, row: Row, findings: Iterable[Finding], health: Health) -> PPOMetrics:
        """The metrics of a row, with what the rules say at that moment."""
        listed = list(findings)
        has = row.values.__contains__
        collapse = [f for f in listed if f.family in COLLAPSE]
        hacking = [f for f in listed if f.code in HACKING]
        return cls.of(
            row,
            policy_collapse_risk=_risk(collapse) if has("entropy") else None,
            reward_hacking_risk=_risk(hacking) if has("reward_mean") else None,
            stability=health.stability,
            health=health.overall,
        )


class CheckpointMetrics(Struct, frozen=True, kw_only=True):
    """One checkpoint. `drift`: the relative change of a fixed sample of the weights since the last checkpoint.

    `gradient_flow`: the share of the model's parts whose last measured gradient was not 0. `health`: "broken" with
    weights that are not finite, "unchanged" when nothing has moved since the last checkpoint, else "sound". `trend`:
    how the drift compares with that of the last checkpoint. None is not measured."""

    step: int
    path: str = ""
    total_parameters: int | None = None
    trainable_parameters: int | None = None
    weight_norm: float | None = None
    weight_mean: float | None = None
    weight_std: float | None = None
    weight_max_abs: float | None = None
    nonfinite_weights: int | None = None
    zero_weight_frac: float | None = None
    drift: float | None = None
    grad_norm: float | None = None
    grad_norm_min: float | None = None
    grad_norm_max: float | None = None
    gradient_flow: float | None = None
    memory_gb: float | None = None
    health: Literal["sound", "unchanged", "broken"] | None = None
    trend: Literal["rising", "steady", "falling"] | None = None

    def to_dict(self) -> dict[str, Any]:
        """The metrics as a flat dictionary."""
        return asdict(self)


def _risk(findings: Iterable[Finding]) -> Risk:
    return max((f.severity for f in findings), key=SEVERITIES.index, default="none")
