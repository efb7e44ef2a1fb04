"""The advantages of a run: their centre, their width and their shape."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import ClassVar

import numpy as np

from rldk.engine.features.recent import LEAST, Fraction, Recent
from rldk.engine.features.whole_run import Early, Spread
from rldk.engine.features.window import NAN, Noise
from rldk.engine.sample_metrics import Distiller
from rldk.forensics.gradient_norms import share
from rldk.forensics.observer import Observer
from rldk.forensics.tracker import Quiet, Tracker, TrackerMetrics, clamp, number_or_none

# standard deviations (ADV004), distance (ADV008) and factor at which a risk is 1
BIASED, SHIFTED, RESCALED = 0.5, 0.25, 3.0
CENTRED, UNIT = 0.05, 0.1  # largest distance of a whitened mean from 0 and of a whitened deviation from 1 (ADV004)
PERCENTILES = {"p05": 5, "p25": 25, "p50": 50, "p75": 75, "p95": 95}


class AdvantageStatisticsMetrics(TrackerMetrics, kw_only=True):
    """Metrics of the newest row. Shares are over at most `window_size` rows. A metric is None without evidence.

    "Now" is the median of the newest ten rows, "the past" that of the rows before them. `advantage_skewness`,
    `advantage_kurtosis` (excess) and `advantage_percentiles` need samples. `advantage_bias`: the mean now over the
    standard deviation now. `advantage_scale_stability`: share of rows with the deviation within a quarter of its past.
    `advantage_normalization_health`: share of rows that are whitened (mean within 0.05 deviations of 0, deviation
    within 0.1 of 1). It is None in a run whose first ten rows were not whitened. Trends: now minus the past.
    `advantage_volatility`: row-to-row noise of the mean over the deviation.

    Risks are on a scale on which 1 is the limit: the bias over half a deviation, a deviation off its past by a factor
    of three, and a distance of the distribution from that of the rows before over a quarter. `advantage_health_score`:
    share of rows without a warning on advantages. `advantage_quality_score`: share of rows that can teach: finite, not
    all equal, mean within half a deviation of 0."""

    advantage_mean: float | None = None
    advantage_std: float | None = None
    advantage_min: float | None = None
    advantage_max: float | None = None
    advantage_median: float | None = None
    advantage_skewness: float | None = None
    advantage_kurtosis: float | None = None
    advantage_percentiles: dict[str, float] | None = None
    advantage_bias: float | None = None
    advantage_scale_stability: float | None = None
    advantage_normalization_health: float | None = None
    advantage_mean_trend: float | None = None
    advantage_std_trend: float | None = None
    advantage_volatility: float | None = None
    advantage_bias_risk: float | None = None
    advantage_scale_risk: float | None = None
    advantage_distribution_risk: float | None = None
    advantage_health_score: float | None = None
    advantage_quality_score: float | None = None


class AdvantageStatisticsTracker(Tracker[AdvantageStatisticsMetrics]):
    """The advantages of a run. Every row with as many samples costs the same."""

    name: ClassVar[str] = "advantage_statistics"
    family: ClassVar[str] = "ADV"
    made_of: ClassVar[type[TrackerMetrics]] = AdvantageStatisticsMetrics

    def __init__(self, window_size: int = 100, *, observer: Observer | None = None) -> None:
        super().__init__(window_size, observer)
        short = min(LEAST, max(window_size, 2))
        self._distiller = Distiller()
        self.percentiles: dict[str, float] | None = None  # percentiles of the samples of the coming row
        self._noise = Noise(short)
        self._mean, self._std = Recent(window_size), Recent(window_size)
        self._first_mean, self._first_std, self._first_spread = Early(0, 10), Early(0, 10), Spread(0, 10)
        self._stable, self._whitened, self._useful = (Fraction(window_size) for _ in range(3))
        self._quiet = Quiet(self._observer, window_size, lambda code: code.startswith("ADV"))

    def update(
        self,
        step: int,
        advantage_mean: float | None = None,
        advantage_std: float | None = None,
        advantage_min: float | None = None,
        advantage_max: float | None = None,
        *,
        advantage_median: float | None = None,
        advantage_samples: Iterable[float] | None = None,
    ) -> AdvantageStatisticsMetrics:
        """The metrics after one more row of a tracker that stands alone. Given values win over those from samples."""
        values = {} if advantage_samples is None else self.take_samples(advantage_samples)
        given = {
            "advantage_mean": advantage_mean,
            "advantage_std": advantage_std,
            "advantage_min": advantage_min,
            "advantage_max": advantage_max,
            "advantage_median": advantage_median,
        }
        self._observer.feed(step, {**values, **{name: float(x) for name, x in given.items() if x is not None}})
        return self.observe()

    def take_samples(self, samples: Iterable[float]) -> dict[str, float]:
        """The metrics that follow from the advantages of the coming row. Their `percentiles` are kept."""
        x = np.asarray(list(samples) if not isinstance(samples, np.ndarray) else samples, dtype=np.float64).ravel()
        finite = x[np.isfinite(x)]
        if len(finite):
            self.percentiles = dict(
                zip(PERCENTILES, np.percentile(finite, [*PERCENTILES.values()]).tolist(), strict=True)
            )
        return self._distiller.advantages(x)

    def observe(self) -> AdvantageStatisticsMetrics:
        made = super().observe()
        if made.advantage_percentiles is not None:
            made.advantage_percentiles = dict(made.advantage_percentiles)  # the first one is kept
        return made

    def _look(self, values: Mapping[str, float]) -> AdvantageStatisticsMetrics:
        mean, std = values.get("advantage_mean", NAN), values.get("advantage_std", NAN)
        if "advantage_mean" in values or "advantage_std" in values:
            self._useful.update(math.isfinite(mean) and 0 < std < math.inf and abs(mean) <= BIASED * std)
        if math.isfinite(mean):
            self._mean.update(mean)
            self._noise.update(mean)
            self._first_mean.update(mean)
        if math.isfinite(std):
            usual = self._std.past
            self._stable.update(not (usual > 0) or abs(std - usual) <= 0.25 * usual)
            self._whitened.update(abs(mean) <= CENTRED * std and abs(std - 1) <= UNIT)
            self._std.update(std)
            self._first_std.update(std)
            self._first_spread.update(std)
        percentiles, self.percentiles = self.percentiles, None
        return self._metrics(values, percentiles)

    def _metrics(self, values: Mapping[str, float], percentiles: dict[str, float] | None) -> AdvantageStatisticsMetrics:
        scale, past = self._std.now, self._std.past
        bias = self._mean.now / scale if scale > 0 else NAN
        rescaled = max(share(scale, past, RESCALED), share(past, scale, RESCALED))
        return AdvantageStatisticsMetrics(
            **{name: number_or_none(values.get(name, NAN)) for name in _SHOWN},
            advantage_percentiles=percentiles,
            advantage_bias=number_or_none(bias),
            advantage_scale_stability=number_or_none(self._stable.value),
            advantage_normalization_health=number_or_none(self._whitened.value) if self._was_whitened() else None,
            advantage_mean_trend=number_or_none(self._mean.gap()),
            advantage_std_trend=number_or_none(self._std.gap()),
            advantage_volatility=number_or_none(self._noise.value / scale) if scale > 0 else None,
            advantage_bias_risk=number_or_none(clamp(abs(bias) / BIASED, 0.0, 1.0)),
            advantage_scale_risk=number_or_none(rescaled),
            advantage_distribution_risk=number_or_none(clamp(values.get("advantage_shift", NAN) / SHIFTED, 0.0, 1.0)),
            advantage_health_score=self._quiet.look(),
            advantage_quality_score=number_or_none(self._useful.value),
        )

    def _was_whitened(self) -> bool:
        mean, std, wander = self._first_mean.value, self._first_std.value, self._first_spread.value
        return abs(mean) <= CENTRED * std and abs(std - 1) <= UNIT and wander <= UNIT


_SHOWN = (
    "advantage_mean",
    "advantage_std",
    "advantage_min",
    "advantage_max",
    "advantage_median",
    "advantage_skewness",
    "advantage_kurtosis",
)
