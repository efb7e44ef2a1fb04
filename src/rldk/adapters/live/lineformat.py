"""Describes how to read a format line by line while it grows. It is a class variable of the adapter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from msgspec import Struct

from rldk.adapters.live.rowsource import RowSource
from rldk.adapters.naming.first_rows import Opening
from rldk.adapters.source import File
from rldk.core.table import Phase

OWN_NAMES = "flexible"  # the format of tables in the user's own names, which is loaded when nothing else fits
LogFacts = dict[str, Any]  # fields of `Log`: framework, dialect, algorithm, and notes on them


class LineFormat(Struct, frozen=True, kw_only=True):
    """How to read a format while it grows, as its adapter reads a finished file.

    `source`: makes the reader of the bytes. `identify`: finds the writer from the opening and from a text that may name
    the trainer. `joins`: a step may come in several rows. `phase`: finds the phase of a row from its keys. `keeps`:
    says whether a key is a metric. `configure`: finds the configuration in and beside the file. `guess`: gives
    {key: metric} beyond the user's map."""

    source: Callable[[], RowSource]
    identify: Callable[[Opening, str], LogFacts]
    joins: bool = False
    phase: Callable[[Iterable[str]], Phase] | None = None
    keeps: Callable[[str], bool] | None = None
    configure: Callable[[File], dict[str, Any]] | None = None
    guess: Callable[[Opening, Mapping[str, str]], Mapping[str, str]] | None = None


def by_keys(identity: Callable[[Iterable[str]], LogFacts]) -> Callable[[Opening, str], LogFacts]:
    return lambda opening, _: identity(opening.keys)
