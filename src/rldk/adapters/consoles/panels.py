"""Reads panels with all metrics of a step, which rich draws: open-instruct's panel and PufferLib's dashboard."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

from rldk.adapters.base import BaseAdapter, adapter
from rldk.adapters.live.lineformat import LineFormat
from rldk.adapters.live.rowsource import TextRows
from rldk.adapters.log import Log
from rldk.adapters.naming.goals import says_goal
from rldk.adapters.reading import ROUNDED, Sink, glimpse, parse_file, phase_of
from rldk.adapters.source import File
from rldk.adapters.wire.console import Piece, clean, number
from rldk.core.records import MAX_STEP, step_or_none
from rldk.core.text import later

MAX_LINES = 400  # of one panel
MAX_WIDTH = 1000  # characters of a line
_UPPER = later(r"\u256d[\u2500 ]{2}.{0,1000}\u256e")
_CATEGORY = later(r" {1,4}(?P<name>\S{1,80}) {2,}(?P<text>\S.*)")
_PAIR = later(r"(?P<name>[^:|]{1,160}): (?P<value>\S{1,40})")
_STEPS = ("training_step", "global_step", "episode")
_COUNT = r" {2,120}(?P<number>\d{1,12}(?:\.\d)?)(?P<unit>[kmbt]?)(?= |$)"
_AGENT_STEPS, _EPOCH, _SPS = (later(rf"\b{word}{_COUNT}") for word in ("Steps", "Epoch", "SPS"))
_VALUE = later(r"(?P<name>[A-Za-z_][\w./-]{0,60}) {2,120}(?P<value>-?\d{1,12}\.\d{3}|nan|-?inf)(?= |$)")
_UNITS = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}


class Shown(NamedTuple):
    """The numbers of a panel; `step` is None when the panel states no step."""

    step: int | None
    values: dict[str, float]


class PrintedPanels:
    """Gathers the lines of a panel until its lower edge; `read` returns None for a panel without metrics."""

    def __init__(self, read: Callable[[str, list[str]], Shown | None]) -> None:
        self._read = read
        self._start: Piece | None = None
        self._lines: list[str] = []

    def take(self, piece: Piece, sink: Sink) -> None:
        text = piece.text.strip()
        if piece.broken:
            sink.reject(piece.line, piece.offset, piece.broken)
        elif _UPPER.fullmatch(text) is not None and piece.whole:
            self._start, self._lines = piece, []
        elif self._start is not None and text.startswith("\u2502") and len(self._lines) < MAX_LINES:
            self._lines.append(text[:MAX_WIDTH].strip("\u2502"))
        elif self._start is not None:
            if text.startswith("\u2570"):
                self._close(self._start, sink)
            self._start = None

    def finish(self, sink: Sink) -> None:
        start, self._start = self._start, None
        if start is not None and self._lines and self._read(start.text, self._lines) is not None:
            sink.reject(start.line, start.offset, "the panel has no lower edge", start.text)

    def _close(self, start: Piece, sink: Sink) -> None:
        shown = self._read(start.text, self._lines)
        if shown is None or not shown.values:
            return
        step = sink.step if shown.step is None else shown.step
        if step > MAX_STEP:
            sink.reject(start.line, start.offset, "the step is too large", start.text)
        else:
            sink.row(step, shown.values, phase=phase_of(shown.values))


def read_groups(title: str, lines: list[str]) -> Shown | None:
    """The numbers of a panel "Metrics" with a row for each group: `val   a: 1 | b: 2`. A long row continues on the next
    line."""
    if " Metrics " not in title:
        return None
    groups: dict[str, str] = {}
    last = ""
    for line in lines:
        found = _CATEGORY.fullmatch(line.rstrip())
        if found is not None:
            last = found["name"]
            groups[last] = found["text"]
        elif last:
            groups[last] += f" {line.strip()}"
    values: dict[str, float] = {}
    for group, text in groups.items():
        for part in text.split(" | "):
            pair = _PAIR.fullmatch(part.strip(" |"))
            value = number(pair["value"]) if pair is not None else None
            if pair is not None and value is not None:
                values[pair["name"] if group == "other" else f"{group}/{pair['name']}"] = value
    clock = next((key for key in _STEPS if key in values), None)
    return Shown(step_or_none(values.pop(clock)) if clock is not None else None, values)


def read_dashboard(title: str, lines: list[str]) -> Shown | None:  # noqa: ARG001 - as of `PanelConsole.reads`
    """The numbers of a dashboard with counts on the left, losses on the right and the environments below."""
    if not any("PufferLib" in line for line in lines[:2]):
        return None
    step: int | None = None
    values: dict[str, float] = {}
    group = "losses"
    for line in lines:
        group = "environment" if "User Stats" in line else group
        for pattern, key in ((_EPOCH, "0verview/epoch"), (_SPS, "0verview/SPS")):
            found = pattern.search(line)
            if found is not None:
                values[key] = _scaled(found)
        steps = _AGENT_STEPS.search(line)
        step = round(_scaled(steps)) if steps is not None else step
        shown = ((pair["name"], number(pair["value"])) for pair in _VALUE.finditer(line))
        values |= {f"{group}/{name}": value for name, value in shown if value is not None}
    return Shown(step, values) if step is not None else None


def _scaled(found: re.Match[str]) -> float:
    return float(found["number"]) * _UNITS[found["unit"]]


class PanelConsole(BaseAdapter):
    """The base of the adapters for panels. `told`: the fields of `Log` that name the trainer. `headed` stands in the
    head of each panel, `landmark` in the line of its count."""

    told: ClassVar[dict[str, Any]]
    headed: ClassVar[bytes]
    quality: ClassVar[int] = 40

    @staticmethod
    @abstractmethod
    def reads(title: str, lines: list[str]) -> Shown | None:
        """The numbers of a panel; None for a panel without metrics."""

    @classmethod
    def sniff(cls, file: File) -> int:
        if not file.is_text or cls.headed not in file.head:
            return 0
        rows = glimpse(PrintedPanels(cls.reads), file.head)
        return 90 if any(step and says_goal(values) for step, values, _ in rows) else 0

    @classmethod
    def marks(cls, line: bytes) -> bool:
        return cls.landmark in line and clean(line).lstrip().startswith("\u2502")

    def read(self) -> Log:
        reading = parse_file(self, PrintedPanels(type(self).reads))
        reading.notes.append(ROUNDED)
        return reading.log(**self.told)


@adapter
class OpenInstructConsole(PanelConsole):
    """Source: open-instruct, open_instruct/model_utils.py, `print_rich_single_line_metrics`."""

    name: ClassVar[str] = "open-instruct-console"
    describes: ClassVar[str] = "the panels of metrics that open-instruct prints"
    keeps: ClassVar[str] = "every metric of a step"
    loses: ClassVar[str] = "digits beyond two decimals; configuration"
    reads = staticmethod(read_groups)
    told: ClassVar[dict[str, Any]] = {"framework": "open_instruct", "dialect": "open_instruct"}
    headed: ClassVar[bytes] = b" Metrics "
    landmark: ClassVar[bytes] = b"step: "
    uncounted: ClassVar[bytes] = b"step: "
    lines: ClassVar[LineFormat | None] = LineFormat(
        source=lambda: TextRows(PrintedPanels(read_groups)),
        identify=lambda *_: {"framework": "open_instruct", "dialect": "open_instruct"},
    )


@adapter
class PufferLibConsole(PanelConsole):
    """PufferLib prints counts above a thousand as 65.5k or 3.3m, also the step. Source: PufferLib, clean_pufferl.py,
    `print_dashboard`."""

    name: ClassVar[str] = "pufferlib-console"
    describes: ClassVar[str] = "the dashboards that PufferLib prints"
    keeps: ClassVar[str] = "losses and numbers of the environments with three decimals, steps per second"
    loses: ClassVar[str] = "the step beyond its first digits, names that do not fit and are cut; configuration"
    reads = staticmethod(read_dashboard)
    told: ClassVar[dict[str, Any]] = {"framework": "pufferlib", "dialect": "pufferlib", "algorithm": "ppo"}
    headed: ClassVar[bytes] = b"PufferLib"
    landmark: ClassVar[bytes] = b"Steps  "
    uncounted: ClassVar[bytes] = b"Steps  "
    lines: ClassVar[LineFormat | None] = LineFormat(
        source=lambda: TextRows(PrintedPanels(read_dashboard)),
        identify=lambda *_: {"framework": "pufferlib", "dialect": "pufferlib", "algorithm": "ppo"},
    )
