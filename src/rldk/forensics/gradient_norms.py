"""Gradient norms of policy and value network: their size, their balance, and their distance from what breaks a run."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from typing import ClassVar

from rldk.engine.features.recent import Fraction, Recent
from rldk.engine.features.whole_run import Early
from rldk.engine.features.window import NAN
from rldk.forensics.observer import Observer
from rldk.forensics.tracker import Quiet, Tracker, TrackerMetrics, clamp, number_or_none

EXPLODED, VANISHED, DECADE = 8.0, 100.0, 10.0  # the limits of GRAD002, GRAD004 and GRAD005, where a risk is 1
STEADY, BALANCED = 2.0, 3.0  # factors: healthy norms stay within the first (GRAD002), their ratio stays within both
UPDATE = {"policy_grad_norm": "grad_norm_policy", "value_grad_norm": "grad_norm_value", "total_grad_norm": "grad_norm"}


class GradientNormsMetrics(TrackerMetrics, kw_only=True):
    """Metrics of the newest row. Shares are over at most `window_size` rows. A metric is None without evidence.

    "Now" is the median of the newest ten rows, "the past" that of the rows before them. `policy_value_ratio`: policy
    norm over value norm. `ratio_median`: the ratio now. Trends are in doublings, now against the past.
    `gradient_flow_health`: share of rows on which no norm was exactly 0 or not finite. `gradient_balance`: share of
    rows with the ratio within a factor of three of its past. `gradient_stability`: share of rows with every norm within
    a factor of two of its past.

    Risks are on a scale on which 0 is the run's own past and 1 the limit of the rule: `exploding_gradient_risk` (least
    of the newest three norms over the past, log scale up to a factor of 8), `vanishing_gradient_risk` (now under rows 5
    to 25, up to 100), `gradient_imbalance_risk` (the ratio off that of rows 5 to 25, up to ten).
    `gradient_health_score`: share of rows without a warning on gradients. `training_stability` is
    `gradient_stability`."""

    policy_grad_norm: float | None = None
    value_grad_norm: float | None = None
    total_grad_norm: float | None = None
    policy_value_ratio: float | None = None
    ratio_median: float | None = None
    ratio_trend: float | None = None
    policy_grad_trend: float | None = None
    value_grad_trend: float | None = None
    gradient_flow_health: float | None = None
    gradient_balance: float | None = None
    gradient_stability: float | None = None
    exploding_gradient_risk: float | None = None
    vanishing_gradient_risk: float | None = None
    gradient_imbalance_risk: float | None = None
    gradient_health_score: float | None = None
    training_stability: float | None = None


class _Norm:
    """The memory of one norm, or of the ratio of two."""

    __slots__ = ("_newest", "early", "recent")

    def __init__(self, window: int) -> None:
        self.recent = Recent(window)
        self.early = Early(5, 25)
        self._newest: deque[float] = deque(maxlen=3)

    def update(self, x: float) -> None:
        self.recent.update(x)
        self._newest.append(x)
        if self.early.value != self.early.value:
            self.early.update(x)

    def least(self) -> float:
        """The least of the newest three values."""
        return min(self._newest) if len(self._newest) == 3 else NAN

    def near(self, x: float, factor: float) -> bool:
        """Whether the value is within a factor of its past. True while the past is not known."""
        past = self.recent.past
        return not (past > 0) or past / factor <= x <= past * factor


class GradientNormsAnalyzer(Tracker[GradientNormsMetrics]):
    """The gradient norms of a run. Every row costs the same."""

    name: ClassVar[str] = "gradient_norms"
    family: ClassVar[str] = "GRAD"
    made_of: ClassVar[type[TrackerMetrics]] = GradientNormsMetrics

    def __init__(self, window_size: int = 100, *, observer: Observer | None = None) -> None:
        super().__init__(window_size, observer)
        self._norms = {name: _Norm(window_size) for name in UPDATE.values()}
        self._ratio = _Norm(window_size)
        self._flowing, self._balanced, self._steady = (Fraction(window_size) for _ in range(3))
        self._quiet = Quiet(self._observer, window_size, lambda code: code.startswith("GRAD"))

    def update(
        self,
        step: int,
        policy_grad_norm: float | None = None,
        value_grad_norm: float | None = None,
        total_grad_norm: float | None = None,
    ) -> GradientNormsMetrics:
        """The metrics after one more row of an analyzer that stands alone."""
        given = zip(UPDATE.values(), (policy_grad_norm, value_grad_norm, total_grad_norm), strict=True)
        self._observer.feed(step, {name: float(x) for name, x in given if x is not None})
        return self.observe()

    def _look(self, values: Mapping[str, float]) -> GradientNormsMetrics:
        found = {name: values[name] for name in self._norms if name in values}
        if found:
            self._flowing.update(all(0 < x < math.inf for x in found.values()))
            self._steady.update(all(self._norms[name].near(x, STEADY) for name, x in found.items()))
        for name, x in found.items():
            if math.isfinite(x):
                self._norms[name].update(x)
        policy, value = found.get("grad_norm_policy", NAN), found.get("grad_norm_value", NAN)
        ratio = policy / value if value > 0 and policy < math.inf else NAN
        if ratio > 0:
            self._balanced.update(self._ratio.near(ratio, BALANCED))
            self._ratio.update(ratio)
        return self._metrics(found, ratio)

    def _metrics(self, found: Mapping[str, float], ratio: float) -> GradientNormsMetrics:
        policy, value = self._norms["grad_norm_policy"], self._norms["grad_norm_value"]
        stable, norms = number_or_none(self._steady.value), self._norms.values()
        return GradientNormsMetrics(
            policy_grad_norm=number_or_none(found.get("grad_norm_policy", NAN)),
            value_grad_norm=number_or_none(found.get("grad_norm_value", NAN)),
            total_grad_norm=number_or_none(found.get("grad_norm", NAN)),
            policy_value_ratio=number_or_none(ratio),
            ratio_median=number_or_none(self._ratio.recent.now),
            ratio_trend=number_or_none(self._ratio.recent.doublings()),
            policy_grad_trend=number_or_none(policy.recent.doublings()),
            value_grad_trend=number_or_none(value.recent.doublings()),
            gradient_flow_health=number_or_none(self._flowing.value),
            gradient_balance=number_or_none(self._balanced.value),
            gradient_stability=stable,
            exploding_gradient_risk=_worst([share(n.least(), n.recent.past, EXPLODED) for n in norms]),
            vanishing_gradient_risk=_worst(
                [share(n.early.value, n.recent.now, VANISHED) for n in self._norms.values()]
            ),
            gradient_imbalance_risk=number_or_none(_apart(self._ratio.recent.now, self._ratio.early.value)),
            gradient_health_score=self._quiet.look(),
            training_stability=stable,
        )


def share(above: float, below: float, factor: float) -> float:
    """The position of `above / below` between 1 (gives 0) and `factor` (gives 1) on a log scale, clamped to 0..1. NaN
    without evidence."""
    if not (above >= 0 and below >= 0):
        return NAN
    if above <= below:
        return 0.0
    return 1.0 if below == 0 or above >= factor * below else math.log(above / below) / math.log(factor)


def _apart(a: float, b: float) -> float:
    return clamp(abs(math.log(a / b)) / math.log(DECADE), 0.0, 1.0) if a > 0 and b > 0 else NAN


def _worst(risks: list[float]) -> float | None:
    return max([r for r in risks if r == r], default=None)
