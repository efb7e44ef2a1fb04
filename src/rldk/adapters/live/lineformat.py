"""How a format is read line by line while it grows: a class variable of its adapter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from msgspec import Struct

from rldk.adapters.live.rowsource import RowSource
from rldk.adapters.naming.first_rows import Opening
from rldk.adapters.source import File
from rldk.core.table import Phase

Told = dict[str, Any]  # fields of `Log`: framework, dialect, algorithm, and notes on them


class LineFormat(Struct, frozen=True, kw_only=True):
    """How a format is read while it grows; what its adapter does with a finished file.

    `source`: makes the reader of its bytes. `identify`: what the opening, and a text that may name the trainer, tell of
    the writer. `joins`: a step may be written in several rows. `phase`: of a row, by its keys. `keeps`: which keys are
    metrics. `configure`: the configuration in and beside the file. `guess`: {key: metric} beyond the user's map."""

    source: Callable[[], RowSource]
    identify: Callable[[Opening, str], Told]
    joins: bool = False
    phase: Callable[[Iterable[str]], Phase] | None = None
    keeps: Callable[[str], bool] | None = None
    configure: Callable[[File], dict[str, Any]] | None = None
    guess: Callable[[Opening, Mapping[str, str]], Mapping[str, str]] | None = None


def by_keys(identity: Callable[[Iterable[str]], Told]) -> Callable[[Opening, str], Told]:
    return lambda opening, _: identity(opening.keys)
