"""Logs whose columns have names of the user's own: which metrics they most likely are."""

from __future__ import annotations

import csv
import difflib
import json
import re
from collections.abc import Iterable, Mapping
from typing import ClassVar

from rldk.adapters.base import BaseAdapter, Log, adapters
from rldk.adapters.reading import only_file
from rldk.adapters.source import File
from rldk.core.model import Run
from rldk.core.table import MetricTable
from rldk.core.vocabulary import vocabulary
from rldk.errors import NoData, NotALog

MAX_BYTES = 256 << 20  # of a JSON array, which is read whole
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
        return known or (5 if file.is_text and _is_table(file.head) else 0)

    def read(self) -> Log:
        file = only_file(self)
        scored = [(adapters.get(name).sniff(file), name) for name in self.formats if name in adapters]
        confidence, name = max(scored, default=(0, ""))
        if confidence > 0:
            return adapters.get(name)([file.path], **self.options).read()
        return Log(table=_loose_table(file, self.source))

    def load_run(self) -> Run:
        from rldk.adapters.normalise import to_run

        log = self.read()
        given = dict(self.options.get("field_map") or {})
        run = to_run(log, adapter=self, field_map=given)
        known = {*run.meta.names.values(), *given, *given.values()}
        sure = proposed_map(log.table.columns, close=False)
        guess = {k: v for k, v in sure.items() if k not in known and v not in run.meta.names}
        return to_run(log, adapter=self, field_map=given | guess)


def _is_table(head: bytes) -> bool:
    first = head.lstrip(b"\xef\xbb\xbf \r\n\t").split(b"\n", 1)
    return head.lstrip()[:1] == b"[" or (
        len(first) > 1 and any(d in first[0] and d in first[1] for d in (b",", b"\t", b";"))
    )


def _loose_table(file: File, source: str) -> MetricTable:
    """A JSON array of objects, or delimited text, with the row number for a step where no column is one."""
    import pandas as pd

    from rldk.adapters.frame import frame_table

    if not file.is_text or not _is_table(file.head):
        raise NotALog(f"{source} is neither JSON nor CSV nor Parquet", hint="see rldk format-info")
    try:
        with file.open() as stream:
            if file.head.lstrip()[:1] == b"[":
                frame = pd.DataFrame([row for row in json.loads(stream.read(MAX_BYTES)) if isinstance(row, dict)])
            else:
                frame = pd.read_csv(stream, sep=None, engine="python", encoding_errors="replace", on_bad_lines="skip")
    except (ValueError, OSError, EOFError, RecursionError, csv.Error) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise NotALog(f"{source} is no table: {why}", hint="see rldk format-info") from None
    table = frame_table(frame)
    if not len(table) or not table.columns:
        raise NoData(f"{source} has no numbers", hint="a column of numbers with a name on top is needed")
    return table
