"""Reads the boxes of names and numbers that many loggers print: OpenAI baselines, Spinning Up, AReaL and others."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any, ClassVar

from msgspec import Struct, field
from msgspec.structs import replace

from rldk.adapters.base import BaseAdapter, adapter
from rldk.adapters.formats.progress_table import identity as of_logger
from rldk.adapters.live.lineformat import LineFormat
from rldk.adapters.live.rowsource import TextRows
from rldk.adapters.log import Log
from rldk.adapters.naming.goals import says_goal
from rldk.adapters.reading import ROUNDED, Sink, glimpse, parse_file, phase_of
from rldk.adapters.source import File
from rldk.adapters.wire.console import Piece, number
from rldk.core.records import MAX_STEP
from rldk.core.text import later

_BAR = later(r"[|│┃║]")
_EDGE = later(r"[-=+─━═┌┐└┘├┤┬┴┼╒╕╘╛╞╡╪╤╧╭╮╰╯ ]{6,}")
_RULE = later(r"[├╞╟][─═┼╪┤╡╢ ]+")  # between two rows of one box
_NAME = later(r"[A-Za-z%][^|│]{0,119}")
# a line between boxes that states the count when the boxes do not
_COUNT = later(r"\b(?:[Ii]teration|[Tt]rain step|itr|Itr) ?#?(?P<step>\d{1,18})\b")
# The counts that boxes show, without their group. The finest and most lasting count comes first.
_CLOCKS = (
    *("total_timesteps", "totalenvinteracts", "timestepssofar", "total_env_steps", "env_steps", "timesteps", "steps"),
    *("frames", "frame", "serial_timesteps", "nupdates", "n_updates", "updates", "iteration", "itr", "epoch", "epochs"),
    *("episodessofar", "episodes", "episode"),
)
_WHOLE = later(r"\d{1,18}")
_HEAD_ROW = later(rb"^[ \t]*\|[^|\n]{2,120}\|[ \t]*[-+\d.naif]{1,4}", re.MULTILINE)
_BASELINES = frozenset({"eprewmean", "eplenmean", "EpRewMean", "ev_tdlam_before", "serial_timesteps", "nupdates"})
_SPINUP = frozenset({"AverageEpRet", "EpRet", "TotalEnvInteracts"})
_AREAL = frozenset({"ppo_actor/update/actor_loss", "ppo_actor/task_reward/avg", "ppo_actor/update/grad_norm"})


def identity(keys: frozenset[str]) -> dict[str, Any]:
    """The fields of `Log` that name the trainer behind these names."""
    if keys & _SPINUP:
        return {"framework": "spinup"}
    if keys & _AREAL:
        return {"framework": "areal", "dialect": "areal"}
    return {"framework": "baselines"} if keys & _BASELINES else of_logger(keys)


class Box(Struct):
    """An unfinished box: where it begins, its group ("train/"), and its cells as text, with the group in each key."""

    start: Piece
    group: str = ""
    cells: dict[str, str] = field(default_factory=dict)


class PrintedBoxes:
    """Gathers the cells of a box until its lower edge.

    The first box decides which name is the step. When boxes have no count, the step comes from a line before them
    ("Iteration 7"), or else from counting the boxes."""

    def __init__(self) -> None:
        self.clock: str | None = None
        self._box: Box | None = None
        self._told: int | None = None
        self._boxes = 0

    def take(self, piece: Piece, sink: Sink) -> None:
        text = piece.text.strip()
        if piece.broken:
            self.finish(sink)
            sink.reject(piece.line, piece.offset, piece.broken)
        elif _BAR.match(text):
            self._box = self._box or Box(piece)
            if piece.whole:
                self._cells(self._box, text)
        elif self._box is not None and _RULE.fullmatch(text):
            pass
        else:
            self._close(sink)
            counted = _COUNT.search(text) if not _EDGE.fullmatch(text) else None
            if counted is not None and piece.whole:
                self._told = int(counted["step"])

    def finish(self, sink: Sink) -> None:
        box, self._box = self._box, None
        if box is not None and box.cells:
            sink.reject(box.start.line, box.start.offset, "the box has no lower edge", box.start.text)

    def _cells(self, box: Box, text: str) -> None:
        cells = [cell.strip() for cell in _BAR.split(text)[1:-1]]
        if len(cells) % 2 or len(cells) > 8:
            return
        for name, shown in zip(cells[::2], cells[1::2], strict=True):
            if name.endswith("/") and not shown:
                box.group = name
            elif _NAME.fullmatch(name) and len(box.cells) < 1000:
                box.cells[name if "/" in name else box.group + name] = shown

    def _close(self, sink: Sink) -> None:
        box, self._box = self._box, None
        if box is None:
            return
        values = {key: value for key, shown in box.cells.items() if (value := number(shown)) is not None}
        if not values:
            return
        self._boxes += 1
        if self._boxes == 1:
            self.clock = _clock(box.cells)
        step = values.pop(self.clock, None) if self.clock else self._told
        if self.clock and step is None:
            sink.reject(box.start.line, box.start.offset, f"the box has no {self.clock}", box.start.text)
        elif step is not None and not 0 <= step <= MAX_STEP:
            sink.reject(box.start.line, box.start.offset, "the step is not a step number", box.start.text)
        else:
            count = sink.step + (self._boxes > 1) if step is None else int(step)
            self._told = None
            sink.row(count, values, phase=phase_of(values))


def _clock(cells: dict[str, str]) -> str | None:
    """The name of the count among these cells: the first of `_CLOCKS` with a whole number."""
    names = {key.rsplit("/", 1)[-1].replace(" ", "_").lower(): key for key in reversed(cells)}
    return next((names[c] for c in _CLOCKS if c in names and _WHOLE.fullmatch(cells[names[c]])), None)


@adapter
class PrintedBoxesConsole(BaseAdapter):
    """Each box is one line of the log. Values keep the digits that were printed, often three."""

    name: ClassVar[str] = "box-console"
    describes: ClassVar[str] = "boxes of names and numbers that baselines, Spinning Up, AReaL and others print"
    quality: ClassVar[int] = 30
    landmark: ClassVar[bytes] = b"|"
    uncounted: ClassVar[bytes] = b"|"
    keeps: ClassVar[str] = "every metric of the logger"
    loses: ClassVar[str] = "digits beyond those shown, often 3; configuration"
    lines: ClassVar[LineFormat | None] = LineFormat(
        source=lambda: TextRows(PrintedBoxes()), identify=lambda opening, _: identity(opening.keys)
    )

    @classmethod
    def sniff(cls, file: File) -> int:
        if not file.is_text or not (b"\xe2\x94\x82" in file.head or _HEAD_ROW.search(file.head)):
            return 0
        return 75 if _repeats(file.head) else 0

    @classmethod
    def marks(cls, line: bytes) -> bool:
        return _HEAD_ROW.match(line) is not None

    def read(self) -> Log:
        reading = parse_file(self, PrintedBoxes())
        reading.notes.append(ROUNDED)
        log = reading.log(precision=3)
        return replace(log, **identity(frozenset(log.table.columns)))


def _repeats(head: bytes) -> bool:
    """Whether two boxes have the same names, including a goal of training, or one box has names that only a known
    logger writes."""
    boxes = [values.keys() for _, values, _ in glimpse(PrintedBoxes(), head)]
    return any(of_logger(box) for box in boxes) or any(a & b and says_goal(a & b) for a, b in pairwise(boxes))
