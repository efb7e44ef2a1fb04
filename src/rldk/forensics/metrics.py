"""The metrics of one update, nested or flat: those of the trackers, and the scores."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any

from rldk.forensics.advantage_statistics import PERCENTILES, AdvantageStatisticsMetrics
from rldk.forensics.gradient_norms import GradientNormsMetrics
from rldk.forensics.history import NamedRows
from rldk.forensics.kl_schedule import KLScheduleMetrics
from rldk.forensics.tracker import Tracker, TrackerMetrics

_PARTS: dict[str, type[TrackerMetrics]] = {
    "kl_schedule": KLScheduleMetrics,
    "gradient_norms": GradientNormsMetrics,
    "advantage_statistics": AdvantageStatisticsMetrics,
}
OWN = (  # the step first
    "step",
    "kl",
    "kl_coef",
    "entropy",
    "reward_mean",
    "reward_std",
    "overall_health_score",
    "training_stability_score",
    "convergence_quality_score",
)
FIELDS = (*OWN, *(f"{part}_metrics" for part in _PARTS))


class ComprehensivePPOMetrics:
    """What is known at one step. It is a copy that later updates do not change. A value is None without evidence.

    For the scores see `rldk.forensics.scores.Scores`. The scores of a row that is not judged yet are filled in when one
    of them is read."""

    __slots__ = (*FIELDS, "_judge")

    step: int
    kl: float | None
    kl_coef: float | None
    entropy: float | None
    reward_mean: float | None
    reward_std: float | None
    kl_schedule_metrics: KLScheduleMetrics | None
    gradient_norms_metrics: GradientNormsMetrics | None
    advantage_statistics_metrics: AdvantageStatisticsMetrics | None
    overall_health_score: float | None
    training_stability_score: float | None
    convergence_quality_score: float | None
    _judge: Callable[[], None]

    def __init__(self, *, step: int, **metrics: Any) -> None:
        """Fields that are not given are None. Raises `TypeError` for an unknown one."""
        unknown = metrics.keys() - FIELDS
        if unknown:
            raise TypeError(f"no such metric: {', '.join(sorted(unknown))}")
        self.fill(step=step, **{**dict.fromkeys(FIELDS[1:]), **metrics})

    @classmethod
    def pending(cls, judge: Callable[[], None]) -> ComprehensivePPOMetrics:
        """Metrics that `judge` will `fill`."""
        made = cls.__new__(cls)
        made._judge = judge
        return made

    def fill(self, **metrics: Any) -> None:
        for name, value in metrics.items():
            setattr(self, name, value)

    def __getattr__(self, name: str) -> Any:
        """The value of a field that is still pending."""
        if name not in FIELDS:
            raise AttributeError(f"{type(self).__name__} has no {name!r}")
        self._judge()
        return object.__getattribute__(self, name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and self._values() == other._values()

    __hash__ = None  # type: ignore[assignment]  # it can be changed

    def __repr__(self) -> str:
        told = ", ".join(f"{name}={value!r}" for name, value in zip(FIELDS, self._values(), strict=True))
        return f"{type(self).__name__}({told})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _remade, (dict(zip(FIELDS, self._values(), strict=True)),)

    def _values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in FIELDS)

    def to_dict(self) -> dict[str, Any]:
        """Flat: the metrics of the trackers as `kl_schedule_...`, `gradient_norms_...`, `advantage_statistics_...`."""
        flat: dict[str, Any] = {name: getattr(self, name) for name in OWN}
        for part in _PARTS:
            metrics = getattr(self, f"{part}_metrics")
            if metrics is not None:
                flat.update({f"{part}_{name}": value for name, value in metrics.to_dict().items()})
        return flat


read_own = attrgetter(*OWN)
_PLACE = AdvantageStatisticsMetrics.__struct_fields__.index("advantage_percentiles")


def _remade(metrics: dict[str, Any]) -> ComprehensivePPOMetrics:
    return ComprehensivePPOMetrics(**metrics)


def history_of(parts: Iterable[str]) -> NamedRows:
    """A table for the numbers that `ComprehensivePPOMetrics.to_dict` has with these parts. The percentiles come last,
    one by one."""
    every = [f"{part}_{name}" for part in parts for name in _PARTS[part].__struct_fields__]
    spread = [name for name in every if name.endswith("_percentiles")]
    plain = [name for name in every if name not in spread]
    return NamedRows([*OWN[1:], *plain, *(f"{name}_{key}" for name in spread for key in PERCENTILES)])


def flat(own: tuple[Any, ...], trackers: Iterable[Tracker[Any]]) -> list[Any]:
    """The values of a row of `history_of`, from those of `OWN` and from the trackers that have observed the row."""
    values = list(own[1:])
    last: list[Any] = []
    for tracker in trackers:
        if tracker.made_of is AdvantageStatisticsMetrics:
            newest = list(tracker.newest)
            found = newest.pop(_PLACE)
            last = [None] * len(PERCENTILES) if found is None else [*found.values()]
            values += newest
        else:
            values += tracker.newest
    return values + last
