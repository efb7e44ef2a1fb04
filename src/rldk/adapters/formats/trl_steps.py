"""Finds the steps of rows printed without one: from progress marks, else from a clock (epoch, episode), else by
count."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from msgspec import Struct, field

from rldk.core.table import Phase

_MARKED = 0.9  # share of train rows that must have a mark of their own: a buffered stdout drifts away from the bars
_WHOLE = 0.1  # a number of steps between rows that is further than this from a whole number does not count
_LIMIT = 1e9  # of clocks and of steps per unit of a clock, so that a step fits into 64 bits
_PRINTED = 1e-3  # relative error of products of numbers that were printed with four digits


class Printed(Struct, kw_only=True):
    """A row as printed. `mark`: the step that a progress bar or a completions panel shows right after it.

    `clock`: a metric proportional to the step. `slack`: how far its printed value may be from the true one.
    """

    phase: Phase
    values: dict[str, float] = field(default_factory=dict)
    mark: int | None = None
    clock: float | None = None
    slack: float = 0.0
    step: int = 0


class StepPace(Struct, frozen=True):
    """Steps per unit of the clock, steps between two train rows, and whether the log itself states this."""

    rate: float
    stride: int
    known: bool


def assign_steps(rows: Sequence[Printed], total: int | None) -> tuple[str, ...]:
    """Sets the step of every row; returns notes on assumptions. `total`: the steps of the last training, if a bar shows
    them.

    A log with appended runs holds several sessions. The clock of later sessions also applies to earlier ones."""
    notes: dict[str, None] = {}
    for row in rows:
        if row.clock is not None and not 0 <= row.clock <= _LIMIT:
            row.clock = None
    later: StepPace | None = None
    for session in reversed(_sessions(rows)):
        train = [r for r in session if r.phase == "train"]
        if _marks_hold(train):
            _by_marks(session, train)
            continue
        pace = _pace(session, closing_steps(session, total) or total, later)
        total = None
        if pace is None:
            notes["the log prints no step: rldk counted the training rows"] = None
        elif not pace.known:
            notes["the log prints no step: rldk derived it from the epoch or episode, with one step for each row"] = (
                None
            )
        _by_clock(session, pace)
        later = pace if pace is not None and pace.known else later
    return tuple(notes)


def closing_steps(rows: Sequence[Printed], bar: int | None) -> int | None:
    """The number of steps that the closing row implies: runtime times rate, exact to four digits, or `bar` if it is
    that near.

    It is the intended number of steps, also when a callback stopped the run early."""
    for row in reversed(rows):
        steps = row.values.get("train_runtime", math.nan) * row.values.get("train_steps_per_second", math.nan)
        if 1 <= steps <= _LIMIT:
            return bar if bar is not None and abs(bar - steps) <= 5 * _PRINTED * steps else round(steps)
    return None


def _sessions(rows: Sequence[Printed]) -> list[list[Printed]]:
    """The rows, cut where the mark of the train rows, or else their clock, goes back."""
    sessions: list[list[Printed]] = [[]]
    last_mark, last_clock = -1, -math.inf
    for row in rows:
        if row.phase == "train":
            back = row.clock is not None and row.clock < last_clock
            if back if row.clock is not None else row.mark is not None and row.mark < last_mark:
                sessions.append([])
            last_mark = row.mark if row.mark is not None else last_mark
            last_clock = row.clock if row.clock is not None else last_clock
        sessions[-1].append(row)
    return [s for s in sessions if s]


def _marks_hold(train: Sequence[Printed]) -> bool:
    marks = [r.mark for r in train if r.mark is not None]
    return bool(marks) and len(marks) >= _MARKED * len(train) and all(a < b for a, b in pairwise(marks))


def _by_marks(session: Sequence[Printed], train: Sequence[Printed]) -> None:
    marks = [r.mark for r in train if r.mark is not None]
    stride = max(1, round(median(b - a for a, b in pairwise(marks)))) if len(marks) > 1 else 1
    last = 0
    for row in session:
        if row.mark is not None:
            last = row.mark
        elif row.phase == "train":
            last += stride
        row.step = last


def _pace(session: Sequence[Printed], total: int | None, later: StepPace | None) -> StepPace | None:
    """The pace of the clock in a session; None without a clock.

    When the run lasted `total` steps, the last clock gives the rate. Otherwise a first row that comes early
    (`logging_first_step`) is step 1. Otherwise each row counts as one step."""
    clocks = [r.clock for r in session if r.phase == "train" and r.clock is not None]
    if not clocks or clocks[-1] <= 0:
        return None
    first = clocks[0]
    between = (clocks[-1] - clocks[1]) / (len(clocks) - 2) if len(clocks) > 2 else clocks[-1] / len(clocks)
    if between <= 1 / _LIMIT:
        return None
    end = next((r.clock for r in reversed(session) if r.clock is not None), clocks[-1])
    rate = later.rate if later is not None else 0.0
    if total is not None and 0 < total <= end * _LIMIT:
        rate = total / end
    stride = between * rate
    if stride > 1 - _WHOLE and abs(stride - round(stride)) <= _WHOLE * max(1.0, stride / 10):
        return StepPace(rate, round(stride), known=True)
    if len(clocks) > 2 and 1 / _LIMIT < first < 0.6 * between:
        return StepPace(1 / first, max(1, round(between / first)), known=True)
    return StepPace(1 / between, 1, known=False)


def _by_clock(session: Sequence[Printed], pace: StepPace | None) -> None:
    """Gives a train row the next step due if its clock allows that, else the step of the clock. Other rows share the
    last step."""
    last: int | None = None
    for row in session:
        expected = None if pace is None or row.clock is None else row.clock * pace.rate
        allowed = 0.5 if pace is None or expected is None else 0.5 + _PRINTED * expected + row.slack * pace.rate
        if row.phase == "train":
            due = _due(last, expected, pace)
            late = expected is not None and abs(due - expected) > allowed
            last = max(round(expected), 0 if last is None else last + 1) if expected is not None and late else due
        elif expected is not None and (last is None or abs(last - expected) > allowed):
            row.step = round(expected)
            continue
        row.step = last or 0


def _due(last: int | None, expected: float | None, pace: StepPace | None) -> int:
    """The step of the next train row, if no row is missing. Trainers log at multiples of `logging_steps`."""
    stride = 1 if pace is None else pace.stride
    if last is not None:
        return (last // stride + 1) * stride
    return stride if expected is None else max(1, round(expected / stride)) * stride
