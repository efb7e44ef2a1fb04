"""Reward data as columns, whatever it was read from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from rldk.core.records import score_number
from rldk.reward.texts import CodedTexts, HeldTexts, TextColumn

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
MOST_WHOLE = 1 << 53  # up to here a float tells every whole number from the next


class RawTable(Struct, kw_only=True):
    """The columns of a source under its own names. `rejected`: rows that could not be read, with reasons.

    `numbers`: the columns that are numbers already. `labels`: columns of names as codes, -1 where missing, with the
    names. `texts`: columns of text. `cells`: columns of anything; `parsed`: those that were read as numbers. `steps`:
    every row is a step of a log, no answer."""

    rows: int
    source: str = ""
    names: tuple[str, ...] = ()
    numbers: dict[str, Array] = field(default_factory=dict)
    labels: dict[str, tuple[Codes, Sequence[Any]]] = field(default_factory=dict)
    texts: dict[str, TextColumn] = field(default_factory=dict)
    cells: dict[str, Sequence[Any]] = field(default_factory=dict)
    rejected: int = 0
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    steps: bool = False
    parsed: dict[str, Array] = field(default_factory=dict)

    def number(self, name: str) -> Array:
        """The column as numbers; NaN for what is none."""
        if name in self.numbers:
            return self.numbers[name]
        if name in self.labels:
            codes, values = self.labels[name]
            told = np.array([_number(value) for value in values] + [math.nan])
            return told[codes]
        if name in self.cells or name in self.texts:
            if name not in self.parsed:
                values = self._values(name)
                self.parsed[name] = np.array([_number(value) for value in values], dtype=np.float64)
            return self.parsed[name]
        return np.full(self.rows, math.nan)

    def _values(self, name: str) -> Sequence[Any]:
        if name in self.texts:
            return self.texts[name].some(np.arange(self.rows, dtype=np.int64))
        return self.cells.get(name, ())

    def no_numbers(self, name: str) -> tuple[int, int, Any]:
        """How many cells of a column hold something that is no number, how many hold a number, and the first of the
        others. An empty cell and a NaN are neither."""
        if name in self.labels:
            codes, names = self.labels[name]
            values: Sequence[Any] = [names[code] if code >= 0 else None for code in codes.tolist()]
        else:
            values = self._values(name)
        number = self.number(name)
        odd = [
            value
            for row in np.flatnonzero(np.isnan(number)).tolist()
            if not is_empty(value := values[row]) and score_number(value) is None
        ]
        return len(odd), int(np.isfinite(number).sum()), odd[0] if odd else None

    def lists(self, name: str) -> Array | None:
        """The column of lists of numbers as shape (rows, length); NaN in rows whose list has another length than most.
        None where it holds no lists of two numbers or more."""
        cells = self.cells.get(name, ())
        found = [cell.tolist() if hasattr(cell, "tolist") else cell for cell in cells]
        sizes = [len(cell) if isinstance(cell, list | tuple) else 0 for cell in found]
        usual = max(set(sizes), key=sizes.count, default=0)
        if usual < 2:
            return None
        gap = [math.nan] * usual
        kept = [[_number(value) for value in cell] if size == usual else gap
                for cell, size in zip(found, sizes, strict=True)]  # fmt: skip
        return np.array(kept, dtype=np.float64)

    def codes(self, name: str) -> tuple[Codes, Sequence[Any]]:
        """The column as codes of its values, and the values by code; -1 for a missing one."""
        if name in self.labels:
            return self.labels[name]
        if name in self.numbers:
            values = self.numbers[name]
            there = np.isfinite(values)
            made = np.full(len(values), -1, dtype=np.int64)
            names, made[there] = np.unique(values[there], return_inverse=True)
            return made, [_word(value) for value in names.tolist()]
        return code_cells(self.cells[name])

    def text(self, name: str) -> TextColumn | None:
        """The column as text; None for a column of numbers."""
        if name in self.texts:
            return self.texts[name]
        if name in self.cells:
            return HeldTexts(self.cells[name])
        if name in self.labels:
            codes, values = self.labels[name]
            return CodedTexts(codes, values)
        return None

    def words(self, name: str) -> TextColumn:
        """The column as text, also where it is one of numbers: the names of `codes`."""
        text = self.text(name)
        return HeldTexts([_word(value) for value in self.numbers[name].tolist()]) if text is None else text


class PairTable(Struct, kw_only=True):
    """Pairs of answers: `margin` is the score of the chosen one minus that of the rejected one, shape (pairs,).

    `prompt`: codes of prompts. `length_gap`: length of the chosen answer minus that of the rejected one. `split`: 0 for
    training, 1 for validation, -1 for others. `chosen`, `rejected`: rows of the samples."""

    margin: Array
    prompt: Codes | None = None
    length_gap: Array | None = None
    split: Codes | None = None
    source: str = "pairs of a chosen and a rejected answer"


class ScoreTable(Struct, kw_only=True):
    """One row for each scored answer; None for what the data lacks. Arrays have shape (samples,).

    `group`: answers to one prompt at one step, -1 where unknown; `prompt`: the same whatever the step. `counted`:
    lengths are tokens that the data states. `scorers`: the scores of each scorer of an ensemble, shape (samples,
    scorers). `single`: every row is a step of a log, no answer."""

    reward: Array
    step: Array | None = None
    prompt: Codes | None = None
    group: Codes | None = None
    responses: TextColumn | None = None
    prompts: TextColumn | None = None
    length: Array | None = None
    counted: bool = False
    label: Array | None = None
    gold: Array | None = None
    split: Codes | None = None
    position: Array | None = None
    kl: Array | None = None
    pairs: PairTable | None = None
    scorers: Array | None = None
    scorer_names: tuple[str, ...] = ()
    single: bool = False
    columns: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    rejected: int = 0
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.reward)


def is_empty(value: Any) -> bool:
    """Whether a cell holds nothing: None, a blank text, an empty list or object."""
    return value is None or (
        not value.strip() if isinstance(value, str) else isinstance(value, list | dict | tuple) and not value
    )


def code_cells(cells: Sequence[Any]) -> tuple[Codes, list[str]]:
    """Codes of the values in the order in which they appear, and the values; -1 for a missing one."""
    from rldk.core.samples import text_of

    seen: dict[str, int] = {}
    made = np.full(len(cells), -1, dtype=np.int64)
    for row, value in enumerate(cells):
        if value is None or (isinstance(value, float) and value != value):
            continue
        text = value if isinstance(value, str) else text_of(value) or ""
        made[row] = seen.setdefault(text, len(seen))
    return made, list(seen)


def _word(value: float) -> str | None:
    """The number as a name: a whole one with all of its digits, as JSON lines and CSV write it."""
    if not math.isfinite(value):
        return None
    return str(int(value)) if value.is_integer() and abs(value) < MOST_WHOLE else f"{value:.12g}"


def _number(value: Any) -> float:
    if isinstance(value, bool):
        return float(value)
    try:
        found = score_number(value)
    except (ValueError, OverflowError):
        return math.nan
    return math.nan if found is None else found
