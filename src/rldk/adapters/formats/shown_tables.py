"""Reads the tables that a training leaves on a page: the progress table of transformers and that of a model card."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from msgspec.structs import replace

from rldk.adapters.base import BaseAdapter, adapter
from rldk.adapters.formats import dialect, trl
from rldk.adapters.log import Log
from rldk.adapters.naming.goals import says_goal
from rldk.adapters.reading import Reading, only_file
from rldk.adapters.source import File
from rldk.adapters.wire.cells import Sheet, sheets
from rldk.adapters.wire.console import number
from rldk.core.records import MAX_STEP
from rldk.core.stream import BrokenStream, chunks
from rldk.core.text import later

MAX_PAGE = 64 << 20  # bytes of a page to read; a notebook as Markdown with pictures seldom has a table
MAX_TEXT = 1 << 20  # characters to search for the name of the trainer
_STEPS = ("step", "steps", "global step", "global_step", "iteration", "episode", "epoch")
_OWN = {"training loss": "loss", "train loss": "loss", "validation loss": "eval_loss", "eval loss": "eval_loss"}
_TOTAL = later(r"<progress value='\d{1,18}' max='(?P<total>\d{1,18})'")
_WHOLE = later(r"\d{1,3}(?:,\d{3})+|\d{1,18}(?:\.0+)?")


def clock(sheet: Sheet) -> int | None:
    """The column that counts the steps of a training: it has a name for steps, and whole numbers that never fall."""
    names = [name.lower() for name in sheet.header]
    for word in _STEPS:
        if word in names:
            column = names.index(word)
            counts = [row[column] for row in sheet.rows]
            if len(counts) > 1 and all(map(_WHOLE.fullmatch, counts)):
                steps = [_count(text) for text in counts]
                return column if steps == sorted(steps) and steps[-1] > steps[0] else None
    return None


def is_training(sheet: Sheet) -> bool:
    """Whether the table comes from a training: it counts steps and has a loss, a reward or a similar column."""
    return clock(sheet) is not None and says_goal(sheet.header)


def put_rows(sheet: Sheet, reading: Reading) -> None:
    """Puts out the rows of a table. The values of an evaluation make a row of their own. In a table with a validation
    loss, names in capitals belong to the evaluation."""
    column = clock(sheet)
    if column is None:
        return
    validated = any(_OWN.get(name.lower()) == "eval_loss" for name in sheet.header)
    keys = [key_of(name, validated=validated) for name in sheet.header]
    for row in sheet.rows:
        step = _count(row[column])
        found = {key: number(text) for i, (key, text) in enumerate(zip(keys, row, strict=True)) if i != column and key}
        values = {key: value for key, value in found.items() if value is not None}
        evaluated = {key: value for key, value in values.items() if key.startswith("eval_")}
        trained = {key: value for key, value in values.items() if key not in evaluated}
        if not values or step > MAX_STEP:
            reading.reject(0, sheet.offset, "the row has no number", " ".join(row))
            continue
        if any(key != "epoch" for key in trained):
            reading.row(step, trained)
        if evaluated:
            reading.row(step, evaluated, phase="eval")


def key_of(name: str, *, validated: bool) -> str:
    """The key from which transformers made this heading: "completions / mean_length", "Rewards/chosen"."""
    lower = name.lower()
    if lower in _OWN:
        return _OWN[lower]
    key = re.sub(r" ?/ ?", "/", name)
    if validated and key[:1].isupper() and lower != "epoch":
        return "eval_" + key.lower().replace(" ", "_")
    return key.lower() if lower in ("epoch", "step") else key


def total_steps(text: str) -> int | None:
    """The number of steps of the last progress bar on a page."""
    found = [int(bar["total"]) for bar in _TOTAL.finditer(text)]
    return found[-1] if found else None


@adapter
class ShownTables(BaseAdapter):
    """Reads the rows of all tables of one training on a page, in order. A table whose steps begin again is a
    restart."""

    name: ClassVar[str] = "page-table"
    describes: ClassVar[str] = "tables of steps and losses on a Markdown or HTML page"
    quality: ClassVar[int] = 30
    landmark: ClassVar[bytes] = b"Training Loss"
    uncounted: ClassVar[bytes] = b"Training Loss"
    keeps: ClassVar[str] = "every number that is shown: six decimals in a notebook, four in a model card"
    loses: ClassVar[str] = "metrics without a column in the table; wall time; configuration"

    @classmethod
    def sniff(cls, file: File) -> int:
        head = file.head
        shown = b"<table" in head or b"|-" in head or b"| -" in head or b"|:-" in head
        if not file.is_text or not shown or head.lstrip()[:1] == b"{":
            return 0
        return 65 if any(map(is_training, sheets(head.decode("utf-8", "replace")))) else 0

    @classmethod
    def marks(cls, line: bytes) -> bool:
        return b"Training Loss" in line and (b"<th>" in line or line.lstrip().startswith(b"|"))

    def read(self) -> Log:
        return page_log(_text(only_file(self)), self)


def page_log(page: str, adapter: BaseAdapter) -> Log:
    """The log in the training tables of a page. Raises `NoData` when there is no such table."""
    reading = Reading(adapter)
    shown = list(_trainings(page))
    for sheet in shown:
        put_rows(sheet, reading)
    log = reading.log()
    own = any(name.lower() in _OWN for sheet in shown for name in sheet.header)
    log = trl.with_identity(log, text=page[:MAX_TEXT]) if own else dialect.with_identity(log)
    return replace(log, total_steps=total_steps(page))


def _trainings(text: str) -> Iterator[Sheet]:
    return (sheet for sheet in sheets(text) if is_training(sheet))


def _text(file: File) -> str:
    data = bytearray()
    try:
        for chunk in chunks(file):
            data += chunk
            if len(data) > MAX_PAGE:
                break
    except BrokenStream:
        pass
    return bytes(data[:MAX_PAGE]).decode("utf-8", "replace")


def _count(text: str) -> int:
    return int(float(text.replace(",", "")))
