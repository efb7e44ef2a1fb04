"""The KL to the reference and the coefficient that controls it: their levels, and whether the controller works."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

from rldk.engine.features.extremes import Highest
from rldk.engine.features.recent import LEAST, Fraction, Recent
from rldk.engine.features.window import NAN, Median, Noise
from rldk.forensics.observer import Observer
from rldk.forensics.tracker import Quiet, Tracker, TrackerMetrics, number_or_none

CONTROLLER = frozenset({"KL009", "KL010", "KL011", "KL012", "KL013"})
STEP = 1e-9  # a larger relative change of the coefficient is no rounding


class KLScheduleMetrics(TrackerMetrics, kw_only=True):
    """Metrics of the newest row, over at most `window_size` rows for a "share" or "median". A metric is None without
    evidence.

    `kl_trend`: doublings of the KL, newest ten rows against those before. `kl_volatility`: row-to-row noise of 20 rows
    over their level, a robust coefficient of variation. `time_in_target_range`: share of rows within the tolerance of
    the target.

    The controller's metrics are None while the coefficient has never moved. `controller_responsiveness`: the share of
    rows after a KL out of range on which the coefficient moved the right way. `controller_overshoot`: how far the
    largest KL of the last 20 rows is above the target, in targets. `controller_oscillation`: the share of rows on which
    the KL crossed its target (1/2 for noise, 2/P for a cycle of P rows). `coef_change_rate`: median relative step of
    the coefficient. `kl_health_score`, `schedule_health_score`: share of rows on which no rule on the KL, or on its
    target and controller, warned."""

    current_kl: float | None = None
    current_kl_coef: float | None = None
    kl_target: float | None = None
    kl_trend: float | None = None
    kl_volatility: float | None = None
    time_in_target_range: float | None = None
    controller_responsiveness: float | None = None
    controller_overshoot: float | None = None
    controller_oscillation: float | None = None
    coef_change_rate: float | None = None
    kl_health_score: float | None = None
    schedule_health_score: float | None = None


class KLScheduleTracker(Tracker[KLScheduleMetrics]):
    """The KL schedule of a run. Every row costs the same."""

    name: ClassVar[str] = "kl_schedule"
    family: ClassVar[str] = "KL"
    made_of: ClassVar[type[TrackerMetrics]] = KLScheduleMetrics

    def __init__(
        self,
        kl_target: float | None = 0.1,
        kl_target_tolerance: float = 0.05,
        window_size: int = 100,
        *,
        observer: Observer | None = None,
    ) -> None:
        super().__init__(window_size, observer, kl_target=kl_target)
        self.kl_target = kl_target
        self._target = NAN if kl_target is None else kl_target
        self.kl_target_tolerance = kl_target_tolerance
        short = min(LEAST, max(window_size, 2))
        self._noise = Noise(short)
        self._recent = Recent(window_size)
        self._highest = Highest(short)
        self._inside, self._crossed = Fraction(window_size), Fraction(window_size)
        self._obeyed = Fraction(window_size)
        self._steps = Median(window_size, 0, short)
        self._kl = self._coef = NAN
        self._moved = False
        self._kl_quiet = Quiet(self._observer, window_size, lambda c: c.startswith("KL") and c not in CONTROLLER)
        self._schedule_quiet = Quiet(self._observer, window_size, CONTROLLER.__contains__)

    def update(self, step: int, kl: float | None, kl_coef: float | None = None) -> KLScheduleMetrics:
        """The metrics after one more row of a tracker that stands alone."""
        values = {"kl": kl, "kl_coef": kl_coef}
        self._observer.feed(step, {name: float(x) for name, x in values.items() if x is not None})
        return self.observe()

    def _look(self, values: Mapping[str, float]) -> KLScheduleMetrics:
        kl, coef = values.get("kl", NAN), values.get("kl_coef", NAN)
        if math.isfinite(coef):
            self._take_coef(coef)
        if math.isfinite(kl):
            self._take_kl(kl)
        level, target = self._recent.now, self._target
        overshoot = max(0.0, self._highest.value / target - 1.0) if target > 0 and self._moved else NAN
        return KLScheduleMetrics(
            current_kl=number_or_none(kl),
            current_kl_coef=number_or_none(coef),
            kl_target=self.kl_target,
            kl_trend=number_or_none(self._recent.doublings()),
            kl_volatility=number_or_none(self._noise.value / abs(level)) if level else None,
            time_in_target_range=number_or_none(self._inside.value),
            controller_responsiveness=number_or_none(self._obeyed.value) if self._moved else None,
            controller_overshoot=number_or_none(overshoot) if self._highest.value == self._highest.value else None,
            controller_oscillation=number_or_none(self._crossed.value) if self._moved else None,
            coef_change_rate=number_or_none(self._steps.value),
            kl_health_score=self._kl_quiet.look(),
            schedule_health_score=self._schedule_quiet.look(),
        )

    def _take_coef(self, coef: float) -> None:
        """Whether the step from the last coefficient was the one that the last KL called for."""
        step = coef - self._coef
        if step == step:
            relative = abs(step) / abs(self._coef) if self._coef else (1.0 if step else 0.0)
            self._steps.update(relative)
            self._moved = self._moved or relative > STEP
            off = self._kl - self._target
            if abs(off) > self.kl_target_tolerance:
                self._obeyed.update(relative > STEP and (step > 0) == (off > 0))
        self._coef = coef

    def _take_kl(self, kl: float) -> None:
        self._noise.update(kl)
        self._recent.update(kl)
        self._highest.update(kl)
        off, before = kl - self._target, self._kl - self._target
        if off == off:
            self._inside.update(abs(off) <= self.kl_target_tolerance)
        if before == before:
            self._crossed.update((off > 0) != (before > 0))
        self._kl = kl
