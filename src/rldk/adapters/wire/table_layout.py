"""Decides what each column of a table is, by its name and its first rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from rldk.core.clocks import choose_clock, clock_rank
from rldk.core.records import IDENTITY, STEP_KEYS, TIME_KEYS, step_or_none

_NAME_COLUMNS, SAMPLE_COLUMNS = frozenset({"name", "tag", "metric", "key"}), frozenset({"prompt", "completion"})


class ColumnLayout(Struct, frozen=True, kw_only=True):
    """The position of each column. `metrics`: all columns without another role. `step`: None when the row number is
    the step."""

    step: int | None
    time: int | None
    phase: int | None
    metrics: tuple[tuple[int, str], ...]
    identity: tuple[tuple[int, str], ...]


def layout_of(header: Sequence[str], step: int | None) -> ColumnLayout | None:
    """The layout of a table with its step in that column (None: the row number is the step). The result is None for a
    table of single values, of samples, or without any metric. A counting column with another name stays a metric."""
    plain = _plain(header)
    if ("value" in plain and bool(_NAME_COLUMNS & set(plain))) or SAMPLE_COLUMNS & set(plain):
        return None
    time = next((plain.index(name) for name in TIME_KEYS if name in plain and plain.index(name) != step), None)
    phase = plain.index("phase") if "phase" in plain else None
    identity = tuple((i, name) for i, name in enumerate(plain) if name in IDENTITY)
    own = step is not None and plain[step] not in STEP_KEYS
    taken = {None if own else step, time, phase, *(i for i, _ in identity)}
    metrics = tuple((i, name.strip()) for i, name in enumerate(header) if i not in taken and name.strip())
    if not any(i != step for i, _ in metrics):
        return None
    return ColumnLayout(step=step, time=time, phase=phase, metrics=metrics, identity=identity)


def find_named_clock(header: Sequence[str]) -> int | None:
    """The column with a name that trainers use for the step."""
    plain = _plain(header)
    return next((plain.index(name) for name in STEP_KEYS if name in plain), None)


def find_counting_clock(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> int | None:
    """The column that counts steps in these rows, judged by its name and values; see `core.clocks`."""
    places = {name: i for i, name in reversed(list(enumerate(header))) if clock_rank(name) is not None}
    whole = [row for row in rows if len(row) == len(header)]
    found = choose_clock(
        {name: [step_or_none(row[i] or None) for row in whole] for name, i in reversed(places.items())}, len(whole)
    )
    return None if found is None else places[found]


def _plain(header: Sequence[str]) -> list[str]:
    return [name.strip().lower().replace(" ", "_") for name in header]


def has_twins(layout: ColumnLayout) -> bool:
    """Whether two metrics have one name."""
    return len({name for _, name in layout.metrics}) < len(layout.metrics)
