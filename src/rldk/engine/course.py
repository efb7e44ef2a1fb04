"""Shows the engine many rows in long stretches, phase by phase (see `stretches`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import copy

import numpy as np
from numpy.typing import NDArray

from rldk.core.table import Phase
from rldk.engine.evaluate import Begun
from rldk.engine.features.window import run
from rldk.engine.live import NORMS, REWARD, Engine
from rldk.engine.memory import Key
from rldk.engine.stretches import Chunk

Column = NDArray[np.float64]


def follow(engine: Engine, parts: Iterable[Chunk]) -> None:
    """Shows all rows of the parts."""
    for part in parts:
        first = engine.first_step
        for rows in by_phase(engine, part, told=False).values():
            for _ in rows:
                pass
        engine.first_step, engine.last_step = part.steps[0] if first is None else first, part.steps[1]


def by_phase(engine: Engine, part: Chunk, *, told: bool) -> dict[Phase, Iterator[Begun]]:
    """For each phase, what begins on each of its rows. Rows are looked at when they are asked for, and the phases may
    be asked in any order. `told`: as of `Evaluator.at`."""
    intervals = _intervals(engine, part)
    training = {key: _line(engine, part, key) for key in (REWARD, *NORMS)} if part.phases != ["train"] else {}
    found: dict[Phase, Iterator[Begun]] = {}
    for phase in part.phases:
        rows = part.rows(phase)
        beside = {} if intervals is None else {"row_interval_s": intervals[rows]}
        seen: Mapping[Key, Column] = {}
        if phase != "train":
            before = np.searchsorted(part.rows("train"), rows)
            seen = {key: line[before] for key, line in training.items()}
        if phase == "eval":
            beside["train_reward_mean"] = seen[REWARD]
        found[phase] = _looked_at(engine, part, phase, beside, seen, told=told)
    return found


def _looked_at(
    engine: Engine,
    part: Chunk,
    phase: Phase,
    beside: Mapping[str, Column],
    seen: Mapping[Key, Column],
    *,
    told: bool,
) -> Iterator[Begun]:
    start = 0
    for stretch in part.stretches(phase, beside, engine.seen_metrics(phase)):
        stop = start + len(stretch.block.steps)
        now = {key: line[start:stop].tolist() for key, line in seen.items()}
        yield from engine.look_at(phase, stretch, now, told=told)
        start = stop


def _line(engine: Engine, part: Chunk, key: Key) -> Column:
    """A feature before the first training row of the part and after each of them, as rows of other phases see it."""
    feature = copy(engine.feature(*key))
    column = part.column("train", key[1])
    finite = np.isfinite(column)
    values = column[finite].tolist()
    line = [feature.value, *(run(feature, values) if values else ())]
    return np.array(line)[np.concatenate(([0], np.cumsum(finite)))]


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
