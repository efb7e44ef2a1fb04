"""Collects scalars that come one by one - (tag, step, value, time) - into a table of rows."""

from __future__ import annotations

import math
from array import array
from typing import TYPE_CHECKING

from rldk.core.table import PHASES, MetricTable, Phase

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# `val/` is absent on purpose: TRL PPO and open-instruct put training statistics there.
_EVAL_PREFIXES = (
    "eval/", "eval_", "test/", "test_", "val_", "val-core/", "val-aux/", "validation/", "evaluation/",
)  # fmt: skip
_SUMMARY_TAGS = frozenset(
    {"train_runtime", "train_samples_per_second", "train_steps_per_second", "total_flos", "train_loss"}
)  # what the transformers Trainer logs once, when training ends
MAX_CELLS = 100_000_000  # 800 MB of columns; a 1 M step run may have 100 tags
MAX_TAGS = 20_000
MAX_RESTARTS = 100  # beyond it the steps of a tag jitter (several writers), and a step back means nothing
_LAST_STEP = 2**62
_OTHER_AXES = ("/time", "/iter")  # behind the name of a curve: the same curve over seconds (rsl_rl, rl_games) or epochs
_FIRST_AXES = ("", "/step", "/frame")


def phase_of(tag: str) -> Phase:
    """The phase a tag belongs to, by the prefixes trainers use."""
    if tag.startswith(_EVAL_PREFIXES):
        return "eval"
    return "summary" if tag.removeprefix("train/") in _SUMMARY_TAGS else "train"


