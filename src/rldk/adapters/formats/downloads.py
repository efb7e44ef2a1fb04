"""Reads CSV files that a browser saves from W&B charts or TensorBoard scalars. Several files are one run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

from rldk.adapters.base import BaseAdapter, adapter
from rldk.adapters.formats.dialect import with_identity
from rldk.adapters.log import Log
from rldk.adapters.reading import Reading
from rldk.adapters.source import File
from rldk.adapters.wire.delimited import Fields, beginning, cell, records
from rldk.adapters.wire.scalars import Scalars
from rldk.core.clocks import clock_rank
from rldk.core.model import COUNTED
from rldk.core.records import BadLine, step_or_none, to_step, to_time
from rldk.core.text import later
from rldk.errors import NotALog

_SPREAD = ("__MIN", "__MAX")
_AXES = frozenset({"step", "_step", "relative time (process)", "relative time (wall)", "wall time"})
_HEADER = ("wall time", "step", "value")
# TensorBoard names a download "run-<run>-tag-<tag>"; users who save single charts keep the tag.
_NAMED = later(r"run-(?P<run>.+?)[-_]tag-(?P<tag>.+)")
_COPY = later(r" ?\(\d+\)$")
_GROUPS = later(
    r"(train|eval|test|rollout|time|losses|loss|charts|policy|environment|episode|objective|rewards?|val|ppo|env|info)"
    r"[_-](?=.)",
    re.IGNORECASE,
)


def header_of(file: File) -> list[str]:
    """The header of a table of text."""
    if not file.is_text or file.head.lstrip().startswith((b"{", b"[")):
        return []
    first = beginning(file.head, 1)
    return [name.strip() for name in first[0].values] if first else []


@adapter
class WandbChart(BaseAdapter):
    """Columns are named "<run> - <metric>" and stand beside a step. A run in several charts is one run. The columns
    __MIN and __MAX repeat a metric that is not smoothed or grouped, so the adapter leaves them out."""

    name: ClassVar[str] = "wandb-chart"
    describes: ClassVar[str] = 'CSV that "Export CSV" of a W&B chart writes'
    quality: ClassVar[int] = 35
    gathers: ClassVar[bool] = True
    keeps: ClassVar[str] = "the values that were drawn, of every run in the chart"
    loses: ClassVar[str] = (
        "metrics of other charts; the values that a chart leaves out when it samples many; configuration"
    )

    @classmethod
    def sniff(cls, file: File) -> int:
        names = header_of(file)
        if len(names) < 2 or not is_axis(names[0]):
            return 0
        return 90 if all(_run_and_metric(name) is not None for name in names[1:]) else 0

    @classmethod
    def split(cls, files: Sequence[File]) -> dict[str | None, list[File]]:
        """The files that draw each run."""
        found: dict[str | None, list[File]] = {}
        for file in files:
            for run in dict.fromkeys(told[0] for name in header_of(file)[1:] if (told := _run_and_metric(name))):
                found.setdefault(run, []).append(file)
        return found

    def read(self) -> Log:
        wanted = self.options.get("run") or next(iter(self.split(self.files)), None)
        self.options.setdefault("run", wanted)
        reading, scalars = Reading(self), Scalars()
        axes = dict.fromkeys(_chart(file, str(wanted), reading, scalars) for file in self.files)
        return pivot(reading, scalars, COUNTED if COUNTED in axes else next(iter(axes), ""))


def is_axis(name: str) -> bool:
    return name.lower() in _AXES or clock_rank(name) is not None


def _run_and_metric(name: str) -> tuple[str, str] | None:
    """The run and the metric in the name of a column. The metric is "" when the column repeats another one."""
    run, dash, metric = name.rpartition(" - ")
    if not dash or not run or not metric:
        return None
    return run, "" if metric.endswith(_SPREAD) or metric == "_step" else metric


def _chart(file: File, run: str, reading: Reading, scalars: Scalars) -> str:
    """Takes the values of the run in a file. Returns the name of the axis, or `COUNTED` when the axis counts no
    steps."""
    header: list[str] = []
    columns: list[tuple[int, int]] = []
    timed = False
    for place, record in enumerate(records(file, ",")):
        if not header:
            header = [name.strip() for name in record.values]
            told = [(i, _run_and_metric(name)) for i, name in enumerate(header)]
            columns = [(i, scalars.tag_id(t[1])) for i, t in told if t is not None and t[0] == run and t[1]]
            continue
        if place == 1:
            timed = clock_rank(header[0]) is not None and step_or_none(record.values[0].strip()) is not None
        step = step_at(record, header, None if timed else place - 1, reading)
        if step is not None:
            for i, tag in columns:
                value = cell(record.values[i].strip())
                if value is not None:
                    scalars.add(tag, step, value)
    return header[0] if timed else COUNTED


def step_at(record: Fields, header: Sequence[str], place: int | None, reading: Reading) -> int | None:
    """The step of a row, or its `place` when given; None when the row is refused."""
    problem = record.problem
    if not problem and len(record.values) != len(header):
        problem = f"{len(record.values)} fields, but the header has {len(header)}"
    if not problem:
        if place is not None:
            return place
        try:
            return to_step(record.values[0].strip() or None)
        except BadLine as error:
            problem = str(error)
    reading.reject(record.line, record.offset, problem, ",".join(record.values))
    return None


@adapter
class TensorboardCsv(BaseAdapter):
    """A file `Wall time,Step,Value` holds one scalar and is named after its tag. The files of a directory are one run,
    unless their names state different runs."""

    name: ClassVar[str] = "tensorboard-csv"
    describes: ClassVar[str] = "CSV files downloaded from TensorBoard (Wall time, Step, Value)"
    quality: ClassVar[int] = 35
    gathers: ClassVar[bool] = True
    keeps: ClassVar[str] = "step, wall time and value of the scalars that were saved"
    loses: ClassVar[str] = (
        "the points of a long run beyond the sample of a thousand that TensorBoard shows; configuration"
    )

    @classmethod
    def sniff(cls, file: File) -> int:
        return 90 if tuple(name.lower() for name in header_of(file)) == _HEADER else 0

    @classmethod
    def split(cls, files: Sequence[File]) -> dict[str | None, list[File]]:
        found: dict[str | None, list[File]] = {}
        for file in files:
            named = _NAMED.fullmatch(stem_of(file))
            found.setdefault(named["run"] if named else None, []).append(file)
        return found

    def read(self) -> Log:
        reading, scalars = Reading(self), Scalars()
        for file in self.files:
            _scalar(file, tag_of(file), reading, scalars)
        return pivot(reading, scalars, "")


def stem_of(file: File) -> str:
    name = file.path.name.removesuffix(".gz").removesuffix(".zst")
    return _COPY.sub("", name.rsplit(".", 1)[0])


def tag_of(file: File) -> str:
    """The tag in a file name. `train_approx_kl` becomes `train/approx_kl`, because a file name cannot hold "/"."""
    named = _NAMED.fullmatch(stem_of(file))
    return _GROUPS.sub(r"\1/", named["tag"] if named else stem_of(file), count=1)


def _scalar(file: File, tag: str, reading: Reading, scalars: Scalars) -> None:
    number = scalars.tag_id(tag)
    for place, record in enumerate(records(file, ",")):
        if not place:
            continue
        try:
            if record.problem or len(record.values) != len(_HEADER):
                raise BadLine(record.problem or f"{len(record.values)} fields, but the header has {len(_HEADER)}")
            time, step, value = (text.strip() for text in record.values)
            told, at = cell(value), to_step(step)
            if told is None or at is None:
                raise BadLine("no number")
            scalars.add(number, at, told, to_time(time))
        except BadLine as error:
            reading.reject(record.line, record.offset, str(error), ",".join(record.values))


def pivot(reading: Reading, scalars: Scalars, clock: str) -> Log:
    """The log of the scalars. A row with only one metric stays."""
    if not len(scalars):
        raise NotALog("the table has no value", hint="save the chart again with its curves shown")
    for row in scalars.table().rows():
        reading.row(row.step, row.values, phase=row.phase, time=row.time)
    return with_identity(reading.log(meta={"clock": clock}))
