"""`compare_runs`: puts runs into groups that differ in their seeds only, and compares the groups."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from rldk.cards.series import KEY_METRICS
from rldk.comparison.cost import group_costs
from rldk.comparison.curves import common_span, group_curve, logged_curve
from rldk.comparison.facts import GroupContrast, GroupCurve, GroupScore, Outcome
from rldk.comparison.grouping import Grouping, grouped_runs, opened_runs, recorded_settings
from rldk.comparison.report import ComparisonReport
from rldk.comparison.settings import setting_effects
from rldk.core.model import Check, Note, Run
from rldk.core.stats.aggregate import (
    interquartile_mean,
    interquartile_means,
    performance_profile,
    probability_of_improvement,
    seed_share,
    seeds_needed,
    spread_interval,
    stratified_interval,
)
from rldk.core.stats.paired import holm
from rldk.core.stats.proportions import wilson
from rldk.core.vocabulary import vocabulary
from rldk.errors import NoData, UnknownName

Array = NDArray[np.float64]
LAST = 0.1  # share of the steps whose mean is the score of a run
LEAST_SEEDS = 3  # fewer have no spread to speak of
ALPHA = 0.05
GAIN = 0.9  # share of the baseline's gain that a run must reach for its sample efficiency
LEVELS = 5
MOST_METRICS = 6


def compare_runs(
    runs: Any,
    *more: Any,
    groups: Grouping | None = None,
    metrics: Sequence[str] | str | None = None,
    baseline: str | None = None,
    field_map: Mapping[str, str] | None = None,
) -> ComparisonReport:
    """Compares groups of runs: their scores with intervals, how fast they learn, and whether a group is better.

    `runs`: a source that `ingest_runs` reads, or a list of them. `more`: further sources, as in `compare_runs(a, b)`.
    `groups`: name -> ids of runs, or a pattern such as "base-*"; runs in no group are left out. By default runs belong
    together when their configurations differ in the seed and in names of folders only, and where no configuration is
    known, when their names differ in a trailing number or date only. `metrics`: default the first ones that a
    practitioner looks at; the first one stands for the goal. `baseline`: the group to compare with, default that of the
    first run.

    Raises `UsageError`, `UnknownName`, `NoData` and the errors of the adapters."""
    opened = opened_runs([runs, *more] if more else runs, field_map)
    settings, results = recorded_settings(opened)
    grouped = grouped_runs(opened, settings, groups)
    opened = [run for members in grouped.values() for run in members]
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
    costs, unknown = group_costs(grouped)
    goal = [one for one in decided if one.metric == names[0]]
    made = ComparisonReport(
        kind="comparison",
        passed=not any(one.outcome == "worse" for one in goal),
        groups={group: tuple(run.id for run in members) for group, members in grouped.items()},
        baseline=reference,
        metrics=names,
        scores=tuple(scores),
        contrasts=decided,
        curves=tuple(_curves(grouped, names)),
        costs=costs,
        settings=setting_effects(settings, _goal_scores(grouped, names[0])),
        seed_share=seed_share([_finals(members, names[0]) for members in grouped.values()]),
        checked=names,
        skipped=skipped + unknown,
        notes=_notes(opened, grouped, settings=settings, results=results, named=groups is not None),
        numbers={"runs": len(opened), "groups": len(grouped), "fewest_seeds": min(map(len, grouped.values()))},
        meta={"source": opened[0].source, "run": f"{len(opened)} runs"},
    )
    from rldk.comparison.view import comparison_verdict

    return replace(made, verdict=comparison_verdict(made))


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


def _finals(members: Sequence[Run], metric: str) -> Array:
    found = [logged_curve(run, metric)[1] for run in members]
    return np.array([values[-max(1, round(LAST * values.size)) :].mean() for values in found if values.size])


def _level(members: Sequence[Run], metric: str) -> tuple[float, bool]:
    """The level at 90 % of the way from the baseline's first values to its last ones, and whether that is upwards."""
    starts = [values[: max(1, round(LAST * values.size))].mean() for _, values in _logged(members, metric)]
    if not starts:
        return math.nan, True
    start = float(np.mean(starts))
    gain = float(_finals(members, metric).mean()) - start
    return start + GAIN * gain, gain >= 0


