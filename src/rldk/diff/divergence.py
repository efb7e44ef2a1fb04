"""`first_divergence`: opens two runs, chooses the question that their data can answer, and answers it."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from rldk.cards.trust.facts import CardSubject
from rldk.cards.trust.subject import subject_of
from rldk.cards.words import plural
from rldk.core.codec import to_builtins
from rldk.core.model import Check, Note
from rldk.diff.causes import is_recorded, suspected_causes
from rldk.diff.facts import Question, SignalDivergence
from rldk.diff.files import write_files
from rldk.diff.questions import Answer, Strictness, have_same_start, is_identical, one_pair, same_seed, seed_noise
from rldk.diff.report import DivergenceReport
from rldk.diff.sides import Axis, SharedSignal, Side, chosen_signals, open_side, open_sides, shared_signal
from rldk.errors import NoData, UsageError

LEAST_BASELINES = 5  # fewer say too little about the spread of seeds: see docs/diff.md
LEAST_STEPS = 10
COVERED = 0.8  # share of the common steps of A and B that a baseline must have
MAX_POINTS = 600


class _Compared(Struct, frozen=True, kw_only=True):
    """What was found before it becomes a report. `others`: the baselines that took part."""

    question: Question
    signals: tuple[SharedSignal, ...]
    answers: tuple[Answer, ...]
    others: tuple[Side, ...] = ()
    notes: tuple[Note, ...] = ()


def first_divergence(
    df_a: Any,
    df_b: Any,
    signals: Sequence[str] | str | None = None,
    k_consecutive: int = 3,
    window: int = 50,
    *,
    tolerance: float = 2.0,
    output_dir: str | os.PathLike[str] | None = None,
    baseline_runs: Any = None,
    field_map: Mapping[str, str] | None = None,
    align_on: Axis = "step",
) -> DivergenceReport:
    """The first step from which run B differs from run A, and the question that this answers.

    `df_a`, `df_b`: DataFrames, lists of mappings, runs, or anything that `ingest_runs` reads. `signals`: default every
    known metric that both have. `k_consecutive`: how many consecutive common steps must be beyond the limit. `window`:
    how many common steps the reference has. `tolerance` scales the limit: 2.0 has the documented rate of false alarms.
    `baseline_runs`: at least five more runs that differ from A in their seed only (A counts as one of them); then the
    question is whether B is beyond the noise of seeds. `align_on`: "step", "tokens" or "time". With `output_dir` it
    writes diff_report.md, diff_events.csv and drift_card.json there.

    Raises `UsageError`, `UnknownName` for a signal that no run has, `NoData` where too few steps are common, and the
    errors of the adapters."""
    how = _strictness(k_consecutive, window, tolerance)
    a, b = open_side(df_a, "A", field_map, align_on), open_side(df_b, "B", field_map, align_on)
    others = open_sides(baseline_runs, field_map, align_on)
    names, lacking = chosen_signals(a, b, signals)
    pair = [shared_signal((a, b), name) for name in names]
    short = [s.name for s in pair if s.step.size < LEAST_STEPS]
    pair = [s for s in pair if s.step.size >= LEAST_STEPS]
    lacking += tuple(_check(name, f"needs {LEAST_STEPS} common steps") for name in short)
    compared = _compared(a, b, others, pair, how)
    report = _report(a, b, compared, lacking, how)
    return report if output_dir is None else write_files(report, Path(output_dir))


def _strictness(persistence: int, window: int, tolerance: float) -> Strictness:
    for name, value, least in (("k_consecutive", persistence, 1), ("window", window, LEAST_STEPS)):
        if value < least:
            raise UsageError(f"{name} is {value}", hint=f"it must be {least} or more")
    if not 0 < tolerance < math.inf:
        raise UsageError(f"tolerance is {tolerance}", hint="it must be more than 0; 2.0 is the default")
    return Strictness(persistence=persistence, window=window, tolerance=tolerance)


def _compared(a: Side, b: Side, others: list[Side], pair: list[SharedSignal], how: Strictness) -> _Compared:
    if not pair:
        hint = "do both start at the same step, and log the same phase? compare by tokens or time with --align"
        raise NoData(f"{a.source} and {b.source} have fewer than {LEAST_STEPS} steps in common", hint=hint)
    if is_identical(pair):
        return _Compared(question="identical", signals=tuple(pair), answers=tuple(same_seed(pair, how)))
    notes: tuple[Note, ...] = ()
    if others:
        signals, group, notes = _with_baselines(a, b, others, pair)
        if len(group) >= LEAST_BASELINES:
            answers = tuple(seed_noise(signals, how))
            return _Compared(
                question="seed-noise", signals=tuple(signals), answers=answers, others=tuple(group), notes=notes
            )
        usable = plural(len(group), "usable run")
        said = f"{usable} of the same kind: {LEAST_BASELINES} are needed to know the spread of seeds"
        notes += (Note(topic="baselines", text=said),)
    seeds = (a.record.seed, b.record.seed)
    known = None not in seeds
    if (known and seeds[0] == seeds[1]) or (not known and have_same_start(pair)):
        return _Compared(question="same-seed", signals=tuple(pair), answers=tuple(same_seed(pair, how)), notes=notes)
    answers = tuple(one_pair(pair, how))
    return _Compared(question="not-identifiable", signals=tuple(pair), answers=answers, notes=notes)


def _with_baselines(
    a: Side, b: Side, others: list[Side], pair: list[SharedSignal]
) -> tuple[list[SharedSignal], list[Side], tuple[Note, ...]]:
    """The signals of A, B and the usable baselines, of which A is the first unless it stands among them already."""
    notes: list[Note] = []
    group: list[Side] = []
    for side in [a, *others]:
        shared = {s.name: shared_signal((b, side), s.name) for s in pair if s.name in side.table.columns}
        lost = [s.name for s in pair if s.name not in shared or not _covers(shared[s.name], s)]
        if shared and is_identical(list(shared.values())):
            notes.append(Note(topic="baselines", text=f"{side.source} is B itself and proves nothing: it was left out"))
        elif lost:
            few = ", ".join(lost[:3])
            notes.append(Note(topic="baselines", text=f"{side.source} lacks most of {few}: it was left out"))
        elif not any(_is_same(side, one, pair) for one in group):
            group.append(side)
        elif side is not a and not any(_is_same(side, one, pair) for one in group[:1]):
            notes.append(Note(topic="baselines", text=f"{side.source} repeats another baseline: it counts once"))
    signals = [shared_signal((a, b, *group), s.name) for s in pair]
    return [s for s in signals if s.step.size >= LEAST_STEPS], group, tuple(notes)


def _covers(own: SharedSignal, pair: SharedSignal) -> bool:
    """Whether a baseline has most of the steps at which A and B are compared; of ranges, most of what they span."""
    if own.ranges or pair.ranges:
        spans = [int(s.step[-1] - s.step[0]) if s.step.size else 0 for s in (own, pair)]
        return own.step.size >= LEAST_STEPS and spans[0] >= COVERED * spans[1]
    return own.step.size >= COVERED * pair.step.size


def _is_same(one: Side, other: Side, pair: Sequence[SharedSignal]) -> bool:
    return is_identical([shared_signal((one, other), s.name) for s in pair])


def _report(a: Side, b: Side, found: _Compared, lacking: tuple[Check, ...], how: Strictness) -> DivergenceReport:
    details = tuple(answer.detail for answer in found.answers)
    tripped = sorted((d for d in details if d.diverged), key=lambda d: (d.first_step, -(d.score or 0)))
    untested = tuple(
        _check(d.signal, f"needs {how.window + how.persistence} common steps, or a smaller window")
        for d in details
        if d.score is None
    )
    recorded = is_recorded(a.record) and is_recorded(b.record)
    causes = suspected_causes(a, b, found.others) if recorded and found.question != "identical" else ()
    made = DivergenceReport(
        kind="divergence",
        passed=not tripped and len(untested) < len(details),
        diverged=bool(tripped),
        question=found.question,
        first_step=tripped[0].first_step if tripped else None,
        first_mover=tripped[0].signal if tripped else None,
        tripped_signals=tuple(d.signal for d in tripped),
        suspected_causes=causes,
        details=details,
        checked=tuple(d.signal for d in details if d.score is not None),
        skipped=lacking + untested,
        notes=_notes(a, b, found, recorded=recorded),
        numbers=_numbers(found, tripped),
        meta={
            "source": b.source,
            "run": f"{a.source} and {b.source}",
            "a": a.source,
            "b": b.source,
            "baselines": [side.source for side in found.others],
            "subjects": [to_builtins(one) for one in _subjects(a, b, found.others)],
            "settings": {"k_consecutive": how.persistence, "window": how.window, "tolerance": how.tolerance},
            "series": {s.name: _series(s, one) for s, one in zip(found.signals, found.answers, strict=True)},
        },
    )
    from rldk.diff.view import verdict_of

    return replace(made, verdict=verdict_of(made))


def _subjects(a: Side, b: Side, others: Sequence[Side]) -> list[CardSubject]:
    """What A, B and the baselines record of themselves."""
    roles = [("A", a), ("B", b), *(("baseline", side) for side in others if side is not a)]
    return [subject_of(side.run, side.source, role, side.record) for role, side in roles]


def _numbers(found: _Compared, tripped: Sequence[SignalDivergence]) -> dict[str, float | int | None]:
    return {
        "signals": len(found.signals),
        "diverged_signals": len(tripped),
        "common_steps": max(s.step.size for s in found.signals),
        "baselines": len(found.others),
        "first_step": tripped[0].first_step if tripped else None,
    }


def _notes(a: Side, b: Side, found: _Compared, *, recorded: bool) -> tuple[Note, ...]:
    made = list(found.notes)
    first = found.signals[0]
    if first.ranges:
        said = f"the runs log at steps of their own: means over ranges of {first.interval[0]:,.0f} steps were compared"
        made.append(Note(topic="interval", text=said))
    elif first.interval[0] != first.interval[1]:
        every = f"A has a value every {first.interval[0]:g} steps and B every {first.interval[1]:g}"
        said = f"{every}: only {first.step.size:,} common steps were compared"
        made.append(Note(topic="interval", text=said))
    if first.last[0] != first.last[1]:
        ends = f"A ends at step {first.last[0]:,} and B at step {first.last[1]:,}"
        made.append(Note(topic="length", text=f"{ends}: only the steps that both have were compared"))
    for letter, side in (("A", a), ("B", b)):
        restarts = int(side.table.segment.max()) if side.table.segment.size else 0
        if restarts:
            said = f"{letter} has {plural(restarts, 'restart')}: of steps that were repeated, the newest values count"
            made.append(Note(topic="resumed", text=said))
    if not recorded and found.question != "identical":
        missing = "A and B do not both record their configuration, so no cause can be named"
        made.append(Note(topic="causes", text=f"{missing}: `rldk track` records it"))
    return tuple(made)


def _series(signal: SharedSignal, answer: Answer) -> dict[str, list[Any]]:
    """Both curves and the range of B, thinned out evenly."""
    kept = np.unique(np.linspace(0, signal.step.size - 1, min(signal.step.size, MAX_POINTS)).astype(np.int64))
    columns = {"a": signal.values[0], "b": signal.values[1]}
    if answer.low.size:
        columns |= {"low": answer.low, "high": answer.high}
    made: dict[str, list[Any]] = {"step": signal.step[kept].tolist()}
    for name, values in columns.items():
        made[name] = [float(f"{v:.6g}") if math.isfinite(v) else None for v in values[kept].tolist()]
    return made


def _check(name: str, reason: str) -> Check:
    return Check(code=name, name=name, status="skipped", reason=reason)
