"""Logs whose columns have names of the user's own: which metrics they most likely are."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from typing import ClassVar

from rldk.adapters.base import BaseAdapter, Log, adapters
from rldk.adapters.source import File
from rldk.core.model import Run
from rldk.core.vocabulary import vocabulary
from rldk.errors import NotALog

_CLOSE = 0.82  # of difflib: "avg_reward" and "mean_reward" are closer, "accuracy" and "action_entropy" are not
_FILLER = frozenset(
    {"my", "avg", "average", "mean", "the", "train", "training", "current", "cur", "total", "value", "val"}
)
_NOT_METRICS = frozenset({"step", "epoch", "time", "timestamp", "wall_time", "seed", "index", "iteration"})


def proposed_map(keys: Iterable[str]) -> dict[str, str]:
    """{column: canonical metric} for those columns whose names come close to one, no metric twice."""
    words = vocabulary()
    spellings = {name: name for name in words.names()}
    spellings |= {other: m.name for m in words.metrics.values() for other in m.also_known_as}
    forms = {" ".join(_tokens(spelling)): name for spelling, name in spellings.items()}
    made: dict[str, str] = {}
    for key in sorted(keys, key=lambda k: (len(k), k)):
        if key.lower() in _NOT_METRICS or len(key) > 100:
            continue
        tokens = _tokens(key)
        name = forms.get(" ".join(tokens)) or _nearest(tokens, forms)
        if name and name not in made.values() and name not in _NOT_METRICS:
            made[key] = name
    return made


def _tokens(name: str) -> list[str]:
    split = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    words = [w for w in re.split(r"[^a-z0-9]+", split.lower()) if w]
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
    """Any JSONL, CSV or Parquet: names that are not known are taken for the metric they come closest to."""

    name: ClassVar[str] = "flexible"
    describes: ClassVar[str] = "JSONL, CSV or Parquet with column names of the user's own"
    quality: ClassVar[int] = 10
    formats: ClassVar[tuple[str, ...]] = ("jsonl", "csv", "parquet")

    @classmethod
    def sniff(cls, file: File) -> int:
        return max((adapters.get(name).sniff(file) for name in cls.formats), default=0)

    def read(self) -> Log:
        scored = [(adapters.get(name).sniff(self.files[0]), name) for name in self.formats if self.files]
        if not scored or max(scored)[0] == 0:
            raise NotALog(
                f"{self.source} is neither JSONL nor CSV nor Parquet", hint="rldk format-info lists the formats"
            )
        return adapters.get(max(scored)[1])([f.path for f in self.files], **self.options).read()

    def load_run(self) -> Run:
        from rldk.adapters.normalise import to_run

        log = self.read()
        given = dict(self.options.get("field_map") or {})
        run = to_run(log, adapter=self, field_map=given)
        known = {*run.meta.names.values(), *given, *given.values()}
        guess = {k: v for k, v in proposed_map(log.table.columns).items() if k not in known and v not in run.meta.names}
        return to_run(log, adapter=self, field_map=given | guess)
