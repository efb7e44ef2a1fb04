"""The common parts of the three trackers: a look at the run, the share of quiet rows, anomalies and a summary."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, ClassVar, Generic, TypeVar

from msgspec import Struct

from rldk.engine.features.recent import Fraction
from rldk.forensics.anomalies import anomaly, is_anomaly, list_unchecked, tracker_of
from rldk.forensics.observer import Alarm, Observer, context
from rldk.rules.select import select_rules


class TrackerMetrics(Struct):
    """Base of the metrics of a tracker: numbers of one row under their names."""

    def to_dict(self) -> dict[str, Any]:
        return {name: _copied(getattr(self, name)) for name in self.__struct_fields__}


M = TypeVar("M", bound=TrackerMetrics)


class Tracker(ABC, Generic[M]):
    """Measures one part of a run, from the rows that its observer takes.

    `observer`: that of the whole run, when this is a part of it. By default the tracker has its own observer with the
    rules of its family, fed through `update`."""

    name: ClassVar[str]
    family: ClassVar[str]
    made_of: ClassVar[type[TrackerMetrics]]

    def __init__(self, window_size: int, observer: Observer | None, **config: Any) -> None:
        self.window_size = window_size
        self._observer = observer or Observer(select_rules([self.family]), context(config))
        self._read: Callable[[Any], tuple[Any, ...]] = attrgetter(*self.made_of.__struct_fields__)
        self.newest: tuple[Any, ...] = ()  # the fields of the newest metrics; a caller may change what it was given

    @property
    def current_metrics(self) -> M | None:
        """A copy of the metrics of the newest row, None before the first."""
        self._observer.settle()
        return self.made_of(**self._named()) if self.newest else None  # type: ignore[return-value]

    def _named(self) -> dict[str, Any]:
        return {name: _copied(x) for name, x in zip(self.made_of.__struct_fields__, self.newest, strict=False)}

    @abstractmethod
    def _look(self, values: Mapping[str, float]) -> M:
        """The metrics of the newest row, which has these values. Called once a row."""

    def observe(self) -> M:
        """The metrics of the row that the observer took last. Call it once after each row."""
        made = self._look(self._observer.values)
        self.newest = self._read(made)
        return made

    def get_anomalies(self) -> list[dict[str, Any]]:
        """The anomalies of this tracker, with the steps they lasted. See `ComprehensivePPOForensics.get_anomalies`."""
        found = self._observer.report().findings
        return [anomaly(f) for f in found if is_anomaly(f) and tracker_of(f) == self.name]

    def get_summary(self) -> dict[str, Any]:
        """The newest metrics, the anomalies so far, and the documented ones that could not be looked for."""
        own = [check for check in self._observer.report().skipped if check.code.startswith(self.family)]
        return {
            "rows": self._observer.rows,
            "metrics": self._named() if self.newest else {},
            "anomalies": self.get_anomalies(),
            "not_checked": list_unchecked(own),
        }


class Quiet:
    """The share of the newest rows on which none of some rules fired as a warning or worse."""

    def __init__(self, observer: Observer, window: int, concerns: Callable[[str], bool]) -> None:
        self._alarm: Alarm = observer.alarm(concerns)
        self._share = Fraction(window)

    def look(self) -> float | None:
        """The share after one more row. Call it once a row. None before there is evidence."""
        self._share.update(not self._alarm.rings())
        return number_or_none(self._share.value)


def number_or_none(x: float) -> float | None:
    """The number, or None when it is NaN: a metric without evidence has no value."""
    return x if x == x else None


def clamp(x: float, low: float, high: float) -> float:
    """x, limited to low..high. NaN stays."""
    return low if x < low else high if x > high else x


def _copied(value: Any) -> Any:
    return dict(value) if isinstance(value, dict) else value
