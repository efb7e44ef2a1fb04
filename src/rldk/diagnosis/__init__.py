"""`rldk doctor` as functions: a source goes in, a Report comes out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from rldk.cards.series import key_series
from rldk.core.model import Report, Run
from rldk.engine.reference import baseline
from rldk.engine.scan import scan
from rldk.errors import UsageError

if TYPE_CHECKING:
    from rldk.core.reference import Reference
    from rldk.rules.files.load import RuleFile


def diagnose(
    source: Any,
    rules: str = "default",
    select: str | Iterable[str] | None = None,
    ignore: str | Iterable[str] | None = None,
    config: Mapping[str, Any] | None = None,
    *,
    reference: Any = None,
) -> Report:
    """The diagnosis of the one run in `source`: a path, anything else `ingest_runs` reads, or a `Run`.

    `rules`: a preset or a rule file. `select`, `ignore`: codes, families or names of rules, which narrow it. `config`:
    hyper-parameters of the training that the log does not carry. Rules read them beside the log's own, which win.
    `reference`: an approved run (as `source`). Rules that know what is material for a metric also compare it with that
    run, from the first rows on. Raises `UsageError` when the source holds several runs (use `diagnose_all`), and the
    errors of the adapters."""
    found = runs_in(source)
    if len(found) > 1:
        names = ", ".join(run.id for run in found[:5]) + (", ..." if len(found) > 5 else "")
        raise UsageError(
            f"{source} holds {len(found)} runs: {names}", hint="name one of them, or use rldk.diagnosis.diagnose_all"
        )
    approved = None if reference is None else baseline(reference)
    return diagnose_run(found[0], rules, select, ignore, config, reference=approved)


def diagnose_all(
    source: Any,
    rules: str = "default",
    select: str | Iterable[str] | None = None,
    ignore: str | Iterable[str] | None = None,
    config: Mapping[str, Any] | None = None,
) -> list[Report]:
    """One report for each run in `source`."""
    return [diagnose_run(run, rules, select, ignore, config) for run in runs_in(source)]


def diagnose_run(
    run: Run,
    rules: str | RuleFile = "default",
    select: str | Iterable[str] | None = None,
    ignore: str | Iterable[str] | None = None,
    config: Mapping[str, Any] | None = None,
    *,
    reference: Reference | None = None,
    curves: bool = True,
) -> Report:
    """The report of a run that is already open, with the curves and the refused lines that renderers show.

    `curves`: whether it has every curve that a page draws. Otherwise it has those that a terminal draws: the metrics
    that lead an incident."""
    from rldk.rules.chosen import chosen_rules

    chosen = chosen_rules(rules, select, ignore)
    if config:
        run = replace(run, meta=replace(run.meta, config={**config, **run.meta.config}))
    return _shown(run, scan(run, chosen, reference), curves=curves)


def diagnose_together(
    runs: Sequence[Run],
    rules: str | RuleFile = "default",
    select: str | Iterable[str] | None = None,
    ignore: str | Iterable[str] | None = None,
    *,
    curves: bool = True,
) -> list[Report]:
    """The reports of `diagnose_run`, for many short runs at once."""
    from rldk.engine.stacks.stack import scan_all
    from rldk.rules.chosen import chosen_rules

    reports = scan_all(runs, chosen_rules(rules, select, ignore))
    return [_shown(run, report, curves=curves) for run, report in zip(runs, reports, strict=True)]


def _shown(run: Run, report: Report, *, curves: bool) -> Report:
    """The report with what renderers show beside it."""
    leading = {incident.first_mover for incident in report.incidents if incident.severity != "info"}
    series = key_series(
        run.metrics,
        [f.metric for f in report.findings],
        _worth_drawing(run.meta.names) if curves else (),
        None if curves else leading,
    )
    rejected = [{"line": r.line, "reason": r.reason, "excerpt": r.excerpt} for r in run.rejected[:5]]
    return replace(report, meta={**report.meta, "names": dict(run.meta.names), "rejected": rejected, "series": series})


def _worth_drawing(names: Iterable[str]) -> list[str]:
    """Canonical metrics, without counters: the curve of a counter is only a ramp."""
    from rldk.core.vocabulary import vocabulary

    return [name for name in names if vocabulary().metric(name).direction != "counter"]


def runs_in(source: Any, **reading: Any) -> list[Run]:
    """The runs in `source`. Each has as its own `source` the path that opens it alone. `reading`: the options of
    `open_runs`."""
    if isinstance(source, Run):
        return [source]
    from rldk.adapters.open import open_runs

    found = open_runs(source, **reading)
    if len(found) == 1 and isinstance(source, str | os.PathLike):
        return [replace(found[0], source=os.fspath(source))]
    return [replace(run, source=home_of(run)) for run in found]


def home_of(run: Run) -> str:
    """The file of a run, or the directory of its files."""
    files = run.meta.files
    return os.path.commonpath([Path(f).parent for f in files]) if len(files) > 1 else run.source
