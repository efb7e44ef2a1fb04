"""`compare_runs`: puts runs into groups that differ in their seeds only, and compares the groups."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from rldk.adapters.open import make_unique, open_runs
from rldk.cards.series import KEY_METRICS
from rldk.comparison.facts import GroupContrast, GroupScore, Outcome
from rldk.comparison.report import ComparisonReport
from rldk.core.codec import to_builtins
from rldk.core.manifest import read_manifest
from rldk.core.model import Check, Note, Run
from rldk.core.stats.aggregate import (
    interquartile_mean,
    interquartile_means,
    performance_profile,
    probability_of_improvement,
    seeds_needed,
    stratified_interval,
)
from rldk.core.stats.paired import holm
from rldk.core.vocabulary import vocabulary
from rldk.engine.compare import align
from rldk.engine.compare.records import HARMLESS
from rldk.errors import MalformedInput, NoData, UnknownName, UsageError

Array = NDArray[np.float64]
LAST = 0.1  # share of the steps whose mean is the score of a run
LEAST_SEEDS = 3  # fewer have no spread to speak of
ALPHA = 0.05
GAIN = 0.9  # share of the baseline's gain that a run must reach for its sample efficiency
LEVELS = 5
MOST_KEYS = 3  # of the configuration, in the name of a group
MOST_METRICS = 6

Grouping = Mapping[str, Sequence[str]]


def compare_runs(
    runs: Any,
    *,
    groups: Grouping | None = None,
    metrics: Sequence[str] | str | None = None,
    baseline: str | None = None,
    field_map: Mapping[str, str] | None = None,
) -> ComparisonReport:
    """Compares groups of runs: their scores with intervals, how fast they learn, and whether a group is better.

    `runs`: a source that `ingest_runs` reads, or a list of them. `groups`: name -> ids of runs; by default runs belong
    together when their configurations differ in the seed and in names of folders only, and where no configuration is
    known, when their names differ in a trailing number only. `metrics`: default the first ones that a practitioner
    looks at; the first one stands for the goal. `baseline`: the group to compare with, default that of the first run.

    Raises `UsageError`, `UnknownName`, `NoData` and the errors of the adapters."""
    opened = _opened(runs, field_map)
    grouped = _grouped(opened, groups)
    reference = baseline or next(iter(grouped))
    if reference not in grouped:
        raise UnknownName("group", reference, grouped)
    names, skipped = _metrics(opened, metrics)
    scores: list[GroupScore] = []
    contrasts: list[tuple[GroupContrast, float]] = []
    for metric in names:
        found = {group: _finals(members, metric) for group, members in grouped.items()}
        level = _level(grouped[reference], metric)
        pooled = np.concatenate(list(found.values()))
        levels = np.quantile(pooled, np.linspace(0.1, 0.9, LEVELS))
        scores += [_score(group, metric, grouped[group], level, levels) for group in grouped]
        contrasts += [_contrast(g, metric, found[g], found[reference]) for g in grouped if g != reference]
    decided = _decided(contrasts, names[0])
    goal = [one for one in decided if one.metric == names[0]]
    made = ComparisonReport(
        kind="comparison",
        passed=not any(one.outcome == "worse" for one in goal),
        groups={group: tuple(run.id for run in members) for group, members in grouped.items()},
        baseline=reference,
        metrics=names,
        scores=tuple(scores),
        contrasts=decided,
        checked=names,
        skipped=skipped,
        notes=_notes(opened, grouped, groups),
        numbers={"runs": len(opened), "groups": len(grouped), "fewest_seeds": min(map(len, grouped.values()))},
        meta={"source": opened[0].source, "run": f"{len(opened)} runs"},
    )
    from rldk.comparison.view import comparison_verdict

    return replace(made, verdict=comparison_verdict(made))


def _opened(runs: Any, field_map: Mapping[str, str] | None) -> list[Run]:
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


def _grouped(runs: list[Run], wanted: Grouping | None) -> dict[str, list[Run]]:
    by_id = {run.id: run for run in runs}
    if wanted is not None:
        for name in (name for ids in wanted.values() for name in ids):
            if name not in by_id:
                raise UnknownName("run", name, by_id)
        return {group: [by_id[name] for name in ids] for group, ids in wanted.items() if ids}
    made: dict[str, list[Run]] = {}
    for run in runs:
        made.setdefault(_kind(run), []).append(run)
    kinds = list(made.values())
    return dict(zip(_group_names(kinds), kinds, strict=True))


def _kind(run: Run) -> str:
    """What runs of one group have in common: the configuration without seed and folders, else the name's stem."""
    config = _config(run)
    kept = {key: value for key, value in config.items() if not HARMLESS.fullmatch(key)}
    return json.dumps(to_builtins(kept), sort_keys=True) if kept else _stem(run.id)


