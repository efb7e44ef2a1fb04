"""Logs whose columns have names of the user's own: which metrics they most likely are."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Iterable, Mapping
from typing import ClassVar

from rldk.adapters.base import BaseAdapter, Log, adapters
from rldk.adapters.delimited import beginning, cell, records
from rldk.adapters.opening import Opening, opening_of
from rldk.adapters.reading import only_file, parsed
from rldk.adapters.source import File
from rldk.adapters.tabular import CsvTable, layout_of
from rldk.core.model import Run
from rldk.core.table import MAX_METRICS, MetricTable
from rldk.core.vocabulary import vocabulary
from rldk.errors import NoData, NotALog

MAX_BYTES = 256 << 20  # of a JSON array, which is read whole
_LINES = 20  # a header and rows, one of which must have a number
_LOOKED_AT = 300  # columns compared letter by letter, a millisecond each
_CLOSE = 0.82  # of difflib: "avg_reward" and "mean_reward" are closer, "accuracy" and "action_entropy" are not
_FILLER = frozenset(
    {"my", "avg", "average", "mean", "the", "train", "training", "current", "cur", "total", "value", "val"}
)
_NOT_METRICS = frozenset({"step", "epoch", "time", "timestamp", "wall_time", "seed", "index", "iteration"})


def proposed_map(keys: Iterable[str], *, close: bool = True) -> dict[str, str]:
    """{column: canonical metric} for the columns that say one in other words ("avg_reward"), no metric twice.

    `close`: also those that merely look like one ("los"): good enough to propose, never to judge a run by."""
    words = vocabulary()
    spellings = {name: name for name in words.names()}
    spellings |= {other: m.name for m in words.metrics.values() for other in m.also_known_as}
    forms = {" ".join(_words(spelling)): name for spelling, name in spellings.items()}
    forms = {" ".join(_tokens(spelling)): name for spelling, name in reversed(spellings.items())} | forms
    made: dict[str, str] = {}
    for tried, key in enumerate(sorted(keys, key=lambda k: (len(k), k))):
        if key.lower() in _NOT_METRICS or len(key) > 100:
            continue
        tokens = _tokens(key)
        name = forms.get(" ".join(_words(key))) or forms.get(" ".join(tokens))
        if name is None and close and tried < _LOOKED_AT:
            name = _nearest(tokens, forms)
        if name and name not in made.values() and name not in _NOT_METRICS:
            made[key] = name
    return made


def _words(name: str) -> list[str]:
    split = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    return [w for w in re.split(r"[^a-z0-9]+", split.lower()) if w]


def _tokens(name: str) -> list[str]:
    """The words of a name without those that say little."""
    words = _words(name)
    return [w for w in words if w not in _FILLER] or words


def _nearest(tokens: list[str], forms: Mapping[str, str]) -> str | None:
    close = difflib.get_close_matches(" ".join(tokens), list(forms), n=1, cutoff=_CLOSE)
    return forms[close[0]] if close else None


def field_map_hint(run: Run) -> str:
    """What to tell a user whose columns were not recognised: a ready `--field-map`, or how to write one."""
    guess = proposed_map(run.metrics.columns)
    if guess:
        return f"if these are right, say so: --field-map '{json.dumps(guess)}'"
    shown = ", ".join(list(run.metrics.columns)[:8])
    return f'name the columns yourself, for example --field-map \'{{"COLUMN": "reward_mean"}}\'; columns are {shown}'


class FlexibleAdapter(BaseAdapter):
    """Any table of numbers as text or Parquet: a name that says a metric in other words is taken for it.

    A CSV, or a JSON array of objects, needs no column of steps here: without one the row number counts."""

    name: ClassVar[str] = "flexible"
    describes: ClassVar[str] = "JSONL, CSV or Parquet with column names of the user's own"
    quality: ClassVar[int] = 10
    formats: ClassVar[tuple[str, ...]] = ("jsonl", "csv", "parquet")

    @classmethod
    def sniff(cls, file: File) -> int:
        known = max((adapters.get(name).sniff(file) for name in cls.formats if name in adapters), default=0)
        return known or (5 if file.is_text and (_is_array(file.head) or loose_columns(file)) else 0)

    def read(self) -> Log:
        file = only_file(self)
        scored = [(adapters.get(name).sniff(file), name) for name in self.formats if name in adapters]
        confidence, name = max(scored, default=(0, ""))
        if confidence > 0:
            return adapters.get(name)([file.path], **self.options).read()
        if loose_columns(file):
            return parsed(self, CsvTable(counted=True), records).log()
        return Log(table=_array_table(file, self.source))

    def load_run(self) -> Run:
        from rldk.adapters.normalise import to_run

        log = self.read()
        given = dict(self.options.get("field_map") or {})
        return to_run(log, adapter=self, field_map=given | guessed(opening_of(log.table).keys, given))


def loose_columns(file: File) -> list[str]:
    """The names in the header of a text that is a table of numbers; empty when it is none."""
    if not file.is_text or file.head.lstrip().startswith((b"{", b"[", b"#")):
        return []
    header, *rows = [[text.strip() for text in record.values] for record in beginning(file.head, _LINES)] or [[]]
    if not 1 < len(header) <= MAX_METRICS or any(cell(name) is not None for name in header):
        return []
    numbers = any(len(row) == len(header) and any(cell(text) is not None for text in row) for row in rows)
    return header if numbers and layout_of(header, counted=True) is not None else []


def says_metric(columns: Collection[str]) -> bool:
    """Whether one of these columns is a metric, by its name or by other words for it."""
    from rldk.adapters.naming import Hints, Naming

    return bool(Naming(Opening.of(columns), Hints()).names or proposed_map(columns, close=False))


def guessed(keys: Collection[str], given: Mapping[str, str]) -> dict[str, str]:
    """{key: metric} for the keys that say one in other words, where no key has its name and the user says nothing."""
    from rldk.adapters.naming import Hints, Naming

    named = Naming(Opening.of(keys), Hints(field_map=given)).names
    known = {*named.values(), *given, *given.values()}
    sure = proposed_map(keys, close=False)
    return {key: name for key, name in sure.items() if key not in known and name not in named}


def _is_array(head: bytes) -> bool:
    return head.lstrip(b"\xef\xbb\xbf \r\n\t")[:1] == b"["


def _array_table(file: File, source: str) -> MetricTable:
    """A JSON array of objects, with the row number for a step where no key is one."""
    import pandas as pd

    from rldk.adapters.frame import frame_table

    if not file.is_text or not _is_array(file.head):
        raise NotALog(f"{source} is neither JSON nor CSV nor Parquet", hint="see rldk format-info")
    try:
        with file.open() as stream:
            frame = pd.DataFrame([row for row in json.loads(stream.read(MAX_BYTES)) if isinstance(row, dict)])
    except (ValueError, OSError, EOFError, RecursionError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise NotALog(f"{source} is no table: {why}", hint="see rldk format-info") from None
    table = frame_table(frame)
    if not len(table) or not table.columns:
        raise NoData(f"{source} has no numbers", hint="a column of numbers with a name on top is needed")
    return table
