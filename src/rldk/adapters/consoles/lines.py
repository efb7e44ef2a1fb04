"""Reads the lines of a home-made training loop: "Episode 12/500 | Reward: 3.4 | Loss: 0.1" and similar forms."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import ClassVar

from msgspec import Struct
from msgspec.structs import replace

from rldk.adapters.base import BaseAdapter, adapter
from rldk.adapters.formats import dialect
from rldk.adapters.live.lineformat import LineFormat
from rldk.adapters.live.rowsource import CountedRows
from rldk.adapters.log import Log
from rldk.adapters.naming.goals import says_goal
from rldk.adapters.reading import ROUNDED, Sink, glimpse, parse_file, phase_of
from rldk.adapters.source import File
from rldk.adapters.wire.console import Piece, clean, without_prefix
from rldk.adapters.wire.pairs import BAR, MAX_TEXT, Clock, Line, read_line
from rldk.core.records import MAX_STEP
from rldk.core.table import Phase
from rldk.core.text import later

OPENING = 8  # the number of records that decide which count is the step
ENOUGH = 3  # rows with the same names and rising steps that a text needs to count as a log
MAX_LINES = 100  # of one record
MAX_KEYS = 300
MAX_HELD = 50  # redraws of a progress bar with the same numbers that are one row
# A line of such a log has one of these words, followed by a number; a text without them is no such log.
_COUNTS = later(
    rb"(?:ep|epoch|episode|step|steps|iter|iteration|itr|update|updates|batch|rollout|round|frame|frames|timestep"
    rb"|timesteps|generation|game|trial)[ :=#\[(-]{0,8}\d|^\W{0,3}\d{1,18}[ /]|\d%\|[^|\n]{0,400}\| {0,9}\d",
    re.MULTILINE,
)
_GOALS = (b"rew", b"ret", b"loss", b"score", b"entropy", b"fitness", b"success", b"win", b"kl", b"ppl", b"perplexity")
# of a text that has one of these: whether it stands there as `says_goal` wants it in a name
_SAID = later(
    rb"reward|return|ep_?ret|score|entropy|fitness|success|win[_ ]?rate|perplexity|advantage|loss"
    rb"|(?<![a-z])(?:rew|ret|kl|ppl|vf|pg|mse|elbo)(?![a-z])"
)
_EPISODES = frozenset(("episode", "episodes", "ep", "eps"))  # a count that is a metric, too: a row may be one episode
_SIGN = later(r"[:=|]")
_TAIL = later(r"\d[^\d(]{24,}$")  # without a sign before it this is prose: what may follow a number is shorter
_OTHER = later(r"\s{0,80}(?:[{<#}]|//|def |class |import |from |for |if |return |self\.|Traceback|File \")")


class PrintedStep(Struct):
    """The numbers printed at one count: in the line with the count and in the lines of numbers after it."""

    start: Piece
    clocks: tuple[Clock, ...]
    values: dict[str, float]
    lines: int = 0

    def clock(self, word: str) -> Clock | None:
        return next((clock for clock in self.clocks if clock.word == word), None)


class PrintedLines:
    """Reads records: a line with a count begins one, and lines of only names and numbers continue it.

    The first `OPENING` records that say what the training is for decide which count is the step: the one that rises
    most often, of several the first on the line. Records without it are passed over. A count that falls while the epoch
    rises begins again in each epoch: then it goes on from where it was; so does a progress bar that was full, or has
    another count beside it that rises. A bar is drawn at each step with the numbers that were set last: up to
    `MAX_HELD` times the same numbers are one row."""

    def __init__(self) -> None:
        self.total: int | None = None
        self.word: str | None = None
        self._only_eval = False
        self._opening: list[PrintedStep] = []
        self._record: PrintedStep | None = None
        self._offset = 0
        self._last: PrintedStep | None = None
        self._held = 0
        self.overlong = 0  # lines with metrics that were read only up to the limit

    def take(self, piece: Piece, sink: Sink) -> None:
        if piece.broken:
            self.finish(sink)
            sink.reject(piece.line, piece.offset, piece.broken)
            return
        if _OTHER.match(piece.text):
            return
        line = read_line(piece.text)
        if self._counts(line) and (line.whole or _SIGN.search(piece.text)):  # otherwise it is prose
            self._end(sink)
            self.overlong += len(piece.text) > MAX_TEXT and bool(line.values)
            values = dict(line.values)
            if not piece.closed and values:
                values.popitem()  # its number may be cut
            self._record = PrintedStep(piece, line.clocks, values)
        elif piece.closed and self._record is not None:
            self._go_on(self._record, piece.text)

    def _counts(self, line: Line) -> bool:
        return any(self.word in (None, clock.word) for clock in line.clocks)

    def _go_on(self, record: PrintedStep, text: str) -> None:
        record.lines += 1
        line = read_line(without_prefix(text))
        said = line.whole or (len(line.values) > 1 and says_goal(line.values))
        if said and record.lines <= MAX_LINES and len(record.values) < MAX_KEYS:
            record.values = line.values | record.values

    def finish(self, sink: Sink) -> None:
        self._end(sink)
        if self.word is None:
            self._decide(sink)

    def _end(self, sink: Sink) -> None:
        record, self._record = self._record, None
        if record is None:
            return
        if not record.values:
            if not record.start.closed:
                sink.reject(record.start.line, record.start.offset, "the last line is torn", record.start.text)
        elif self.word is not None:
            self._put(record, sink)
        elif says_goal(record.values):  # numbered lists may come first
            self._opening.append(record)
            if len(self._opening) >= OPENING:
                self._decide(sink)

    def _decide(self, sink: Sink) -> None:
        """Chooses the count and puts out the records that waited for it."""
        opening, self._opening = self._opening, []
        self.word = _finest(opening)
        clocks = [clock for record in opening if (clock := record.clock(self.word or "")) is not None]
        self.total = next((clock.total for clock in clocks), None) if self.word != BAR else None  # it may begin again
        if any(clock.word == "epoch" and clock.total != 1 for record in opening for clock in record.clocks):
            self.total = self.total if self.word == "epoch" else None  # it may be that of one epoch
        self._only_eval = all(phase_of(record.values) == "eval" for record in opening)
        for record in opening:
            self._put(record, sink)

    def _put(self, record: PrintedStep, sink: Sink) -> None:
        clock = record.clock(self.word or "")
        if clock is None:
            return
        self._offset += self._gone(record, clock)
        again = self.word == BAR and self._last is not None and record.values == self._last.values
        self._last = record
        self._held = self._held + 1 if again and self._held < MAX_HELD else 0
        if self._held:
            return
        step = clock.step + self._offset
        if step > MAX_STEP:
            sink.reject(record.start.line, record.start.offset, "the step is too large", record.start.text)
        else:
            phase = self._phase(record.values)
            told = {"episode": float(step)} if self.word in _EPISODES else {}
            sink.row(step, told | record.values, phase=phase)

    def _gone(self, record: PrintedStep, clock: Clock) -> int:
        """The length of the epoch that has just ended, when the count begins again in each epoch; else 0."""
        if self._last is None or (before := self._last.clock(clock.word)) is None or clock.step >= before.step:
            return 0
        words = ("epoch", "epochs") if clock.word != BAR else tuple(each.word for each in record.clocks)
        pairs = [(self._last.clock(word), record.clock(word)) for word in words]
        rises = any(old is not None and new is not None and new.step > old.step for old, new in pairs)
        full = clock.word == BAR and before.step == before.total
        return max(before.total or 0, before.step) if rises or full else 0

    def _phase(self, values: Iterable[str]) -> Phase:
        return "train" if self._only_eval else phase_of(values)


def _finest(records: list[PrintedStep]) -> str:
    """The word of the count that rises most often from one record to the next; "" without such a count."""
    rises: Counter[str] = Counter()
    last: dict[str, int] = {}
    for record in records:
        for clock in record.clocks:
            rises[clock.word] += clock.step > last.get(clock.word, clock.step)
            last[clock.word] = clock.step
    return max(rises, key=lambda word: rises[word], default="")


@adapter
class PrintedLinesConsole(BaseAdapter):
    """Accepts any text in which at least three lines have the same names, a rising count and a name that states the
    goal of the training (a reward, a return, a loss, an entropy ...). It reads percentages as fractions."""

    name: ClassVar[str] = "line-console"
    describes: ClassVar[str] = "lines of names and numbers that a home-made training loop prints"
    quality: ClassVar[int] = 15
    keeps: ClassVar[str] = "every named number of the lines with a count of steps, episodes or epochs"
    loses: ClassVar[str] = "digits beyond those shown; numbers without a name; configuration"
    lines: ClassVar[LineFormat | None] = LineFormat(
        source=lambda: CountedRows(PrintedLines()), identify=lambda opening, _: dialect.identity(opening, {})
    )

    @classmethod
    def sniff(cls, file: File) -> int:
        return 30 if file.is_text and is_training(file.head) else 0

    @classmethod
    def marks(cls, line: bytes) -> bool:
        small = line.lower()
        if not any(word in small for word in _GOALS) or _SAID.search(small) is None:
            return False
        text = clean(line)
        signed = _SIGN.search(text) is not None
        if _OTHER.match(text) or (not signed and _TAIL.search(text)):
            return False
        found = read_line(text)
        return (signed or found.whole) and bool(found.clocks) and says_goal(found.values)

    def read(self) -> Log:
        lines = PrintedLines()
        reading = parse_file(self, lines)
        reading.notes.append(ROUNDED)
        if lines.overlong:
            those = "one line is" if lines.overlong == 1 else f"{lines.overlong} lines are"
            reading.notes.append(f"{those} longer than {MAX_TEXT:,} characters, and only the beginning was read")
        return replace(dialect.with_identity(reading.log()), total_steps=lines.total)


def is_training(head: bytes) -> bool:
    """Whether this text has lines of a training. In doubt it has none."""
    if head.lstrip()[:1] in (b"{", b"<") or not _enough(head):
        return False
    rows = glimpse(PrintedLines(), head)
    makes = Counter(frozenset(values) for _, values, _ in rows)
    for make, count in makes.most_common(3):
        steps = [step for step, values, _ in rows if frozenset(values) == make]
        rising = sum(b > a for a, b in pairwise(steps))
        if count >= ENOUGH and rising >= max(ENOUGH - 1, 0.6 * (count - 1)) and says_goal(make):
            return True
    return False


def _enough(head: bytes) -> bool:
    found = _COUNTS.finditer(head.lower())
    return sum(1 for _ in zip(range(ENOUGH), found, strict=False)) == ENOUGH
