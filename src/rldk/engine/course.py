"""Shows the engine a finished run in long stretches of rows, phase by phase (see `stretches`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from rldk.core.table import Phase
from rldk.engine.live import NORMS, REWARD, Engine
from rldk.engine.memory import Key, Memory
from rldk.engine.stretches import Chunk

Column = NDArray[np.float64]


class TrainingSeen:
    """Features of the training rows of a part of a run, which rows of other phases see beside their own metrics."""

    def __init__(self, before: Mapping[Key, float]) -> None:
        """`before`: the features after the rows before the part."""
        self._lines = {key: [value] for key, value in before.items()}

    def note(self, memory: Memory) -> None:
        """Adds the rows of the present block of the training rows."""
        for key, line in self._lines.items():
            line.extend(memory.feature(key).at(memory.serial, memory.height))

    def seen_from(self, training: NDArray[np.intp], rows: NDArray[np.intp]) -> dict[Key, Column]:
        """Each feature as the rows see it: at the last training row before each. Both are places in the part."""
        at = np.searchsorted(training, rows)
        return {key: np.array(line)[at] for key, line in self._lines.items()}


def follow(engine: Engine, parts: Iterable[Chunk]) -> None:
    """Shows all rows of the parts."""
    for part in parts:
        steps = engine.first_step, part.steps
        intervals = _intervals(engine, part)
        course = TrainingSeen({key: engine.newest(key) for key in (REWARD, *NORMS)})
        engine.note_training = course.note
        for phase in part.phases:
            rows = part.rows(phase)
            beside = {} if intervals is None else {"row_interval_s": intervals[rows]}
            seen: Mapping[Key, Column] = {}
            if phase != "train":
                seen = course.seen_from(part.rows("train"), rows)
                engine.note_training = None
            if phase == "eval":
                beside["train_reward_mean"] = seen[REWARD]
            _follow_phase(engine, part, phase, beside, seen)
        engine.note_training = None
        engine.first_step, engine.last_step = steps[1][0] if steps[0] is None else steps[0], steps[1][1]


def _follow_phase(
    engine: Engine, part: Chunk, phase: Phase, beside: Mapping[str, Column], seen: Mapping[Key, Column]
) -> None:
    start = 0
    for stretch in part.stretches(phase, beside, engine.seen_metrics(phase)):
        stop = start + len(stretch.block.steps)
        engine.look_at(phase, stretch, {key: line[start:stop].tolist() for key, line in seen.items()})
        start = stop


def _intervals(engine: Engine, part: Chunk) -> Column | None:
    """The seconds before each row. None where the rows have no time."""
    clocks = part.clocks()
    if clocks is None:
        return None
    found = np.full(len(clocks[0]), np.nan)
    timed = np.flatnonzero(part.are_not("summary"))
    times, clock = (np.array(line)[timed].tolist() for line in clocks)
    found[timed] = engine.pace.intervals("train", times, clock)
    return found
