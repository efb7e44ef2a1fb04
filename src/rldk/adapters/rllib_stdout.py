"""Ray Tune on the terminal: "Result for TRIAL:" and the result as an indented tree, at most every few seconds."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from rldk.adapters.base import BaseAdapter, Log, adapter
from rldk.adapters.console import Piece, number, pieces
from rldk.adapters.reading import Reading, only_file
from rldk.adapters.rllib import CLOCK, identity, is_metric
from rldk.adapters.source import File
from rldk.core.records import BadLine, to_step, to_time

_TITLE = re.compile(r"Result for (?P<trial>\S+):")
_LEAF = re.compile(r"(?P<indent> +)(?P<key>[^\s:-][^:]*):(?: (?P<value>.*))?")
_HEAD_TITLE = re.compile(rb"(?:^|[\r\n])Result for \S+:\r?\n  +\S")
_SPECIAL = {".nan": math.nan, ".inf": math.inf, "-.inf": -math.inf, "true": 1.0, "false": 0.0}


@dataclass(slots=True)
class Block:
    """A printed result: whose it is, where it begins, its leaves by flat key, and the branches that are open."""

    trial: str
    start: Piece
    leaves: dict[str, str] = field(default_factory=dict)
    branches: list[tuple[int, str]] = field(default_factory=list)

    def leaf(self, indent: int, key: str, value: str) -> None:
        while self.branches and self.branches[-1][0] >= indent:
            self.branches.pop()
        path = "/".join([*(name for _, name in self.branches), key.strip("'\"")])
        if value:
            self.leaves[path] = value
        elif len(self.branches) < 16:
            self.branches.append((indent, key.strip("'\"")))


@adapter
class RLlibStdout(BaseAdapter):
    """A line of the log is a result. Tune leaves results out that come too fast, so that iterations are missing."""

    name: ClassVar[str] = "rllib-stdout"
    describes: ClassVar[str] = "results that Ray Tune prints for RLlib"
    quality: ClassVar[int] = 30

    @classmethod
    def sniff(cls, file: File) -> int:
        if not file.is_text:
            return 0
        if _HEAD_TITLE.search(file.head):
            return 90 if CLOCK.encode() in file.head else 60
        return 50 if b"== Status ==" in file.head and b"Number of trials: " in file.head else 0

    @classmethod
    def runs(cls, file: File) -> list[str]:
        """The trials whose results are printed, in the order of their first."""
        found = (_TITLE.fullmatch(piece.text) for piece in pieces(file))
        return list(dict.fromkeys(title["trial"] for title in found if title is not None))

    def read(self) -> Log:
        reading = Reading(self)
        wanted = self.options.get("run")
        others: set[str] = set()
        for block in _blocks(only_file(self), reading):
            wanted = wanted or block.trial
            if block.trial == wanted:
                _take(reading, block)
            else:
                others.add(block.trial)
        if others and not self.options.get("run"):
            reading.notes.append(f"the results of {len(others)} other trials were not read, such as {min(others)}")
        return reading.log(**identity(reading.keys))


def _blocks(file: File, reading: Reading) -> Iterator[Block]:
    block: Block | None = None
    for piece in pieces(file):
        title, leaf = _TITLE.fullmatch(piece.text), _LEAF.fullmatch(piece.text)
        if piece.broken:
            reading.reject(piece.line, piece.offset, piece.broken)
        elif title is not None:
            if block is not None:
                yield block
            block = Block(title["trial"], piece)
        elif block is not None and leaf is not None:
            if piece.whole:  # else the number may be cut
                block.leaf(len(leaf["indent"]), leaf["key"], leaf["value"] or "")
        elif block is not None and not piece.text.startswith(" "):
            yield block
            block = None
    if block is not None:
        yield block


def _take(reading: Reading, block: Block) -> None:
    try:
        step = to_step(block.leaves.get(CLOCK))
    except BadLine as error:
        reading.reject(block.start.line, block.start.offset, str(error), block.start.text)
        return
    if step is None:
        reading.reject(block.start.line, block.start.offset, f"a result cut off before {CLOCK}", block.start.text)
        return
    numbers = {k: _SPECIAL[t] if t in _SPECIAL else number(t) for k, t in block.leaves.items() if is_metric(k)}
    values = {key: value for key, value in numbers.items() if value is not None and key != CLOCK}
    reading.row(step, values, time=to_time(block.leaves.get("timestamp")))
