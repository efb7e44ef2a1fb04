"""The weights at a checkpoint: size, shape, and how far they have moved since the last one."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rldk.core.table import Row
from rldk.integrations.identities.process import memory
from rldk.integrations.identities.weights import WeightSample, unwrapped
from rldk.integrations.recorder import Recorder
from rldk.integrations.trl.metrics import CheckpointMetrics

STEADY = 0.1  # a drift within a tenth of the last one is no trend
PREFIX = "grad_norm_module/"


class CheckpointMeasures:
    """Measures one checkpoint after the other. It keeps a sample of the last one's weights."""

    def __init__(self, *, parameters: bool = True, gradients: bool = True) -> None:
        self._parameters = parameters
        self._gradients = gradients
        self._sample: WeightSample | None = None
        self._last: NDArray[np.float64] | None = None
        self._drift: float | None = None

    def take(self, model: Any, *, step: int, path: str, measured: Mapping[str, float]) -> CheckpointMetrics:
        """The metrics of a checkpoint. `measured`: the newest gradient norms by part of the model."""
        found: dict[str, Any] = {"memory_gb": memory().get("memory_cpu_gb")}
        if self._parameters and model is not None:
            found |= self._weights(unwrapped(model))
        if self._gradients:
            found |= _gradients(measured)
        return CheckpointMetrics(step=step, path=path, **found)

    def _weights(self, model: Any) -> dict[str, Any]:
        named = list(model.named_parameters())
        found = _totals([p for _, p in named])
        found["total_parameters"] = sum(p.numel() for _, p in named)
        found["trainable_parameters"] = sum(p.numel() for _, p in named if p.requires_grad)
        if self._sample is None:
            self._sample = WeightSample((n, p) for n, p in named if p.requires_grad)
        now = self._sample.take()
        drift = None
        if self._last is not None and len(self._last) == len(now):
            size = float(np.linalg.norm(self._last))
            drift = float(np.linalg.norm(now - self._last)) / size if size > 0 else None
        found |= {"drift": drift, "trend": _trend(drift, self._drift)}
        broken = found["nonfinite_weights"] > 0
        found["health"] = "broken" if broken else "unchanged" if drift == 0 else "sound"
        self._last, self._drift = now, drift
        return found


class CheckpointLog:
    """The checkpoints of one training, as `{run_id}_checkpoint_summary.csv`. `made`: all so far."""

    def __init__(self, measures: CheckpointMeasures) -> None:
        self.made: list[CheckpointMetrics] = []
        self._measures = measures
        self._gradients: dict[str, float] = {}

    def row(self, row: Row | None) -> None:
        """Remembers the newest gradient norms by part of the model."""
        if row is not None:
            self._gradients.update({name: x for name, x in row.values.items() if name.startswith(PREFIX)})

    def saved(self, recorder: Recorder, model: Any, *, step: int, folder: str) -> None:
        """Measures the checkpoint that was just written."""
        path = str(Path(folder) / f"checkpoint-{step}")
        self.made.append(self._measures.take(model, step=step, path=path, measured=self._gradients))
        if recorder.rank == 0:
            recorder.files.save("checkpoint_summary.csv", _table([metrics.to_dict() for metrics in self.made]))


def _table(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), restval="")
    writer.writeheader()
    writer.writerows({k: "" if v is None else v for k, v in row.items()} for row in rows)
    return text.getvalue()


def _totals(tensors: list[Any]) -> dict[str, Any]:
    """Moments over all weights, one tensor at a time, so that nothing is copied whole."""
    count, total, squares, largest, bad, zeros = 0, 0.0, 0.0, 0.0, 0, 0
    for tensor in tensors:
        values = tensor.detach()
        if not values.numel():
            continue
        flat = values.float()
        finite = flat.isfinite()
        bad += int((~finite).sum())
        flat = flat.where(finite, flat.new_zeros(()))
        count += values.numel()
        total += float(flat.sum())
        squares += float(flat.pow(2).sum())
        largest = max(largest, float(flat.abs().max()))
        zeros += int((flat == 0).sum())
    if not count:
        return {"nonfinite_weights": 0}
    mean = total / count
    return {
        "weight_norm": math.sqrt(squares),
        "weight_mean": mean,
        "weight_std": math.sqrt(max(0.0, squares / count - mean * mean)),
        "weight_max_abs": largest,
        "nonfinite_weights": bad,
        "zero_weight_frac": zeros / count,
    }


def _gradients(measured: Mapping[str, float]) -> dict[str, Any]:
    norms = [value for name, value in measured.items() if name.startswith(PREFIX)]
    if not norms:
        return {}
    return {
        "grad_norm": math.sqrt(sum(x * x for x in norms)),
        "grad_norm_min": min(norms),
        "grad_norm_max": max(norms),
        "gradient_flow": sum(x > 0 for x in norms) / len(norms),
    }


def _trend(now: float | None, before: float | None) -> Literal["rising", "steady", "falling"] | None:
    if now is None or before is None:
        return None
    if abs(now - before) <= STEADY * before:
        return "steady"
    return "rising" if now > before else "falling"
