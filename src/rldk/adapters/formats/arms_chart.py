"""Reads charts of several arms saved as a table: `step,<arm>_mean,<arm>_stderr,...`. Each arm is a run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

from rldk.adapters.base import BaseAdapter, adapter
from rldk.adapters.formats.downloads import header_of, is_axis, pivot, stem_of, step_at
from rldk.adapters.log import Log
from rldk.adapters.naming.keys import says_metric
from rldk.adapters.reading import Reading
from rldk.adapters.source import File
from rldk.adapters.wire.delimited import beginning, cell, records
from rldk.adapters.wire.scalars import Scalars
from rldk.core.model import COUNTED
from rldk.core.records import step_or_none
from rldk.core.text import later

LEAST = 2  # arms
_MEAN = later(r"(?P<arm>.{1,120}?)[ _/.-](?:mean|avg|average)", re.IGNORECASE)
_SPREAD = later(
    r"(?P<arm>.{1,120}?)[ _/.-](?:std[ _]?err(?:or)?|std|sem|se|ci(?:95)?|(?:ci[ _])?(?:lower|upper|low|high)|min|max)",
    re.IGNORECASE,
)
_PHASES = frozenset({"train", "training", "test", "val", "valid", "validation", "eval", "evaluation"})


def arms_of(header: Sequence[str]) -> dict[str, int]:
    """The column with the mean of each arm; empty for another table. A metric or a phase of training is not an arm."""
    means = {found["arm"]: i for i, name in enumerate(header) if i and (found := _MEAN.fullmatch(name))}
    spread = {found["arm"] for name in header[1:] if (found := _SPREAD.fullmatch(name))}
    told = sum(_MEAN.fullmatch(name) is not None or _SPREAD.fullmatch(name) is not None for name in header[1:])
    if len(means) < LEAST or means.keys() != spread or told != len(header) - 1:
        return {}
    known = any(says_metric([arm, f"{arm}_mean"]) or arm.lower() in _PHASES for arm in means)
    return {} if known else means


@adapter
class ArmsChart(BaseAdapter):
    """The name of the file states the metric. Several charts in one folder are parts of the same runs. The adapter
    leaves out the spread over seeds, which is not a metric."""

    name: ClassVar[str] = "arms-chart"
    describes: ClassVar[str] = "CSV of a chart with the mean and the spread of several arms"
    quality: ClassVar[int] = 25
    gathers: ClassVar[bool] = True
    keeps: ClassVar[str] = "the mean of every arm, as drawn"
    loses: ClassVar[str] = "single seeds and their spread; metrics that were not drawn; configuration"

    @classmethod
    def sniff(cls, file: File) -> int:
        header = header_of(file)
        return 60 if header and (header[0].lower() == "x" or is_axis(header[0])) and arms_of(header) else 0

    @classmethod
    def split(cls, files: Sequence[File]) -> dict[str | None, list[File]]:
        """The files that draw each arm."""
        found: dict[str | None, list[File]] = {}
        for file in files:
            for arm in arms_of(header_of(file)):
                found.setdefault(arm, []).append(file)
        return found

    def read(self) -> Log:
        wanted = self.options.get("run") or next(iter(self.split(self.files)), None)
        self.options.setdefault("run", wanted)
        reading, scalars = Reading(self), Scalars()
        axes = {_draw(file, str(wanted), reading, scalars) for file in self.files}
        return pivot(reading, scalars, COUNTED if COUNTED in axes else min(axes, default=""))


def _draw(file: File, arm: str, reading: Reading, scalars: Scalars) -> str:
    """Takes the values of the arm in a file. Returns the name of the axis, or `COUNTED` when the axis counts no
    steps."""
    header = header_of(file)
    column, tag = arms_of(header).get(arm), scalars.tag_id(stem_of(file))
    first = beginning(file.head, 2)[1:]
    counts = bool(first) and step_or_none(first[0].values[0].strip() or None) is not None
    for place, record in enumerate(records(file, None)):
        if not place or column is None:
            continue
        step = step_at(record, header, None if counts else place - 1, reading)
        value = cell(record.values[column].strip()) if step is not None else None
        if step is not None and value is not None:
            scalars.add(tag, step, value)
    return header[0] if counts else COUNTED