class Scalars:
    """Collects scalars in the order they were written; `table` pivots them.

    `tag` (numbers from `tag_id`), `step`, `value` and `time` are parallel; a hot loop may append to all four itself.
    """

    def __init__(self) -> None:
        self.tags: dict[str, int] = {}
        self._phases: list[Phase] = []
        self.tag = array("i")
        self.step = array("q")
        self.value = array("d")
        self.time = array("d")
        self._starts: list[int] = []
        self.lost_tags = 0
        self.repeated = 0
        self._left_out = 0  # values of metrics for which a table had no room

    def __len__(self) -> int:
        return len(self.tag)

    def start_file(self) -> None:
        self._starts.append(len(self.tag))

    def copy(self) -> Scalars:
        """The same scalars, to which others may be added."""
        other = Scalars()
        other.tags, other._phases, other._starts = dict(self.tags), list(self._phases), list(self._starts)
        other.tag, other.step, other.value, other.time = self.tag[:], self.step[:], self.value[:], self.time[:]
        other.lost_tags = self.lost_tags
        return other

    def tag_id(self, tag: str, phase: Phase | None = None) -> int:
        """The number of a tag; -1 when there are `MAX_TAGS` before it. Without a `phase`, the name decides the
        phase."""
        number = self.tags.get(tag)
        if number is None:
            if len(self.tags) >= MAX_TAGS:
                return -1
            number = self.tags[tag] = len(self.tags)
            self._phases.append(phase or phase_of(tag))
        return number

    def add(self, number: int, step: int, value: float, time: float = math.nan) -> None:
        """Appends a scalar of tag `number`. Scalars of tag -1 are counted and left out."""
        if number < 0:
            self.lost_tags += 1
            return
        self.tag.append(number)
        self.step.append(min(max(step, -_LAST_STEP), _LAST_STEP))
        self.value.append(value)
        self.time.append(time)

    def add_row(self, numbers: list[int], step: int, values: list[float], time: float = math.nan) -> None:
        """Appends one scalar of each of these tags, none of which is -1."""
        self.tag.fromlist(numbers)
        self.step.extend(array("q", (min(max(step, -_LAST_STEP), _LAST_STEP),)) * len(numbers))
        self.value.fromlist(values)
        self.time.extend(array("d", (time,)) * len(numbers))

    def sort_by_time(self) -> None:
        """Sorts the scalars by the time they were logged; equal times keep their order."""
        import numpy as np

        order = np.argsort(np.array(self.time), kind="stable")
        for name in ("tag", "step", "value", "time"):
            column = getattr(self, name)
            setattr(self, name, array(column.typecode, np.array(column)[order].tobytes()))

    def notes(self) -> tuple[str, ...]:
        """Notes on the values that `table` could not keep."""
        texts = (
            (self.repeated, "values gave way to a later, different value of the same metric at the same step"),
            (self.lost_tags + self._left_out, "values were left out: more metrics than can be held in memory"),
        )
        return tuple(f"{count} {text}" for count, text in texts if count)

    def table(self) -> MetricTable:
        """A table with one row for each (segment, step, phase), in that order. The last of several values at one place
        stays.

        A new segment begins where a tag's own step goes back (tags may run on different clocks), or where a later file
        writes a step again. A curve that is drawn once more over another axis is left out: its steps are seconds."""
        import numpy as np

        self.repeated = self._left_out = 0
        tag, step = np.array(self.tag, dtype=np.int32), np.array(self.step, dtype=np.int64)
        value, time = np.array(self.value, dtype=np.float64), np.array(self.time, dtype=np.float64)
        starts = np.array(self._starts, dtype=np.int64)
        if copies := self._copies(tag, value):
            kept = np.flatnonzero(~np.isin(tag, copies))
            tag, step, value, time, starts = (
                tag[kept],
                step[kept],
                value[kept],
                time[kept],
                np.searchsorted(kept, starts),
            )
        segment = _segments(tag, step, starts)
        phases = np.array([PHASES.index(p) for p in self._phases], dtype=np.uint8)
        keys = np.stack([segment, step, phases[tag]])
        rows, row_of = _distinct(keys)
        n = rows.shape[1]
        times = np.full(n, math.nan)
        times[row_of] = time
        columns, stated = self._columns(n, row_of, tag, value)
        return MetricTable(
            step=rows[1].astype(np.int64),
            columns=columns,
            phase=rows[2].astype(np.uint8),
            segment=rows[0].astype(np.int32),
            time=times,
            stated_nan=stated,
        )

    def _copies(self, tag: NDArray[np.int32], value: NDArray[np.float64]) -> list[int]:
        """The numbers of tags that have, value for value, the curve of another one over another axis."""
        import numpy as np

        found = []
        for name, number in self.tags.items():
            base = next((name.removesuffix(axis) for axis in _OTHER_AXES if name.endswith(axis)), None)
            others = [self.tags[base + axis] for axis in _FIRST_AXES if base + axis in self.tags] if base else []
            if not others:
                continue
            mine, first = value[tag == number], value[tag == others[0]]
            both = min(len(mine), len(first))
            near = both > 0 and abs(len(mine) - len(first)) <= 1
            if near and np.array_equal(mine[:both], first[:both], equal_nan=True):
                found.append(number)
        return found

    def _columns(
        self, n: int, row_of: NDArray[np.intp], tag: NDArray[np.int32], value: NDArray[np.float64]
    ) -> tuple[dict[str, NDArray[np.float64]], dict[str, NDArray[np.int64]]]:
        import numpy as np

        order = np.argsort(tag, kind="stable")
        counts = np.bincount(tag, minlength=len(self.tags)) if len(tag) else np.zeros(len(self.tags), dtype=np.int64)
        ends = np.cumsum(counts)
        room = max(1, MAX_CELLS // max(n, 1))
        kept = set(np.argsort(-counts, kind="stable")[:room].tolist())
        columns: dict[str, NDArray[np.float64]] = {}
        stated: dict[str, NDArray[np.int64]] = {}
        for name, number in self.tags.items():
            count, end = int(counts[number]), int(ends[number])
            if number not in kept:
                self._left_out += count
                continue
            if not count:
                continue
            mine = order[end - count : end]
            at, written = row_of[mine], value[mine]
            column = np.full(n, math.nan)
            column[at] = written
            kept_value = column[at]
            self.repeated += int(((written != kept_value) & ~(np.isnan(written) & np.isnan(kept_value))).sum())
            columns[name] = column
            if np.isnan(kept_value).any():
                stated[name] = np.unique(at[np.isnan(kept_value)]).astype(np.int64)
        return columns, stated


def _distinct(keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """The distinct columns of `keys`, sorted by first, second, third row, and the place of each column among them."""
    import numpy as np

    order = np.lexsort(keys[::-1])
    ordered = keys[:, order]
    first = np.ones(ordered.shape[1], dtype=bool)
    first[1:] = (np.diff(ordered, axis=1) != 0).any(axis=0)
    place = np.empty(len(order), dtype=np.intp)
    place[order] = np.cumsum(first) - 1
    return ordered[:, first], place


def _segments(tag: NDArray[np.int32], step: NDArray[np.int64], starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The segment of every scalar."""
    import numpy as np

    file_of = np.searchsorted(starts, np.arange(len(tag)), side="right")
    order = np.argsort(tag, kind="stable")
    before, after = order[:-1], order[1:]
    same = tag[before] == tag[after]
    back = (step[after] < step[before]) | ((step[after] == step[before]) & (file_of[after] != file_of[before]))
    pairs = np.stack([after[same & back], before[same & back]])
    begins: list[int] = []
    begin = 0
    for now, earlier in pairs[:, np.argsort(pairs[0])].T.tolist():
        if earlier < begin:
            continue  # another tag of a restart that is known already
        file = int(file_of[now])
        begin = int(starts[file - 1]) if file and earlier < starts[file - 1] else now
        begins.append(begin)
        if len(begins) > MAX_RESTARTS:
            return np.zeros(len(tag), dtype=np.int64)
    return np.searchsorted(np.array(begins, dtype=np.int64), np.arange(len(tag)), side="right")