def _config(run: Run) -> Mapping[str, Any]:
    folder = Path(run.source)
    try:
        record = read_manifest(folder if folder.is_dir() else folder.parent)
    except MalformedInput:
        record = None
    return record.config if record is not None and record.config else run.meta.config


def _stem(name: str) -> str:
    return re.sub(r"[-_.]*(?:seed|s)?[-_=]?\d+$", "", name, flags=re.IGNORECASE) or name


def _group_names(kinds: Sequence[Sequence[Run]]) -> list[str]:
    """A name for each group: the configuration that sets it apart, else what its runs' names begin with."""
    configs = [_config(members[0]) for members in kinds]
    keys = dict.fromkeys(key for config in configs for key in config if not HARMLESS.fullmatch(key))
    apart = [key for key in keys if len({json.dumps(to_builtins(config.get(key))) for config in configs}) > 1]
    if 0 < len(apart) <= MOST_KEYS:
        return make_unique([", ".join(f"{key}={config.get(key)}" for key in apart) for config in configs])
    stems = [{_stem(run.id) for run in members} for members in kinds]
    return make_unique([each.pop() if len(each) == 1 else f"group {place}" for place, each in enumerate(stems, 1)])


def _metrics(runs: Sequence[Run], wanted: Sequence[str] | str | None) -> tuple[tuple[str, ...], tuple[Check, ...]]:
    columns = [run.metrics.columns for run in runs]
    everywhere = [name for name in columns[0] if all(name in each for each in columns)]
    if wanted is None:
        known = [name for name in KEY_METRICS if name in everywhere][:MOST_METRICS]
        if not known:
            raise NoData("the runs have no known metric in common", hint=f"name one of: {', '.join(everywhere[:8])}")
        return tuple(known), ()
    names = [part.strip() for part in wanted.split(",")] if isinstance(wanted, str) else list(wanted)
    chosen, lacking = [], []
    for name in names:
        found = next((each for each in (name, vocabulary().canonical(name)) if each in everywhere), None)
        if found is not None:
            chosen.append(found)
        elif not any(each in one for one in columns for each in (name, vocabulary().canonical(name))):
            raise UnknownName("metric", name, sorted({key for one in columns for key in one}))
        else:
            reason = f"needs {name} in every run"
            lacking.append(Check(code=name, name=name, status="skipped", reason=reason, needs=(name,)))
    if not chosen:
        raise NoData("; ".join(check.reason for check in lacking) or "no metric is named", hint="choose others")
    return tuple(dict.fromkeys(chosen)), tuple(lacking)


def _curve(run: Run, metric: str) -> tuple[NDArray[np.int64], Array]:
    aligned = align([run.metrics], metric)
    finite = np.isfinite(aligned.values[0])
    return aligned.step[finite], aligned.values[0][finite]


def _finals(members: Sequence[Run], metric: str) -> Array:
    found = [_curve(run, metric)[1] for run in members]
    return np.array([values[-max(1, round(LAST * values.size)) :].mean() for values in found if values.size])


def _level(members: Sequence[Run], metric: str) -> tuple[float, bool]:
    """The level at 90 % of the way from the baseline's first values to its last ones, and whether that is upwards."""
    starts = [values[: max(1, round(LAST * values.size))].mean() for _, values in _curves(members, metric)]
    if not starts:
        return math.nan, True
    start = float(np.mean(starts))
    gain = float(_finals(members, metric).mean()) - start
    return start + GAIN * gain, gain >= 0


def _curves(members: Sequence[Run], metric: str) -> Iterator[tuple[NDArray[np.int64], Array]]:
    for run in members:
        step, values = _curve(run, metric)
        if values.size:
            yield step, values


