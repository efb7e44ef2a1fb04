"""Reads what a replica measured: from its folder, from what it wrote beside itself, or from what it printed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from msgspec import Struct

from rldk.adapters.open import open_runs
from rldk.core.model import Run
from rldk.core.vocabulary import vocabulary
from rldk.engine.replicas.launch import STDERR, STDOUT
from rldk.errors import InputError, RldkError, UnknownName

OUT, WRITTEN = "out", "written"
PLACES = {  # where metrics are looked for, best first -> in words
    OUT: "the files in {out}",
    WRITTEN: "the files that it wrote",
    STDOUT: "what it printed",
    STDERR: "what it printed on stderr",
}
_TIMES = frozenset({"seconds", "tokens/s", "1/s", "GiB"})  # units of what differs between any two runs
_CLOCK = re.compile(
    r"(?:^|[^a-z])(?:time|times|timestamp|wall|clock|elapsed|eta|duration|runtime|seconds|secs|sec|ms|fps|sps|speed|"
    r"throughput|latency|mfu|tflops|memory|mem|rss|vram|gpu|cpu|util)(?:[^a-z]|$)|per_sec|_s$|_ms$|it/s"
)


class ReplicaMetrics(Struct, frozen=True, kw_only=True):
    """What one replica measured. `run` is None where nothing could be read; `reason` then says why. `place`: one of
    `PLACES`."""

    run: Run | None = None
    place: str = ""
    reason: str = ""


def read_metrics(folder: Path, wanted: Sequence[str] | None, prefer: str = "") -> ReplicaMetrics:
    """The metrics of the replica in `folder`: from the place that has most of the wanted ones, and of several with as
    many from the first. `prefer`: the only place to look at, where the first replica had its metrics."""
    found: list[tuple[tuple[int, bool], str, Run]] = []
    reasons: list[str] = []
    for place in [prefer] if prefer else PLACES:
        path = folder / place
        if not _holds_anything(path):
            continue
        try:
            runs = open_runs(str(path))
        except RldkError as error:
            reasons.append(f"{PLACES[place]} could not be read as metrics: {error.message}")
            continue
        run = max(runs, key=lambda one: (_score(one, wanted), len(one.metrics)))
        if len(run.metrics) and _score(run, None):
            several = len(run.metrics) > 1  # a saved state with its step looks like a log of one row
            found.append(((_score(run, wanted) if wanted else 0, several), place, run))
    if not found:
        return ReplicaMetrics(reason=reasons[0] if reasons else "it wrote and printed nothing")
    best = max(score for score, _, _ in found)
    _, place, run = next(one for one in found if one[0] == best)
    return ReplicaMetrics(run=run, place=place)


def _holds_anything(path: Path) -> bool:
    try:
        return any(path.iterdir()) if path.is_dir() else path.stat().st_size > 0
    except OSError:
        return False


def metrics_to_compare(run: Run, wanted: Sequence[str] | None) -> tuple[str, ...]:
    """The columns to compare: those that are wanted, or all but times, speeds and memory.

    Raises `UnknownName` for one that the run does not have, and `InputError` where nothing is left."""
    columns = run.metrics.columns
    if wanted is None:
        chosen = tuple(name for name in columns if not is_clock(name, run.meta.names.get(name, "")))
        if not chosen:
            raise InputError("the replicas measured nothing but times", hint="print a loss or a reward at each step")
        return chosen
    return tuple(dict.fromkeys(_column(run, name) for name in wanted))


def is_clock(name: str, own: str = "") -> bool:
    """Whether a metric is a time, a speed or memory, which differ between any two runs."""
    known = vocabulary().canonical(name)
    if known is not None:
        return vocabulary().metric(known).unit in _TIMES
    return any(_CLOCK.search(word.lower()) is not None for word in (name, own) if word)


def decimals_of(run: Run, metrics: Sequence[str]) -> int | None:
    """With how many decimals the values are written; None where some are written in full."""
    most = 0
    for name in metrics:
        values = run.metrics.columns[name]
        for value in values[np.isfinite(values)][:200].tolist():
            digits = repr(value)
            if "e" in digits:
                return None
            most = max(most, len(digits.rpartition(".")[2]))
            if most > _FULL:
                return None
    return most


_FULL = 6  # a value with more decimals was not rounded for a reader


def _score(run: Run, wanted: Sequence[str] | None) -> int:
    """How many of the wanted metrics a run has; without a wish, how many that are no times."""
    if wanted is None:
        return sum(not is_clock(name, run.meta.names.get(name, "")) for name in run.metrics.columns)
    return sum(name in _names(run) for name in _spellings(wanted))


def _spellings(wanted: Sequence[str]) -> Iterator[str]:
    for name in wanted:
        yield vocabulary().canonical(name) or name


def _names(run: Run) -> dict[str, str]:
    """Each name under which a column is known -> the column."""
    return {**{own: name for name, own in run.meta.names.items()}, **{name: name for name in run.metrics.columns}}


def _column(run: Run, name: str) -> str:
    names = _names(run)
    for spelled in (name, vocabulary().canonical(name) or name):
        if spelled in names and names[spelled] in run.metrics.columns:
            return names[spelled]
    raise UnknownName("metric of the replicas", name, names)
