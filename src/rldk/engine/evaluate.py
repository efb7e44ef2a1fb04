"""Runs rules over rows: over a whole block while they find nothing, and row by row where they may find something."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from rldk.engine.blocks import MOST_ROWS, Block, extremes
from rldk.engine.episodes import Episode, Episodes, severity_rank
from rldk.engine.frame import BlockFrame, EngineFrame
from rldk.engine.interval_frame import IntervalFrame
from rldk.engine.memory import Memory
from rldk.engine.recovery import KEPT, Tail
from rldk.rules.rule import Body, Context, Frame, Rule, Signal

if TYPE_CHECKING:
    from rldk.engine.column import Mask
    from rldk.engine.column_frame import ColumnFrame

SHORT = 12  # rows; asking each of so few costs no more than asking all at once
COARSE = 48  # rows; from this height on the bounds of features are tried before the features themselves
FINE = 16  # blocks to ask by columns at once after the bounds of one did not decide
RESTS = 16  # blocks to ask row by row at once after earlier ones had to be


class BoundRule(Struct):
    """One rule on one metric: the inputs it needs, and what came of asking it so far."""

    rule: Rule
    metric: str
    required: frozenset[str]
    episodes: Episodes
    body: Body
    failure: str = ""  # why the rule was given up on this run: it raised an error on one of its rows
    looks: int = 0
    ready: bool = False  # on some row the rule had every feature it asked for
    # How to ask it next: `width` rows at once; for `fine` blocks without bounds; for `rest` blocks row by row.
    width: int = MOST_ROWS
    fine: int = 0
    rest: int = 0
    rests: int = 1


ASKED, SURE = 1, 2  # of a row: see `_asked`
UNASKED = 255  # of a row that lacks a metric without which the rule is not asked
_UNASKED = bytes((UNASKED,))
_SILENT = bytes((0, UNASKED))
_NOTHING: frozenset[str] = frozenset()
EVERYWHERE = (-math.inf, math.inf)
# A bound rule and the interval of its own metric in which it says nothing. Without a name it is always asked.
Turn = tuple[BoundRule, str, float, float]
Begun = list[tuple[BoundRule, Episode]]
Loud = tuple[Turn, Sequence[int]]  # with a number for each row, as of `_asked`


class Evaluator:
    """Asks the rules of one phase about its blocks, once the memory has taken them."""

    def __init__(self, memory: Memory, context: Context, columns: Callable[..., ColumnFrame] | None = None) -> None:
        self._memory = memory
        self.columns = columns(memory, context) if columns is not None else None
        self._single = EngineFrame(memory, context)
        self._block = BlockFrame(memory, context)
        self._interval_frame = IntervalFrame(memory, context)
        # of the present block: metrics, and whether any value counts -> the rows that have them all
        self._asking: dict[tuple[frozenset[str], bool], Mask] = {}

    def at(
        self, block: Block, turns: Sequence[Turn], loud: Sequence[Loud] | None = None, *, told: bool = False
    ) -> Iterator[Begun]:
        """Yields the episodes that begin, row by row. `loud`: what is known of the turns that may begin one. `told`:
        somebody looks at the episodes after each row; otherwise some are told about all rows before the first.

        Rows may lack metrics, as the memory knows. A rule is not asked about a row that lacks one it requires."""
        height = len(block.steps)
        frame = self._block if height > 1 else self._single
        if loud is None:
            self._asking = {}
            if block.finite and height > SHORT:
                loud = self._loud(block, turns, told=told)
            else:
                loud = [(turn, self._everywhere(turn[0], height)) for turn in turns]
        if not loud:
            for row in range(height):
                self._memory.go(row)
                yield []
            return
        frame.show(block.columns)
        for row, step in enumerate(block.steps):
            frame.go(row, step)
            begun: Begun = []
            for turn, asked in loud:
                bound, how = turn[0], asked[row]
                if how == UNASKED:
                    continue
                if not how:
                    self._quiet(bound, frame, row)
                    continue
                if how > ASKED and bound.ready and bound.episodes.go_on((step,), frame.rows, how - SURE):
                    bound.looks += 1
                    continue
                episode = self._look(turn, frame, block.columns, row)
                if episode is not None:
                    begun.append((bound, episode))
            yield begun

    def _look(self, turn: Turn, frame: EngineFrame, columns: Mapping[str, Sequence[float]], row: int) -> Episode | None:
        """Asks one bound rule about the row that the frame shows. Returns the episode that has just begun, if any."""
        bound, name, low, high = turn
        episodes = bound.episodes
        if (name and low <= columns[name][row] <= high and episodes.idle) or (bound.rule.note and episodes.began):
            return None
        frame.metric, frame.unready = bound.metric, False
        try:
            signal = bound.body(frame)
        except (ArithmeticError, ValueError) as error:  # an unforeseen error in one rule must not cost the whole report
            bound.failure = f"{type(error).__name__} on the row of step {frame.step}"
            bound.body = _silence
            return None
        bound.looks += 1
        if not frame.unready:
            bound.ready = True
        if signal is None and episodes.idle:
            return None
        began = episodes.look(frame.step, frame.rows, signal, self._tail(bound, row))
        return episodes.open if began else None

    def _quiet(self, bound: BoundRule, frame: EngineFrame, row: int) -> None:
        """Tells an open episode about a row on which the rule says nothing."""
        if not bound.episodes.idle:
            bound.episodes.look(frame.step, frame.rows, None, self._tail(bound, row))

    def _tail(self, bound: BoundRule, row: int) -> Tail:
        """Returns a function for the newest values of a metric, by default the metric of the bound rule."""
        return lambda metric: self._memory.tail(metric or bound.metric, row, KEPT)

    def _loud(self, block: Block, turns: Sequence[Turn], *, told: bool) -> list[Loud]:
        """Finds the bound rules that may fire, and the rows on which their bodies must be asked."""
        self._interval_frame.show(block.columns)
        self._interval_frame.begin(block.steps)
        if self.columns is not None:
            self.columns.show(block.columns)
            self.columns.begin(block.steps)
        found: list[Loud] = []
        for turn in turns:
            bound, name, low, high = turn
            idle = bound.episodes.idle
            rows = self._rows_for(bound)
            if rows is not None and 1 not in rows.tobytes():
                continue
            if name and idle:
                some = self._memory.ragged.get(name)
                least, most = extremes(block.columns, name) if some is None else (min(some.values), max(some.values))
                if low <= least and most <= high:
                    continue
            asked = self._asked(bound, len(block.steps), rows)
            at_once = rows is None and not told
            if (not idle or asked.strip(_SILENT)) and not (at_once and self._goes_on(bound, asked, block.steps)):
                found.append((turn, asked))
        return found

    def _rows_for(self, bound: BoundRule) -> Mask | None:
        """The rows of the block that have what the rule requires; None for all of them."""
        ragged = self._memory.ragged
        needed = frozenset(name for name in bound.required if name in ragged) if ragged else _NOTHING
        if not needed:
            return None
        key = needed, bound.rule.nonfinite
        found = self._asking.get(key)
        if found is None:
            first, *others = (ragged[name].rows(nonfinite=bound.rule.nonfinite) for name in needed)
            for other in others:
                first &= other
            found = self._asking[key] = first
        return found

    def _everywhere(self, bound: BoundRule, height: int) -> bytes:
        """The answer that all rows must be asked."""
        rows = self._rows_for(bound)
        return b"\1" * height if rows is None else rows.tobytes().replace(b"\0", _UNASKED)

    def _goes_on(self, bound: BoundRule, asked: Sequence[int], steps: Sequence[int]) -> bool:
        """Counts the rows of the block for an open episode, if the rule surely fires on each and nowhere graver."""
        if bound.episodes.open is None or not bound.ready or min(asked) < SURE:
            return False
        last_row = self._memory.start + len(steps)
        if not bound.episodes.go_on(steps, last_row, max(asked) - SURE):
            return False
        bound.looks += len(steps)
        return True

    def _asked(self, bound: BoundRule, height: int, rows: Mask | None) -> bytes | bytearray:
        """Returns for each row 0 where the body of the bound rule gives no signal; `ASKED` where it may give one;
        `SURE` plus the rank of its severity where it gives one for sure; and `UNASKED` for a row that is not among
        `rows`."""
        if self.columns is not None:
            return self._asked_at_once(bound, height, self.columns, rows)
        if rows is not None:
            return self._everywhere(bound, height)
        asked = bytearray(height)
        if bound.rest:
            bound.rest -= 1
            return bytearray(b"\1" * height)
        bound.fine = max(0, bound.fine - 1)
        start = 0
        while start < height:
            stop = min(start + bound.width, height)
            if self._silent(bound, start, stop):
                bound.looks += stop - start
                bound.width = min(2 * bound.width, MOST_ROWS)
                start = stop
            elif stop - start > SHORT:
                bound.width = max(SHORT, (stop - start) // 2)
            else:
                asked[start:stop] = b"\1" * (stop - start)
                start = stop
        bound.rests = 1 if not all(asked) else min(2 * bound.rests, RESTS)
        bound.rest = bound.rests - 1
        return asked

    def _asked_at_once(self, bound: BoundRule, height: int, columns: ColumnFrame, rows: Mask | None) -> bytes:
        """Does the same by bounds if they decide, else by columns."""
        bound.fine = max(0, bound.fine - 1)
        if self._memory.start and height >= COARSE and not bound.fine:
            self._interval_frame.metric = bound.metric
            self._interval_frame.required = bound.required if not bound.rule.nonfinite else _NOTHING
            if self._interval_frame.silent(bound.body, 0, height, exact=False) and self._settled(bound):
                asked = bytes(height) if rows is None else (~rows).tobytes().replace(b"\1", _UNASKED)
                bound.looks += asked.count(0)
                return asked
            bound.fine = FINE
        cases = columns.follow(bound.body, bound.metric, rows)
        codes = cases.codes(code_of(bound.rule))
        if rows is not None:
            codes[~rows] = UNASKED
        asked = codes.tobytes()
        bound.ready = bound.ready or cases.ready
        bound.looks += asked.count(0)
        return asked

    def _silent(self, bound: BoundRule, start: int, stop: int) -> bool:
        stretch, body = self._interval_frame, bound.body
        stretch.metric = bound.metric
        if not bound.fine and stop - start >= COARSE:
            if stretch.silent(body, start, stop, exact=False):
                return self._settled(bound)
            bound.fine = RESTS
        return stretch.silent(body, start, stop, exact=True) and self._settled(bound)

    def _settled(self, bound: BoundRule) -> bool:
        """Whether all rows agree if the rule had every input it asked for. From then on the rule counts as ready."""
        if not bound.ready:
            if self._interval_frame.doubt:
                return False
            bound.ready = not self._interval_frame.unready
        return True


def code_of(rule: Rule) -> Callable[[Signal], int]:
    """The number of a row on which the rule surely gives the signal. A note is not asked again once it was made."""
    return lambda signal: ASKED if rule.note else SURE + severity_rank(rule, signal)


def _silence(f: Frame) -> None:
    """The body of a rule that was given up."""
