"""The runs of a comparison, opened, and the groups of those that differ in their seeds only."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from rldk.adapters.open import make_unique, open_runs
from rldk.core.codec import to_builtins
from rldk.core.manifest import Manifest, read_manifest
from rldk.core.model import Run
from rldk.engine.compare.records import HARMLESS
from rldk.errors import MalformedInput, UnknownName, UsageError
from rldk.rules.knobs import steering_keys

MOST_KEYS = 3  # of the configuration, in the name of a group
# 2020-08-29-04-35-32, 20200829T043532, 2020-08-29_s1
CLOCK_TIME = re.compile(
    r"(?:19|20)\d\d[-_.]?[01]\d[-_.]?[0-3]\d(?:[-_.T ]*[0-2]\d[-_.:h]?[0-5]\d(?:[-_.:m]?[0-5]\d(?:[.,]\d+)?)?)?"
    r"(?:[-_.]*(?:seed|s)?[-_=]?\d{1,6})?$",
    re.IGNORECASE,
)

Grouping = Mapping[str, Sequence[str] | str]
Settings = Mapping[str, Any]


def opened_runs(runs: Any, field_map: Mapping[str, str] | None) -> list[Run]:
    """Every run of the sources, each with a name of its own. Raises `UsageError` for fewer than two, and the errors of
    the adapters."""
    many = [runs] if isinstance(runs, str | os.PathLike) or hasattr(runs, "columns") else list(runs)
    made: list[Run] = []
    for place, source in enumerate(many, 1):
        opened = [source] if isinstance(source, Run) else open_runs(source, field_map=field_map)
        in_memory = not isinstance(source, str | os.PathLike | Run)
        made += [replace(run, id=f"run {place}") if in_memory else run for run in opened]
    if len(made) < 2:
        raise UsageError("one run cannot be compared", hint="give two or more, or a folder of several")
    names = make_unique([run.id for run in made])
    return [replace(run, id=name) for run, name in zip(made, names, strict=True)]


def grouped_runs(
    runs: Sequence[Run], settings: Mapping[str, Settings], wanted: Grouping | None
) -> dict[str, list[Run]]:
    """The runs by the name of their group. `settings`: what each run records, by its name. `wanted`: the groups that
    the user named, as lists of names or as patterns for `fnmatch`. Raises `UnknownName`."""
    by_id = {run.id: run for run in runs}
    if wanted is not None:
        named = {group: _matching(ids, by_id) if isinstance(ids, str) else ids for group, ids in wanted.items()}
        for name in (name for ids in named.values() for name in ids):
            if name not in by_id:
                raise UnknownName("run", name, by_id)
        return {group: [by_id[name] for name in ids] for group, ids in named.items() if ids}
    made: dict[str, list[Run]] = {}
    for run in runs:
        kept = settings[run.id]
        kind = json.dumps(to_builtins(kept), sort_keys=True) if kept else _stem(run.id)
        made.setdefault(kind, []).append(run)
    kinds = list(made.values())
    return dict(zip(_group_names(kinds, settings), kinds, strict=True))


def recorded_settings(runs: Sequence[Run]) -> tuple[dict[str, dict[str, Any]], tuple[str, ...]]:
    """What each run records of its configuration, by the name of the run, without seeds and folders; and the keys that
    were taken for results.

    Metadata count as settings, because `ExperimentTracker` keeps there what its user passes. But results are kept
    there, too: a key that is no known setting counts as a result where most of its values occur in one run only."""
    records = {run.id: _record(run) for run in runs}
    loose = dict.fromkeys(key for record in records.values() for key in record.metadata if key not in record.config)
    unknown = [key for key in loose if key not in steering_keys() and not HARMLESS.fullmatch(key)]
    results = tuple(key for key in unknown if _is_result([r.metadata.get(key) for r in records.values()]))
    made = {}
    for run in runs:
        record = records[run.id]
        own = {key: value for key, value in record.metadata.items() if key not in results}
        stated = own | (record.config or run.meta.config)
        made[run.id] = {key: value for key, value in stated.items() if not HARMLESS.fullmatch(key)}
    return made, results


def _matching(pattern: str, names: Iterable[str]) -> list[str]:
    found = [name for name in names if fnmatchcase(name, pattern)]
    if not found:
        raise UnknownName("run", pattern, names)
    return found


def _is_result(values: Sequence[object]) -> bool:
    """Whether the values look like results of the runs: they vary, and more than half of them occur once."""
    texts = [_text(value) for value in values if value is not None]
    return len(set(texts)) > 1 and len(set(texts)) > len(texts) / 2


def _record(run: Run) -> Manifest:
    folder = Path(run.source)
    try:
        record = read_manifest(folder if folder.is_dir() else folder.parent)
    except MalformedInput:
        record = None
    return record if record is not None else Manifest()


def _stem(name: str) -> str:
    """The name without a date, a time of the day, a seed or a number at its end."""
    dated = CLOCK_TIME.sub("", name)
    if dated != name:
        return dated.rstrip("-_. ") or "runs"
    return re.sub(r"[-_.]*(?:seed|s)?[-_=]?\d+$", "", name, flags=re.IGNORECASE) or name


def _group_names(kinds: Sequence[Sequence[Run]], settings: Mapping[str, Settings]) -> list[str]:
    """A name for each group: the configuration that sets it apart, else what its runs' names begin with."""
    configs = [settings[members[0].id] for members in kinds]
    keys = dict.fromkeys(key for config in configs for key in config)
    apart = [key for key in keys if len({_text(config.get(key)) for config in configs}) > 1]
    if 0 < len(apart) <= MOST_KEYS:
        return make_unique([", ".join(f"{key}={config.get(key)}" for key in apart) for config in configs])
    stems = [{_stem(run.id) for run in members} for members in kinds]
    return make_unique([each.pop() if len(each) == 1 else f"group {place}" for place, each in enumerate(stems, 1)])


def _text(value: object) -> str:
    return json.dumps(to_builtins(value), sort_keys=True)
