"""`rldk.evals.run`: scores what the data can prove, and says what it would take to score the rest."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace

from rldk.cards.words import plural
from rldk.core.model import Check, Note
from rldk.core.seeds import seed_of
from rldk.core.stats.clustered import codes_of
from rldk.errors import RldkError, UnknownName, UsageError
from rldk.evals.columns import need_words
from rldk.evals.facts import Measurement, MeasureState, lacking
from rldk.evals.reading import read_table
from rldk.evals.registry import EvalOptions, Evaluation, evaluations
from rldk.evals.result import EvalResult
from rldk.evals.suites import Suite, suite_of
from rldk.evals.table import EvalTable
from rldk.evals.verdicts import UNDECIDED
from rldk.evals.view import evaluation_verdict, only_of_the_data

KIND = "evaluation"
WORST: tuple[MeasureState, ...] = ("fail", "warn", "pass", "info", "not_available")
Advance = Callable[[str], None]


def _silent(_: str) -> None:
    """Reports no progress."""


def run(
    run_data: Any,
    suite: str | Suite = "quick",
    seed: int = 42,
    sample_size: int | None = None,
    output_dir: str | os.PathLike[str] | None = None,
    *,
    columns: Mapping[str, str] | None = None,
    limits: Mapping[str, float] | None = None,
    train: Any = None,
    canaries: Sequence[str] = (),
    advance: Advance = _silent,
    tell: Advance = _silent,
) -> EvalResult:
    """The result of a suite on evaluation data: a value with its interval for whatever the data can prove.

    `run_data`: a DataFrame, a list of dicts, a path to JSON lines, JSON, CSV or Parquet, samples of
    lm-evaluation-harness, a log of inspect_ai, results of RewardBench, a run, or an `EvalTable`. `suite`: quick,
    comprehensive, safety, or a `Suite`. `sample_size`: look at that many rows, in whole prompts, drawn by `seed`.
    `output_dir`: where evaluation.json and evaluation.html are written. `columns`: field -> column. `limits`:
    evaluation -> limit, instead of its own. `train`: training data to search for the evaluation's texts. `canaries`:
    texts that must never appear. `advance` is called with the name of each evaluation before it, and `tell` with how
    far a long one has come.

    What the data lacks is not available, and is neither 0 nor a pass. The same data and seed give the same result.
    Raises `UsageError`, `UnknownName`, and the errors of `read_table`."""
    chosen = suite_of(suite)
    if sample_size is not None and sample_size < 1:
        raise UsageError(f"sample_size is {sample_size}", hint="give 1 or more")
    seed = seed_of(seed)
    for name, limit in (limits or {}).items():
        if name not in evaluations.names():
            raise UnknownName("evaluation", name, evaluations.names())
        if isinstance(limit, bool) or not isinstance(limit, int | float) or limit != limit:
            raise UsageError(f"the limit of {name} is {limit!r}", hint="give a number")
    table = read_table(run_data, columns)
    used = table if sample_size is None else sampled(table, sample_size, seed=seed)
    options = EvalOptions(seed=seed, limits=dict(limits or {}), train=train, canaries=tuple(canaries), tell=tell)
    found: dict[str, tuple[Measurement, ...]] = {}
    for name in chosen.evaluations:
        advance(name)
        found[name] = measure(evaluations.get(name), used, options)
    result = result_of(used, chosen, found, seed=seed)
    if output_dir is not None:
        from rldk.evals.files import write_result

        write_result(result, Path(output_dir))
    return result


def measure(one: Evaluation, table: EvalTable, options: EvalOptions) -> tuple[Measurement, ...]:
    """What an evaluation measures, or what it needs. The error of a plug-in's evaluation is a warning."""
    absent = tuple(need for need in one.needs if not table.has(need))
    if absent:
        reason = "needs " + " and ".join(need_words(need) for need in absent)
        hollow = [part for need in absent for part in need.split("|") if part in table.hollow]
        if hollow:
            reason += f": nothing but {table.hollow[hollow[0]]} in {hollow[0]}"
        return (lacking(one.name, one.title, reason, absent),)
    try:
        found = one.body(table, options)
    except RldkError:
        raise
    except Exception as error:
        if one.body.__module__.startswith("rldk."):
            raise
        warnings.warn(f"evaluation {one.name} failed: {type(error).__name__}: {error}", stacklevel=2)
        return (lacking(one.name, one.title, f"its plug-in failed: {type(error).__name__}: {str(error)[:200]}"),)
    return found if isinstance(found, tuple) else (found,)


