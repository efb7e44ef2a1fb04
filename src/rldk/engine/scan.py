"""Scans a finished run: the live engine takes every row, and a report is built."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec

from rldk.core.configuration.nested import with_dotted
from rldk.core.model import Report, Run, RunMeta, SampleTable
from rldk.core.reference import Baseline, Reference
from rldk.core.table import MetricTable, Row
from rldk.engine.features.window import Feature
from rldk.engine.frame import MAKERS
from rldk.engine.live import Engine
from rldk.engine.report.build import build_report
from rldk.engine.views import run_views
from rldk.rules.normal import normals
from rldk.rules.rule import Context, Rule

SEVERAL_BLOCKS = 2_000  # rows; numpy features pay from the second block on
# Numba takes 125 MB, measured on 286,500 rows of 25 metrics (255 instead of 130), and saves little beside numpy.
LONG_ROWS = 2_000_000


def context_of(meta: RunMeta, reference: Baseline | None = None) -> Context:
    """What rules may know of a run besides its rows. `names` and `estimators` are shared with `meta`."""
    return Context(
        algorithm=meta.algorithm,
        framework=meta.framework,
        total_steps=meta.total_steps,
        config=with_dotted(meta.config),
        environment=meta.environment,
        packages=meta.packages,
        estimators=meta.estimators,
        names=meta.names,
        clock=meta.clock,
        reference=reference,
    )


def rule_columns(run: Run) -> MetricTable:
    """The columns that rules see: canonical ones, and those of the user that have no canonical name."""
    told_twice = set(run.meta.names.values()) - set(run.meta.names)
    return run.metrics.select([name for name in run.metrics.columns if name not in told_twice])


def rows_of(run: Run) -> Iterator[Row]:
    """The rows that rules see, with the metrics of their samples."""
    rows = rule_columns(run).rows()
    if run.samples is None or run.sample_reader is not None:
        return rows
    from rldk.engine.sample_metrics import add_sample_metrics

    return add_sample_metrics(rows, run.samples)


def rows_with_samples(run: Run, engine: Engine) -> Iterator[Row] | None:
    """The rows that rules see, each after its samples, which the engine is given. None for a run without samples."""
    samples = run.sample_reader if run.sample_reader is not None else run.samples
    if samples is None:
        return None
    from rldk.engine.sample_rows import SampleRows, rows_and_samples, samples_in

    each = samples_in(samples.columns if isinstance(samples, SampleTable) else samples)
    beside = SampleRows(engine, alone=not len(run.metrics))
    return rows_and_samples(rule_columns(run).rows(), each, beside)


def makers(rows: int) -> Mapping[str, Callable[..., Feature]]:
    """The feature factories for a run of this length: those that numpy computes once a run has more than a few blocks,
    and compiled ones where numba is installed and saves time."""
    if rows < SEVERAL_BLOCKS:
        return MAKERS
    from rldk.engine.features.vectorised import VECTORISED

    if rows >= LONG_ROWS and find_spec("numba") is not None:
        from rldk.engine.features.compiled import COMPILED

        return MAKERS | VECTORISED | COMPILED
    return MAKERS | VECTORISED


def scan(run: Run, rules: Sequence[Rule], reference: Baseline | None = None) -> Report:
    """The report of a whole run under the given rules, with the notes of every registered normal pattern.

    `reference`: an approved run that rules may compare this one with. Rules over pairs of runs see both, where it is a
    `Reference` that knows its run."""
    from rldk.engine.column_frame import ColumnFrame  # loads numpy
    from rldk.engine.course import follow
    from rldk.engine.mixed import follow_rows
    from rldk.engine.stretches import chunks
    from rldk.engine.table_blocks import table_blocks

    asked = (*rules, *normals)
    engine = Engine(asked, context_of(run.meta, reference), makers=makers(len(run.metrics)), columns=ColumnFrame)
    rows = rows_with_samples(run, engine)
    if rows is not None:
        follow_rows(engine, rows)
    elif (parts := chunks(rule_columns(run))) is not None:
        follow(engine, parts)
    else:
        engine.feed_blocks(table_blocks(rule_columns(run)))
    return report_of(run, engine, asked, reference)


def report_of(run: Run, engine: Engine, asked: tuple[Rule, ...], reference: Baseline | None = None) -> Report:
    """The report of a run that the engine has seen."""
    meta = run.meta
    approved = reference.run if isinstance(reference, Reference) else None
    return build_report(
        engine,
        asked,
        views=run_views(asked, run, approved),
        meta={
            "run": run.id,
            "source": run.source,
            "format": meta.format,
            "framework": meta.framework,
            "framework_version": meta.framework_version,
            "algorithm": meta.algorithm,
            "files": list(meta.files),
            "left_out": dict(meta.left_out),
            "notes": list(meta.notes),
            "clock": meta.clock,
            "total_steps": meta.total_steps,
        },
        numbers={"lines": run.lines, "rejected": run.rejected_count, "metrics": len(meta.names)},
    )