def _logged(members: Sequence[Run], metric: str) -> Iterator[tuple[NDArray[np.int64], Array]]:
    for run in members:
        step, values = logged_curve(run, metric)
        if values.size:
            yield step, values


def _score(group: str, metric: str, members: Sequence[Run], level: tuple[float, bool], levels: Array) -> GroupScore:
    finals = _finals(members, metric)
    low, high = stratified_interval([finals], interquartile_means, seed=0)
    spread_low, spread_high = spread_interval(finals)
    shares = performance_profile([finals], levels) if finals.size else np.zeros(0)
    between = [wilson(round(share * finals.size), finals.size) for share in shares.tolist()]
    steps = [_reached(step, values, level[0], rising=level[1]) for step, values in _logged(members, metric)]
    arrived = [step for step in steps if step is not None]
    return GroupScore(
        group=group,
        metric=metric,
        scores=tuple(finals.tolist()),
        iqm=interquartile_mean([finals]),
        low=_known(low),
        high=_known(high),
        spread=float(finals.std(ddof=1)) if finals.size > 1 else None,
        spread_low=_known(spread_low),
        spread_high=_known(spread_high),
        steps=float(np.median(arrived)) if len(arrived) > len(steps) / 2 else None,
        reached=len(arrived),
        levels=tuple(levels.tolist()),
        profile=tuple(shares.tolist()),
        profile_low=tuple(low for low, _ in between),
        profile_high=tuple(high for _, high in between),
    )


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _reached(step: NDArray[np.int64], values: Array, level: float, *, rising: bool) -> int | None:
    """The first step at which the running mean of ten values has reached the level."""
    width = min(10, values.size)
    means = np.convolve(values, np.ones(width) / width, mode="valid")
    rounding = 1e-12 * abs(level)  # of a mean of ten: a run that stays at the level has reached it
    places = np.flatnonzero(means >= level - rounding if rising else means <= level + rounding)
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
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # scipy warns where one has no spread
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


def _curves(grouped: Mapping[str, Sequence[Run]], metrics: Sequence[str]) -> Iterator[GroupCurve]:
    for metric in metrics:
        span = common_span([run for members in grouped.values() for run in members], metric)
        for group, members in grouped.items():
            made = group_curve(group, metric, members, span)
            if made is not None:
                yield made


def _goal_scores(grouped: Mapping[str, Sequence[Run]], metric: str) -> dict[str, float]:
    each = {run.id: _finals([run], metric) for members in grouped.values() for run in members}
    return {name: float(found[0]) for name, found in each.items() if found.size}


def _notes(
    runs: Sequence[Run],
    grouped: Mapping[str, Sequence[Run]],
    *,
    settings: Mapping[str, Mapping[str, Any]],
    results: Sequence[str],
    named: bool,
) -> tuple[Note, ...]:
    made = []
    if not named and not any(settings.values()):
        made.append(Note(topic="groups", text="no run records its configuration: runs were grouped by their names"))
    if results:
        told = f"metadata {', '.join(results[:3])} differ from run to run and were taken for results, not for settings"
        made.append(Note(topic="settings", text=told))
    lengths = {int(run.metrics.step.max()) for run in runs if len(run.metrics)}
    if len(lengths) > 1:
        made.append(Note(topic="length", text=f"the runs end at steps {min(lengths):,} to {max(lengths):,}"))
    if any(len(members) < LEAST_SEEDS for members in grouped.values()):
        made.append(Note(topic="seeds", text=f"a group of fewer than {LEAST_SEEDS} runs has no interval"))
    return tuple(made)
