"""Reads what transformers and TRL print: a Python dict for every log, without a step, amid progress bars and tables."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import ClassVar

from msgspec import Struct, field

from rldk.adapters.base import BaseAdapter, adapter
from rldk.adapters.formats.trl import TRAINERS, identity, phase_of, with_identity
from rldk.adapters.formats.trl_steps import Printed, assign_steps, closing_steps
from rldk.adapters.live.lineformat import LineFormat
from rldk.adapters.live.rowsource import TextRows
from rldk.adapters.log import Log
from rldk.adapters.reading import Sink, parse_file
from rldk.adapters.source import File
from rldk.adapters.wire.console import Piece, dict_items, number
from rldk.core.rows import RowList
from rldk.core.table import Phase, Row
from rldk.core.text import later

MAX_ROW = 1 << 16  # characters of one dict; the widest seen has 1,400
KEPT_CELLS = 500_000  # values to keep of a log whose steps follow only from the whole log, about 40 MB
_TOKEN = later(
    r"(?P<row>\{'[^{}]*\})"
    r"|(?P<torn>\{'[\w./ -]+': (?:'[-+\d.einfaNI]*'|[-+\d.einfaNI]+|None)[^{}]*$)"
    r"|(?P<bar>(?<!\d)\d{1,9}%\|[^|{}]{0,400}\| {0,20}(?P<done>\d{1,12})/(?P<total>\d{1,12}) \[[^\]{}]*\]?)"
    r"|(?P<panel>[─-] Step (?P<step>\d{1,12}) [─-])"
)
_KNOWN = ("loss", "grad_norm", "learning_rate", "eval_loss", "eval_runtime", "train_runtime", "reward", "objective/kl")
_OTHER_PRINTERS = (b"Global step ", b"rollout ")  # OpenRLHF and slime print a dict after these words


class Console(Struct):
    """The rows and marks of the text so far. The steps of the rows follow only from all rows together.

    `waiting`: the row printed since the last progress mark. `totals`: for each length of a bar, how often such a bar
    came right after a train row. `filled`: the bars that reached their end."""

    rows: list[Printed] = field(default_factory=list)
    waiting: Printed | None = None
    totals: Counter[int] = field(default_factory=Counter)
    filled: set[int] = field(default_factory=set)
    trainer: str = ""
    strings: bool = False

    @property
    def bar(self) -> int | None:
        """The number of steps of the training bar."""
        return self.totals.most_common(1)[0][0] if self.totals else None

    def take(self, piece: Piece, sink: Sink) -> None:
        for reason, excerpt in _take(piece, self):
            sink.reject(piece.line, piece.offset, reason, excerpt)

    def finish(self, sink: Sink) -> None:
        """Does nothing: `place` gives the rows their steps."""

    def place(self) -> tuple[int | None, tuple[str, ...]]:
        """Sets the step of every row. Returns the intended number of steps (None if unknown) and notes on
        assumptions."""
        declared, made = _total(self)
        return declared, assign_steps(self.rows, made)


class TrlRows(TextRows):
    """The rows of TRL's console, which prints no steps. They follow from progress bars, clocks and the closing row.

    Whenever rows come, the steps of all rows are worked out again. From `KEPT_CELLS` values on, the steps continue at
    the same pace instead."""

    def __init__(self) -> None:
        self._console = Console()
        super().__init__(self._console)
        self._told: list[tuple[int, Phase]] = []
        self._state: tuple[str, int | None] = ("", None)
        self._cells = 0
        self._seen = 0
        self._stride = 0  # the pace of the steps, once the rows are no longer placed together

    def finish(self) -> list[Row]:
        return self._take(self._cutter.finish())

    def _take(self, pieces: Iterator[Piece]) -> list[Row]:
        for piece in pieces:
            self._parser.take(piece, self)
        if self._stride:
            self._go_on(self._console.rows)
        else:
            self._place(self._console.rows)
        return self._rows.take()

    def _place(self, rows: list[Printed]) -> None:
        self.total_steps, _ = self._console.place()
        self.text = self._console.trainer
        steps, state = [(row.step, row.phase) for row in rows], (self.text, self.total_steps)
        start = len(self._told)
        if start and (steps[:start] != self._told or state != self._state):
            self.revision += 1
            self._rows, self._count, start = RowList(), 0, 0
        self._told, self._state = steps, state
        for row in rows[start:]:
            self.row(row.step, row.values, phase=row.phase)
        self._cells += sum(len(row.values) for row in rows[self._seen :])
        self._seen = len(rows)
        if self._cells > KEPT_CELLS:
            train = [step for step, phase in steps[-200:] if phase == "train"]
            self._stride = max(1, train[-1] - train[-2]) if len(train) > 1 else 1
            rows.clear()

    def _go_on(self, rows: list[Printed]) -> None:
        for row in rows:
            self.row(self.step + (self._stride if row.phase == "train" else 0), row.values, phase=row.phase)
        rows.clear()


@adapter
class TrlStdout(BaseAdapter):
    """Values have four significant digits since transformers 5, which prints floats as strings; before, all digits."""

    name: ClassVar[str] = "trl-stdout"
    describes: ClassVar[str] = "console output of a transformers or TRL trainer"
    quality: ClassVar[int] = 40
    landmark: ClassVar[bytes] = b"'epoch': "
    keeps: ClassVar[str] = "training, evaluation and closing rows"
    loses: ClassVar[str] = (
        "digits beyond 4 since transformers 5 (versions before print all of them); the step, which is not printed "
        "and is inferred from the progress bar, the epoch and the rows before; wall time, configuration, "
        "`total_flos`; a NaN loss, which transformers replaces unless `logging_nan_inf_filter=False`"
    )
    lines: ClassVar[LineFormat | None] = LineFormat(
        source=TrlRows, identify=lambda opening, text: identity(opening, text=text)
    )

    @classmethod
    def sniff(cls, file: File) -> int:
        if not file.is_text or b"{'" not in file.head:
            return 0
        for line in file.head.splitlines():
            if b"'epoch'" not in line or any(words in line for words in _OTHER_PRINTERS):
                continue
            for token in _TOKEN.finditer(line.decode("utf-8", "replace")):
                found = dict_items(token["row"]) if token["row"] else None
                if found and "epoch" in found[0] and any(key in found[0] for key in _KNOWN):
                    return 80
        return 0

    @classmethod
    def marks(cls, line: bytes) -> bool:
        return b"{'" in line and b"'epoch': " in line

    def read(self) -> Log:
        console = Console()
        reading = parse_file(self, console)
        declared, notes = console.place()
        reading.notes += notes
        for row in console.rows:
            reading.row(row.step, row.values, phase=row.phase)
        log = reading.log(total_steps=declared, precision=4 if console.strings else None)
        return with_identity(log, text=console.trainer)


def _take(piece: Piece, console: Console) -> Iterator[tuple[str, str]]:
    """Takes the rows and marks of one piece. Yields each refused part with the reason before it."""
    if piece.broken:
        yield piece.broken, ""
    text = piece.text
    if text.startswith("│"):  # a table of completions: rollouts may contain anything
        return
    if not console.trainer and (named := TRAINERS.search(text)) is not None:
        console.trainer = named[0]
    clear = 0
    for token in _TOKEN.finditer(text):
        alone = not text[clear : token.start()].strip()
        clear = token.end()
        if token["row"] is not None:
            if not _take_row(token["row"], console):
                yield "the text is not a dict of numbers", token["row"]
        elif token["torn"] is not None:
            yield "the end of the dict is missing", token["torn"]
        elif token["panel"] is not None:
            _mark(console, int(token["step"]), None)
        elif alone:  # a bar with a description counts something else than training steps
            _mark(console, int(token["done"]), int(token["total"]))


def _take_row(text: str, console: Console) -> bool:
    """Adds the row in `text`; False when the text looks like a row but cannot be read."""
    found = dict_items(text) if len(text) <= MAX_ROW else None
    if found is None:
        return "'epoch'" not in text
    printed = found[0]
    if "epoch" not in printed:  # every log of a trainer ends with its epoch; other dicts are the user's own
        return True
    values = {k: v for k, raw in printed.items() if (v := number(raw)) is not None}
    row = Printed(phase=phase_of(printed), values=values)
    if "episode" in values:
        row.clock = values["episode"]
    elif "epoch" in values:
        row.clock, row.slack = values["epoch"], _slack(values["epoch"], printed=printed["epoch"].startswith("'"))
    console.strings = console.strings or any(raw.startswith("'") for raw in printed.values())
    console.rows.append(row)
    console.waiting = row
    return True


def _slack(epoch: float, *, printed: bool) -> float:
    """How far a printed epoch may be from the true one: `.4g` since transformers 5, two decimals before 4.40, else
    0."""
    if not math.isfinite(epoch) or epoch <= 0:
        return 0.005
    if printed:
        return 0.5 * 10.0 ** (math.floor(math.log10(epoch)) - 3)
    return 0.005 if round(epoch, 2) == epoch else 0.0


def _mark(console: Console, step: int, total: int | None) -> None:
    """Takes the step of a row from the progress bar (`total`) or the panel (None) right after it. During an evaluation
    two bars are redrawn in any order; then only a bar with the length of the training bar counts."""
    row = console.waiting
    if total is None:
        if row is not None:
            row.mark = step
        console.waiting = None
        return
    if step == total:
        console.filled.add(total)
    if row is None or row.mark is not None:
        return
    if row.phase == "train":
        console.totals[total] += 1
    if total == console.bar:
        row.mark = step


def _total(console: Console) -> tuple[int | None, int | None]:
    """The intended number of steps, and the number that a bar shows as made; None when unknown."""
    train = sum(row.phase == "train" for row in console.rows)
    bar = console.bar if console.bar is not None and console.bar >= train else None
    return closing_steps(console.rows, bar) or bar, bar if bar in console.filled else None
