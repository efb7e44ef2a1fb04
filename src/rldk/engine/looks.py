"""Rules look at rows: a block at a time as long as they have nothing to say, row by row where they may have."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from rldk.engine.episodes import Episode, Episodes
from rldk.engine.frame import BlockFrame, EngineFrame
from rldk.engine.memory import Memory
from rldk.engine.recovery import KEPT, Tail
from rldk.engine.stretch import StretchFrame
from rldk.rules.rule import Body, Context, Frame, Rule

if TYPE_CHECKING:
    from rldk.engine.column_frame import ColumnFrame

MOST_ROWS = 1024  # of a block: a longer one is asked less often, and answers less often for all of its rows
SHORT = 12  # rows: to ask each of so few costs no more than to ask of all at once
COARSE = 48  # rows from which on the bounds of features are tried before the features themselves
FINE = 16  # blocks that are asked by columns at once after one whose bounds would not do
RESTS = 16  # blocks that are asked row by row at once after others that had to be


class Block(NamedTuple):
    """Rows of one phase and segment with the same metrics, column by column. `finite`: all values are; else it is a
    single row."""

    columns: Mapping[str, Sequence[float]]
    steps: Sequence[int]
    times: Sequence[float]
    segment: int
    finite: bool

    def part(self, start: int, stop: int) -> Block:
        """Rows start..stop-1 of it."""
        columns = {name: column[start:stop] for name, column in self.columns.items()}
        return self._replace(columns=columns, steps=self.steps[start:stop], times=self.times[start:stop])

    def beside(self, name: str, column: Sequence[float]) -> Block:
        """With one metric more."""
        return self._replace(columns={**self.columns, name: column})


class Watch(Struct):
    """One rule on one metric: what it needs, and how its looks went."""

    rule: Rule
    metric: str
    required: frozenset[str]
    episodes: Episodes
    body: Body
    failure: str = ""  # why the rule was given up on this run: it raised on one of its rows
    looks: int = 0
    ready: bool = False  # some look had every feature it asked for
    # how to ask it next: so many rows at once; not by bounds, or not at once, for so many blocks
    width: int = MOST_ROWS
    fine: int = 0
    rest: int = 0
    rests: int = 1


EVERYWHERE = (-math.inf, math.inf)
# a watch, and the interval of its metric's own value in which it says nothing; without a name it always looks
Turn = tuple[Watch, str, float, float]
Begun = list[tuple[Watch, Episode]]


class Looks:
    """The looks of one phase at its blocks, once the memory has taken them."""

    def __init__(self, memory: Memory, context: Context, columns: Callable[..., ColumnFrame] | None = None) -> None:
        self._memory = memory
        self._columns = columns(memory, context) if columns is not None else None
        self._single = EngineFrame(memory, context)
        self._block = BlockFrame(memory, context)
        self._stretch = StretchFrame(memory, context)

    def at(self, block: Block, turns: Sequence[Turn]) -> Iterator[Begun]:
        """What has just begun, row by row."""
        height = len(block.steps)
        frame = self._block if height > 1 else self._single
        loud = self._loud(block, turns) if block.finite and height > SHORT else [(t, b"\1" * height) for t in turns]
        if not loud:
            self._memory.go(height - 1)
            yield from ([] for _ in block.steps)
            return
        frame.show(block.columns)
        for row, step in enumerate(block.steps):
            frame.go(row, step)
            begun: Begun = []
            for turn, asked in loud:
                if not asked[row]:
                    self._quiet(turn[0], frame, row)
                    continue
                episode = self._look(turn, frame, block.columns, row)
                if episode is not None:
                    begun.append((turn[0], episode))
            yield begun

    def _look(self, turn: Turn, frame: EngineFrame, columns: Mapping[str, Sequence[float]], row: int) -> Episode | None:
        """One watch's look at the row that the frame shows; the episode that has just begun."""
        watch, name, low, high = turn
        episodes = watch.episodes
        if (name and low <= columns[name][row] <= high and episodes.idle) or (watch.rule.note and episodes.began):
            return None
        frame.metric, frame.unready = watch.metric, False
        try:
            signal = watch.body(frame)
        except (ArithmeticError, ValueError) as error:  # what no author thought of must not cost the whole report
            watch.failure = f"{type(error).__name__} on the row of step {frame.step}"
            watch.body = _silence
            return None
        watch.looks += 1
        if not frame.unready:
            watch.ready = True
        if signal is None and episodes.idle:
            return None
        began = episodes.look(frame.step, frame.rows, signal, self._tail(watch, row))
        return episodes.open if began else None

    def _quiet(self, watch: Watch, frame: EngineFrame, row: int) -> None:
        """Tells an episode that goes on of a row on which the rule says nothing."""
        if not watch.episodes.idle:
            watch.episodes.look(frame.step, frame.rows, None, self._tail(watch, row))

    def _tail(self, watch: Watch, row: int) -> Tail:
        """The newest values of a metric (by default the watch's own), should anybody ask."""
        return lambda metric: self._memory.tail(metric or watch.metric, row, KEPT)

    def _loud(self, block: Block, turns: Sequence[Turn]) -> list[tuple[Turn, Sequence[int]]]:
        """The watches that may have to look, and at which of the rows their bodies must be asked."""
        self._stretch.show(block.columns)
        self._stretch.begin(block.steps)
        if self._columns is not None:
            self._columns.show(block.columns)
            self._columns.begin(block.steps)
        found: list[tuple[Turn, Sequence[int]]] = []
        for turn in turns:
            watch, name, low, high = turn
            idle = watch.episodes.idle
            if name and idle and low <= min(block.columns[name]) and max(block.columns[name]) <= high:
                continue
            asked = self._asked(watch, len(block.steps))
            if not idle or any(asked):
                found.append((turn, asked))
        return found

    def _asked(self, watch: Watch, height: int) -> Sequence[int]:
        """1 for the rows on which the body of the watch may say something."""
        if self._columns is not None:
            return self._asked_at_once(watch, height, self._columns)
        asked = bytearray(height)
        if watch.rest:
            watch.rest -= 1
            return bytearray(b"\1" * height)
        watch.fine = max(0, watch.fine - 1)
        start = 0
        while start < height:
            stop = min(start + watch.width, height)
            if self._silent(watch, start, stop):
                watch.looks += stop - start
                watch.width = min(2 * watch.width, MOST_ROWS)
                start = stop
            elif stop - start > SHORT:
                watch.width = max(SHORT, (stop - start) // 2)
            else:
                asked[start:stop] = b"\1" * (stop - start)
                start = stop
        watch.rests = 1 if not all(asked) else min(2 * watch.rests, RESTS)
        watch.rest = watch.rests - 1
        return asked

    def _asked_at_once(self, watch: Watch, height: int, columns: ColumnFrame) -> Sequence[int]:
        """The same, by bounds if they will do, else by columns."""
        watch.fine = max(0, watch.fine - 1)
        if self._memory.start and height >= COARSE and not watch.fine:
            self._stretch.metric = watch.metric
            if self._stretch.silent(watch.body, 0, height, exact=False) and self._settled(watch):
                watch.looks += height
                return bytes(height)
            watch.fine = FINE
        cases = columns.follow(watch.body, watch.metric)
        asked = cases.asked.tobytes()
        watch.ready = watch.ready or cases.ready
        watch.looks += height - sum(asked)
        return asked

    def _silent(self, watch: Watch, start: int, stop: int) -> bool:
        stretch, body = self._stretch, watch.body
        stretch.metric = watch.metric
        if not watch.fine and stop - start >= COARSE:
            if stretch.silent(body, start, stop, exact=False):
                return self._settled(watch)
            watch.fine = RESTS
        return stretch.silent(body, start, stop, exact=True) and self._settled(watch)

    def _settled(self, watch: Watch) -> bool:
        """Whether the looks say, for all rows alike, if the watch had all it asks for; it is ready from then on."""
        if not watch.ready:
            if self._stretch.doubt:
                return False
            watch.ready = not self._stretch.unready
        return True


def _silence(f: Frame) -> None:
    """The body of a rule that was given up."""
