"""Has the KL drifted: the engine's findings decide, and the distance of now from a reference period says how far."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rldk.core.model import Finding
from rldk.core.stats.distance import jensen_shannon, wasserstein
from rldk.core.stats.moments import robust_sd
from rldk.engine.features import NAN
from rldk.engine.gauges import LEAST, Doublings
from rldk.forensics.anomalies import DRIFT_CODES, KL_DRIFT, KL_DRIFT_TRACKER, anomaly

RISING = 0.3219  # log2 of 1.25: a trend smaller than a quarter is called stable


class KLDrift:
    """Remembers the KL of a reference period, the first rows, and of the newest rows.

    `threshold`: Jensen-Shannon divergence in bits, 0 to 1, below which a finding is not called drift. It bounds the
    size of what is reported; whether anything is wrong the rules decide. `reference_period`: rows, by default as many
    as the window; shorter runs are halved."""

    def __init__(self, threshold: float = 0.15, window_size: int = 100, reference_period: int | None = None) -> None:
        self.threshold = threshold
        self.window_size = window_size
        self.reference_period = reference_period or window_size
        self._first: list[tuple[int, float]] = []
        self._newest: deque[tuple[int, float]] = deque(maxlen=window_size)
        self._trend = Doublings(window_size)
        self._rows = 0

    def update(self, step: int, kl: float) -> None:
        """Takes the KL of the next row; one that is missing or not finite is passed over."""
        if not math.isfinite(kl):
            return
        self._rows += 1
        if len(self._first) < self.reference_period:
            self._first.append((step, kl))
        self._newest.append((step, kl))
        self._trend.update(kl)

    def analysis(self, findings: Iterable[Finding]) -> dict[str, Any]:
        """What `get_kl_drift_analysis` documents. `score`, `divergence` and the periods are None before 40 rows."""
        found = [f for f in findings if f.code in DRIFT_CODES]
        reference, current = self._periods()
        score = jensen_shannon(_values(reference), _values(current)) if reference else NAN
        drifted = [] if score < self.threshold else found
        return {
            "enabled": True,
            "detected": bool(drifted),
            "status": "detected" if drifted else "ok" if reference else "too_early" if self._rows else "no_data",
            "score": _known(score),
            "threshold": self.threshold,
            "divergence": self._divergence(reference, current),
            "trend": self._direction(),
            "drift_start_step": min((_start(f) for f in drifted), default=None),
            "drift_last_step": max((f.last_step for f in drifted), default=None),
            "ongoing": any(f.ongoing for f in drifted),
            **_described("reference", reference),
            **_described("current", current),
            "rows": self._rows,
            "decided_by": list(DRIFT_CODES),
            "anomalies": [anomaly(f, name=KL_DRIFT, tracker=KL_DRIFT_TRACKER) for f in drifted],
        }

    def _periods(self) -> tuple[list[tuple[int, float]], list[tuple[int, float]]]:
        """The rows of the reference and of now; never the same ones, and none before there are enough of both."""
        head = min(len(self._first), self._rows // 2)
        tail = min(self.window_size, self._rows - head)
        if min(head, tail) < min(LEAST, self.window_size, self.reference_period):
            return [], []
        return self._first[:head], list(self._newest)[-tail:]

    def _divergence(self, reference: list[tuple[int, float]], current: list[tuple[int, float]]) -> float | None:
        """The Wasserstein distance in robust standard deviations of the reference."""
        if not reference:
            return None
        spread = robust_sd(_values(reference))
        return wasserstein(_values(reference), _values(current)) / spread if spread > 0 else None

    def _direction(self) -> str | None:
        trend = self._trend.value
        if trend != trend:
            return None
        return "rising" if trend > RISING else "falling" if trend < -RISING else "stable"


def _values(period: list[tuple[int, float]]) -> NDArray[np.float64]:
    return np.array([kl for _, kl in period], dtype=np.float64)


def _described(name: str, period: list[tuple[int, float]]) -> dict[str, Any]:
    values = _values(period)
    return {
        f"{name}_steps": [period[0][0], period[-1][0]] if period else None,
        f"{name}_mean": float(values.mean()) if period else None,
        f"{name}_std": float(values.std()) if period else None,
        f"{name}_median": float(np.median(values)) if period else None,
    }


def _start(finding: Finding) -> int:
    return finding.first_step if finding.onset is None else finding.onset


def _known(x: float) -> float | None:
    return x if x == x else None
