"""Brings samples and rows of metrics together: the one order in which an engine takes both, live and afterwards.

The samples of a step come before its row. The row gets the metrics that its samples give (`sample_metrics`); a metric
that it already has is kept. Where a run has no rows at all, each step of samples makes one."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec.structs import replace

from rldk.core.samples import Sample
from rldk.core.table import Row
from rldk.engine.live import Engine
from rldk.engine.sample_metrics import Distiller
from rldk.engine.sample_watch import Begun, Closed


class SampleRows:
    """The samples of one run beside its rows. `alone`: the run has no rows, so that its samples make them."""

    def __init__(self, engine: Engine, *, alone: bool = False) -> None:
        self._begun: deque[tuple[int, Begun]] = deque()  # by step: what began with samples and was not asked for yet
        self._engine = engine
        self._alone = alone
        self._distiller = Distiller()
        self._newest: tuple[int, dict[str, float]] | None = None

    def take(self, samples: Iterable[Sample | Mapping[str, Any]]) -> Iterator[Row]:
        """Takes samples; yields the rows that they make where the run has none."""
        for closed in self._engine.samples.take(samples):
            yield from self._note(closed)

    def finish(self) -> Iterator[Row]:
        """Closes the last step."""
        for closed in self._engine.samples.finish():
            yield from self._note(closed)

    def join(self, row: Row) -> Row:
        """The row with the metrics of the samples of its step."""
        if row.phase != "train":
            return row
        for closed in self._engine.samples.close_until(row.step):
            self._note_metrics(closed)
        if self._newest is None or self._newest[0] != row.step:
            return row
        values, self._newest = self._newest[1], None
        return replace(row, values={**values, **row.values})

    def begun_until(self, step: int | None = None) -> Iterator[tuple[int, Begun]]:
        """Yields once what began with samples, by step: up to `step`, or all of it."""
        while self._begun and (step is None or self._begun[0][0] <= step):
            yield self._begun.popleft()

    def _note(self, closed: Closed) -> Iterator[Row]:
        self._note_metrics(closed)
        if self._alone and self._newest is not None:
            step, values = self._newest
            self._newest = None
            yield Row(step=step, values={**_summary(closed.records), **values})

    def _note_metrics(self, closed: Closed) -> None:
        if closed.begun:
            self._begun.append((closed.step, closed.begun))
        for bound, episode in closed.begun:
            self._engine.standing.add(bound.rule, episode)
        records = closed.records
        advantages = [record["advantage"] for record in records if "advantage" in record]
        self._newest = closed.step, {**self._distiller.advantages(advantages), **self._distiller.responses(records)}


def _summary(records: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """The mean reward and its spread, where every sample has a reward."""
    rewards = [float(record.get("reward", math.nan)) for record in records]
    if not rewards or not all(map(math.isfinite, rewards)):
        return {}
    mean = sum(rewards) / len(rewards)
    return {"reward_mean": mean, "reward_std": math.sqrt(sum((x - mean) ** 2 for x in rewards) / len(rewards))}


def samples_in(source: Iterable[Sample] | Mapping[str, list[Any]]) -> Iterator[Sample | Mapping[str, Any]]:
    """The samples of a reader, or of the columns of a table, in the order of their steps."""
    if not isinstance(source, Mapping):
        yield from source
        return
    for values in zip(*source.values(), strict=True):
        yield {name: value for name, value in zip(source, values, strict=True) if value is not None}


def rows_and_samples(
    rows: Iterable[Row], samples: Iterable[Sample | Mapping[str, Any]], beside: SampleRows
) -> Iterator[Row]:
    """The rows of a finished run, each after the samples up to its step; then the rows that samples alone make."""
    waiting = _Ahead(samples)
    for row in rows:
        if row.phase == "train":
            yield from beside.take(waiting.until(row.step))
        yield beside.join(row)
    yield from beside.take(waiting.rest())
    yield from beside.finish()


class _Ahead:
    """Samples that are read one ahead, so that those of later steps wait."""

    def __init__(self, samples: Iterable[Sample | Mapping[str, Any]]) -> None:
        self._samples = iter(samples)
        self._next = next(self._samples, None)

    def until(self, step: int) -> Iterator[Sample | Mapping[str, Any]]:
        while self._next is not None and (own := _step(self._next)) is not None and own <= step:
            yield from self._pop()

    def rest(self) -> Iterator[Sample | Mapping[str, Any]]:
        while self._next is not None:
            yield from self._pop()

    def _pop(self) -> Iterator[Sample | Mapping[str, Any]]:
        now, self._next = self._next, next(self._samples, None)
        if now is not None:
            yield now


def _step(sample: Sample | Mapping[str, Any]) -> int | None:
    step = sample.step if isinstance(sample, Sample) else sample.get("step")
    return step if isinstance(step, int) else None