def _score(group: str, metric: str, members: Sequence[Run], level: tuple[float, bool], levels: Array) -> GroupScore:
    finals = _finals(members, metric)
    low, high = stratified_interval([finals], interquartile_means, seed=0)
    steps = [_reached(step, values, level[0], rising=level[1]) for step, values in _curves(members, metric)]
    arrived = [step for step in steps if step is not None]
    return GroupScore(
        group=group,
        metric=metric,
        scores=tuple(finals.tolist()),
        iqm=interquartile_mean([finals]),
        low=None if math.isnan(low) else low,
        high=None if math.isnan(high) else high,
        spread=float(finals.std(ddof=1)) if finals.size > 1 else None,
        steps=float(np.median(arrived)) if len(arrived) > len(steps) / 2 else None,
        reached=len(arrived),
        levels=tuple(levels.tolist()),
        profile=tuple(performance_profile([finals], levels).tolist()) if finals.size else (),
    )


def _reached(step: NDArray[np.int64], values: Array, level: float, *, rising: bool) -> int | None:
    """The first step at which the running mean of ten values has reached the level."""
    width = min(10, values.size)
    means = np.convolve(values, np.ones(width) / width, mode="valid")
    places = np.flatnonzero(means >= level if rising else means <= level)
    return int(step[places[0] + width - 1]) if places.size else None


def _contrast(group: str, metric: str, own: Array, base: Array) -> tuple[GroupContrast, float]:
    """The contrast before it is decided, and the p-value of Welch's test; NaN with too few seeds."""
    enough = min(own.size, base.size) >= LEAST_SEEDS
    low, high = stratified_interval([own, base], _gaps, seed=0) if enough else (math.nan, math.nan)
    higher = probability_of_improvement([own], [base]) if own.size and base.size else None
    falls = bool(vocabulary().canonical(metric)) and vocabulary().metric(metric).direction == "down"
    return GroupContrast(
        group=group,
        metric=metric,
        outcome="not enough evidence" if enough else "too few seeds",
        gap=interquartile_mean([own]) - interquartile_mean([base]),
        low=low if enough else None,
        high=high if enough else None,
        improvement=None if higher is None else 1 - higher if falls else higher,
        seeds=seeds_needed(own, base, least=min(own.size, base.size) + 1),
    ), _welch(own, base) if enough else math.nan


def _welch(own: Array, base: Array) -> float:
    from scipy.stats import ttest_ind

    if np.ptp(own) == 0 and np.ptp(base) == 0:
        return float(own[0] == base[0])
    return float(ttest_ind(own, base, equal_var=False).pvalue)


def _gaps(two: Sequence[Array]) -> Array:
    gaps: Array = interquartile_means(two[:1]) - interquartile_means(two[1:])
    return gaps


def _decided(contrasts: Sequence[tuple[GroupContrast, float]], goal: str) -> tuple[GroupContrast, ...]:
    """The contrasts with their outcomes, at 5 % over all groups for the goal, and at 5 % over all the rest (Holm)."""
    adjusted = [math.nan] * len(contrasts)
    for of_goal in (True, False):
        places = [i for i, (one, _) in enumerate(contrasts) if (one.metric == goal) == of_goal]
        for i, p in zip(places, holm([contrasts[i][1] for i in places]), strict=True):
            adjusted[i] = p
    return tuple(
        replace(one, outcome=_outcome(one), seeds=None) if p <= ALPHA else one
        for (one, _), p in zip(contrasts, adjusted, strict=True)
    )


def _outcome(one: GroupContrast) -> Outcome:
    direction = vocabulary().metric(one.metric).direction if vocabulary().canonical(one.metric) else ""
    if direction not in ("up", "down"):
        return "different"
    return "better" if (one.gap > 0) == (direction == "up") else "worse"


def _notes(runs: Sequence[Run], grouped: Mapping[str, Sequence[Run]], wanted: Grouping | None) -> tuple[Note, ...]:
    made = []
    if wanted is None and not any(_config(run) for run in runs):
        made.append(Note(topic="groups", text="no run records its configuration: runs were grouped by their names"))
    lengths = {int(run.metrics.step.max()) for run in runs if len(run.metrics)}
    if len(lengths) > 1:
        made.append(Note(topic="length", text=f"the runs end at steps {min(lengths):,} to {max(lengths):,}"))
    if any(len(members) < LEAST_SEEDS for members in grouped.values()):
        made.append(Note(topic="seeds", text=f"a group of fewer than {LEAST_SEEDS} runs has no interval"))
    return tuple(made)