def sampled(table: EvalTable, size: int, *, seed: int) -> EvalTable:
    """About `size` rows: whole prompts drawn at random where prompts are known, else rows. They stay in order."""
    if size >= table.rows:
        return table
    rng = np.random.default_rng(seed)
    cluster = table.clusters()
    if cluster is None:
        return table.some(np.sort(rng.choice(table.rows, size, replace=False)))
    label = codes_of(cluster)
    sizes = np.bincount(label)
    order = rng.permutation(len(sizes))
    taken = max(1, int(np.searchsorted(np.cumsum(sizes[order]), size, side="right")))
    kept = np.zeros(len(sizes), dtype=bool)
    kept[order[:taken]] = True
    return table.some(np.flatnonzero(kept[label]))


def result_of(table: EvalTable, suite: Suite, found: Mapping[str, tuple[Measurement, ...]], *, seed: int) -> EvalResult:
    """The result of measurements by evaluation."""
    findings = tuple(finding for each in found.values() for one in each for finding in one.findings)
    every = [replace(one, findings=()) if one.findings else one for each in found.values() for one in each]
    states = {name: worst(one.status for one in each) for name, each in found.items()}
    judged = [state for state in states.values() if state in ("pass", "warn", "fail")]
    ruled = [state for state in states.values() if state != "info"]  # "info" has no rule that it could pass
    enough = len(judged) * 2 >= len(ruled) and judged
    absent = [one for one in every if one.status == "not_available"]
    cluster = table.clusters()
    result = EvalResult(
        kind=KIND,
        passed="fail" not in states.values() and bool(judged) and not only_of_the_data(states),
        suite=suite.name,
        overall_score=judged.count("pass") / len(judged) if enough else None,
        scores={one.name: one.value for one in every},
        confidence_intervals={
            one.name: None if one.low is None or one.high is None else (one.low, one.high) for one in every
        },
        effect_sizes={one.name: one.effect for one in every if one.effect is not None},
        sample_size=table.rows,
        seed=seed,
        metadata=_metadata(table, None if cluster is None else len(np.unique(cluster))),
        raw_results={one.name: one for one in every},
        warnings=tuple(_warnings(table, every)),
        not_available={one.name: one.reason for one in absent},
        findings=findings,
        checked=tuple(name for name, state in states.items() if state != "not_available"),
        skipped=tuple(
            Check(code=one.name, name=one.name, status="skipped", reason=one.reason, needs=one.needs) for one in absent
        ),
        notes=tuple(Note(topic="data", text=text) for text in table.notes),
        numbers={"rows": table.rows, "rejected": table.rejected, "judged": len(judged), "evaluations": len(states)},
        meta={"run": table.source.rstrip("/").rpartition("/")[2] or "evaluation", "source": table.source},
    )
    return replace(result, verdict=evaluation_verdict(result, states))


def worst(states: Any) -> MeasureState:
    """The gravest of the states."""
    return min(states, key=WORST.index)


def _metadata(table: EvalTable, prompts: int | None) -> dict[str, Any]:
    from rldk import __version__

    return {
        "source": table.source,
        "form": table.form,
        "columns": dict(table.columns),
        "rows": table.rows,
        "prompts": prompts,
        "rejected": table.rejected,
        "rldk": __version__,
    }


def _warnings(table: EvalTable, every: Sequence[Measurement]) -> list[str]:
    made = []
    if table.rejected:
        shown = "; ".join(table.reasons[:3])
        made.append(f"{plural(table.rejected, 'record')} could not be read" + (f": {shown}" if shown else ""))
    if table.clusters() is None and not table.per_step:
        made.append(
            "no prompt is known: answers to one prompt were counted as independent, which makes intervals narrow"
        )
    if table.rows < 30:
        verb = "is" if table.rows == 1 else "are"
        made.append(f"there {verb} {plural(table.rows, 'row')}: most limits cannot be decided")
    return made + [
        f"{one.title}: {one.reason}"
        for one in every
        if one.status in ("warn", "pass", "info") and one.reason not in ("", UNDECIDED) and "codes" not in one.details
    ]
