"""Evaluation data as columns, whatever it was read from."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from msgspec import Struct, field
from msgspec.structs import replace
from numpy.typing import NDArray

from rldk.core.external.text_cells import Mapped
from rldk.core.records import score_number
from rldk.core.samples import text_of
from rldk.core.stats.clustered import Labels

Array = NDArray[np.float64]
YES = frozenset({"true", "yes", "y", "t", "pass", "passed", "correct", "refused", "c"})
NO = frozenset({"false", "no", "n", "f", "fail", "failed", "incorrect", "wrong", "i"})


class EvalTable(Struct, kw_only=True):
    """Columns of equal length, by field. `columns`: field -> the name in the source. `rejected`: records that could not
    be read, with reasons. `filters`: the mean score under each filter, where the answers were graded through several of
    them and one of these was taken. `hollow`: field -> "NaN" or "null", for columns that are there and hold nothing
    else. `per_step`: every row is a step of a log, no answer. `run`: the run that the rows come from, where they do; it
    is not used by checks of single answers."""

    rows: int
    cells: dict[str, Sequence[Any]] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    source: str = ""
    form: str = "table"
    rejected: int = 0
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    filters: Mapping[str, float] = field(default_factory=dict)
    hollow: Mapping[str, str] = field(default_factory=dict)
    per_step: bool = False
    run: Any = None

    def has(self, need: str) -> bool:
        """Whether one of the fields, which a "|" separates, is there and not empty throughout; "run" is a run."""
        return any(part in self.cells or (part == "run" and self.run is not None) for part in need.split("|"))

    def number(self, name: str) -> Array:
        """The field as numbers, shape (rows,); NaN for what is none or missing. An infinity is NaN."""
        if name not in self.cells:
            return np.full(self.rows, math.nan)
        found = np.array([_number(value) for value in self.cells[name]], dtype=np.float64)
        found[~np.isfinite(found)] = math.nan
        return found

    def flag(self, name: str) -> Array:
        """The field as 0 and 1, shape (rows,); NaN for what is neither. A share counts as 1 above one half."""
        if name not in self.cells:
            return np.full(self.rows, math.nan)
        return np.array([_flag(value) for value in self.cells[name]], dtype=np.float64)

    def texts(self, name: str) -> Sequence[str | None]:
        """The field as texts; None where it is missing. A long column is read from its file as it is used."""
        cells = self.cells.get(name, [None] * self.rows)
        return [_text(value) for value in cells] if isinstance(cells, list) else Mapped(cells, _text)

    def labels(self, name: str) -> Labels:
        """The field as codes from 0, in the order of appearance; -1 where it is missing."""
        seen: dict[str, int] = {}
        made = np.full(self.rows, -1, dtype=np.int64)
        for row, value in enumerate(self.cells.get(name, ())):
            if _there(value):
                made[row] = seen.setdefault(_key(value), len(seen))
        return made

    def names_of(self, name: str) -> list[str]:
        """The values of a field, by the codes of `labels`."""
        return list(dict.fromkeys(_key(v) for v in self.cells.get(name, ()) if _there(v)))

    def clusters(self) -> Labels | None:
        """The prompt of each row as a code: its id, else a hash of its text, else its probe; None without all three. A
        row that lacks it is a cluster of its own."""
        name = next((part for part in ("prompt_id", "prompt", "probe") if part in self.cells), None)
        if name is None:
            return None
        made = self.labels(name)
        lone = made < 0
        if lone.any():
            made[lone] = int(made.max(initial=-1)) + 1 + np.arange(int(lone.sum()))
        return made

    def keys(self) -> list[str] | None:
        """What a row is paired by: the prompt's id, else its text; None without both."""
        name = next((part for part in ("prompt_id", "prompt") if part in self.cells), None)
        return None if name is None else [_key(v) if _there(v) else "" for v in self.cells[name]]

    def some(self, rows: NDArray[np.int64]) -> EvalTable:
        """The table of these rows."""
        cells: dict[str, Sequence[Any]] = {
            name: [values[row] for row in rows.tolist()] for name, values in self.cells.items()
        }
        return replace(self, rows=len(rows), cells=cells)


def digest(text: str) -> str:
    """A short hash of a text, for a key."""
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=12).hexdigest()


def _text(value: Any) -> str | None:
    return text_of(value) if _there(value) else None


def _there(value: Any) -> bool:
    return value is not None and value == value if not isinstance(value, list | dict) else True


def _key(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = value if isinstance(value, str) else text_of(value) or ""
    return text if len(text) <= 64 else digest(text)


def _number(value: Any) -> float:
    if isinstance(value, bool | np.bool_):
        return float(value)
    if isinstance(value, str):
        word = value.strip().lower()
        if word in YES or word in NO:
            return float(word in YES)
    try:
        found = score_number(value)
    except (ValueError, OverflowError):
        return math.nan
    return math.nan if found is None else found


def _flag(value: Any) -> float:
    found = _number(value)
    return math.nan if found != found else float(found > 0.5)
