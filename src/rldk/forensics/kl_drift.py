"""Has the KL drifted? The engine's findings decide, and the distance from a reference period says how far."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rldk.core.model import Finding
from rldk.core.stats.distance import jensen_shannon, wasserstein
from rldk.core.stats.moments import robust_sd
from rldk.engine.features.recent import LEAST, Recent
from rldk.engine.features.window import NAN
from rldk.forensics.anomalies import DRIFT_CODES, KL_DRIFT, KL_DRIFT_TRACKER, anomaly

RISING = 0.3219  # log2 of 1.25: a trend smaller than a quarter is called stable
THRESHOLD = 0.15  # a Jensen-Shannon divergence, in bits
WINDOW = 100  # rows
FEWEST = 10  # rows before a finding that make a reference for it


class KLDrift:
    """Remembers the KL of every row, 16 bytes each.

    `threshold`: a Jensen-Shannon divergence in bits, 0 to 1, from the reference period to the rows from the finding on.
    Below it, a finding is not called drift (a spike that passes). It limits what is reported; whether anything is wrong
    is decided by the rules. `reference_period`: the number of first rows, by default as many as the window. A shorter
    run is halved, and a period that contains the finding ends before it."""

    def __init__(
        self, threshold: float = THRESHOLD, window_size: int = WINDOW, reference_period: int | None = None
    ) -> None:
        self.threshold = threshold
        self.window_size = window_size
        self.reference_period = reference_period or window_size
        self._steps = array("q")
        self._kl = array("d")
        self._recent = Recent(window_size)

    def update(self, step: int, kl: float) -> None:
        """Takes the KL of the next row. A missing value or one that is not finite is ignored."""
        if math.isfinite(kl):
            self._steps.append(step)
            self._kl.append(kl)
            self._recent.update(kl)

    def analysis(self, findings: Iterable[Finding]) -> dict[str, Any]:
        """The result that `get_kl_drift_analysis` documents. `score`, `divergence` and the periods are None before 40
        rows."""
        found = [f for f in findings if f.code in DRIFT_CODES]
        steps, kl = np.array(self._steps, dtype=np.int64), np.array(self._kl, dtype=np.float64)
        drifted = [f for f in found if not self._size(steps, kl, f) < self.threshold]  # NaN: too early to say how far
        head, tail = self._periods(len(kl), min((_row(steps, f) for f in drifted), default=len(kl)))
        reference, current = kl[:head], kl[len(kl) - tail :]
        spread = robust_sd(reference)
        return {
            "enabled": True,
            "detected": bool(drifted),
            "status": "detected" if drifted else "ok" if head else "too_early" if len(kl) else "no_data",
            "score": _known(jensen_shannon(reference, current)),
            "threshold": self.threshold,
            "divergence": _known(wasserstein(reference, current) / spread) if spread > 0 else None,
            "trend": self._direction(),
            "drift_start_step": min((_start(f) for f in drifted), default=None),
            "drift_last_step": max((f.last_step or 0 for f in drifted), default=None),
            "ongoing": any(f.ongoing for f in drifted),
            **_described("reference", steps[:head], reference),
            **_described("current", steps[len(kl) - tail :], current),
            "rows": len(kl),
            "decided_by": list(DRIFT_CODES),
            "anomalies": [anomaly(f, name=KL_DRIFT, tracker=KL_DRIFT_TRACKER) for f in drifted],
        }

    def _periods(self, n: int, begun: int) -> tuple[int, int]:
        """How many first rows are the reference and how many last rows are now. (0, 0) before there are enough."""
        begun = begun if begun >= FEWEST else n  # nothing before it makes a reference
        head = min(self.reference_period, n // 2, begun)
        tail = min(self.window_size, n - head)
        enough = head >= min(FEWEST if begun < n else LEAST, self.reference_period)
        return (head, tail) if enough and tail >= min(LEAST, self.window_size) else (0, 0)

    def _size(self, steps: NDArray[np.int64], kl: NDArray[np.float64], finding: Finding) -> float:
        """The distance of the window from the finding on to the reference before it. NaN where there is none."""
        begun = _row(steps, finding)
        head = min(self.reference_period, begun)
        return jensen_shannon(kl[:head], kl[begun : begun + self.window_size]) if head >= FEWEST else NAN

    def _direction(self) -> str | None:
        trend = self._recent.doublings()
        if trend != trend:
            return None
        return "rising" if trend > RISING else "falling" if trend < -RISING else "stable"


def _row(steps: NDArray[np.int64], finding: Finding) -> int:
    """The first row at or after the start of a finding."""
    at = np.flatnonzero(steps >= _start(finding))
    return int(at[0]) if len(at) else len(steps)


def _described(name: str, steps: NDArray[np.int64], values: NDArray[np.float64]) -> dict[str, Any]:
    some = len(values) > 0
    return {
        f"{name}_steps": [int(steps[0]), int(steps[-1])] if some else None,
        f"{name}_mean": float(values.mean()) if some else None,
        f"{name}_std": float(values.std()) if some else None,
        f"{name}_median": float(np.median(values)) if some else None,
    }


def _start(finding: Finding) -> int:
    return (finding.first_step or 0) if finding.onset is None else finding.onset


def _known(x: float) -> float | None:
    return x if x == x else None
