"""Reads evaluation data: a table in memory or in a file, the output of an evaluation tool, or a run."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rldk.adapters.frame import is_frame
from rldk.adapters.records import read_records
from rldk.adapters.tables.folder import parts_of_table
from rldk.adapters.tables.rows import AnswerRows
from rldk.core.external.text_cells import GatheredColumns
from rldk.core.model import Run, SampleTable
from rldk.core.samples.column_names import getter_of
from rldk.errors import MalformedInput, NoData, NotALog
from rldk.evals.columns import find_columns
from rldk.evals.formats import CHOICES, converter_of, records_of_tool
from rldk.evals.grading import graded
from rldk.evals.row_ids import without_row_ids
from rldk.evals.table import EvalTable

LONG = 1 << 20  # characters of a text that are kept
STEP_NOTE = "every row is a step of a log: evaluations of single answers need per-sample records"

Columns = Mapping[str, str]


def read_table(source: Any, columns: Columns | None = None) -> EvalTable:
    """The evaluation data in the source. `columns`: field -> column, where the names are unusual; for `filter`,
    `metric` and `scorer` the filter and metric of lm-evaluation-harness and the scorer of inspect_ai that count.

    `source`: a DataFrame, a list of dicts, JSON lines, JSON, CSV, Parquet, samples of lm-evaluation-harness, a log of
    inspect_ai, results of RewardBench, or a run of any format. Raises `UnreadableSource`, `NoData`, `NotALog`,
    `MalformedInput`, `UnknownName` and `MissingExtra`."""
    given = dict(columns or {})
    if isinstance(source, EvalTable):
        return source
    if isinstance(source, Run):
        return table_of_run(source, given)
    if isinstance(source, list | tuple) and not source:
        raise NoData("the list of samples is empty", hint="give at least one row")
    if isinstance(source, list | tuple) or is_frame(source):
        return table_of_records(rows_in_memory(source), given, source="memory")
    if not isinstance(source, str | os.PathLike):
        raise NotALog(f"{type(source).__name__} is no table", hint="give a DataFrame, a list of dicts, or a path")
    path = Path(source)
    if path.is_dir() and (told := records_of_tool(path)) is None:
        return _of_folder(path, given)
    told = records_of_tool(path)
    if told is not None:
        form, records = told
        return table_of_records(records, given, source=os.fspath(source), form=form)
    if path.is_file():
        table = _of_file(path, given)
        if table is not None:
            return table
    from rldk.adapters.open import open_run

    return table_of_run(open_run(os.fspath(source)), given)


def _of_folder(path: Path, given: Columns) -> EvalTable:
    """The table of a run's directory; of a folder that is none, that of the files in it."""
    from rldk.adapters.open import open_run

    try:
        return table_of_run(open_run(os.fspath(path)), given)
    except (NotALog, NoData, MalformedInput):
        if not parts_of_table(path):
            raise
    return table_of_records(read_records(path), given, source=os.fspath(path))


def _of_file(path: Path, given: Columns) -> EvalTable | None:
    """The table of a file of records; None where its records are no answers, as of a log of steps."""
    try:
        table = table_of_records(read_records(path), given, source=os.fspath(path))
    except NotALog:
        return None
    if table.rows == 1 and {"raw_results", "suite"} <= set(table.names):
        raise NotALog(
            f"{path} is the result of an evaluation, not the answers", hint="give the file that was evaluated"
        )
    answers = (
        "response",
        "correct",
        "choice",
        "chosen_score",
        "before",
        "toxicity",
        "refused",
        "complied",
        "prompt_id",
    )
    if table.per_step or not (given or any(table.has(field) for field in answers)):
        from rldk.adapters.open import open_run
        from rldk.errors import InputError

        try:
            return table_of_run(open_run(os.fspath(path)), given)
        except InputError:
            return table
    return table


def rows_in_memory(source: Any) -> Iterator[Any]:
    """Yields the rows of a list, or of a DataFrame as mappings, one by one."""
    if isinstance(source, list | tuple):
        yield from source
        return
    frame = source if hasattr(source, "iloc") else source.to_pandas()
    names = [str(name) for name in frame.columns]
    for row in frame.itertuples(index=False, name=None):
        yield dict(zip(names, row, strict=True))


def table_of_records(records: Iterable[Any], given: Columns, *, source: str, form: str = "table") -> EvalTable:
    """The table of mappings, one a row. A record that is none is rejected and counted; the rest is kept."""
    rows = AnswerRows(records, "record")
    converter = converter_of(rows.first)
    if converter is not None:
        form = converter.form
    rows.look(converter.convert if converter is not None else dict if form in CHOICES else None)
    if rows.empty:
        raise NoData(f"{source} has no rows", hint="was it written?")
    choices = CHOICES.get(form, ())
    wanted = {choice: given[choice] for choice in choices if choice in given}
    named = {field: name for field, name in given.items() if field not in choices}
    found = find_columns(rows.names, named)
    gathered = GatheredColumns(found)
    count, value = 0, getter_of(found.values())
    for row, grown in rows:
        if grown:
            found = find_columns(rows.names, named)
            gathered.widen(found, count)
            value = getter_of(found.values())
        count += 1
        gathered.append({name: _kept(value(row, column)) for name, column in found.items()})
    if not count:
        raise NoData(f"{source} has no record that can be read", hint="; ".join(rows.reasons) or "was it written?")
    kept: dict[str, Sequence[Any]] = {
        name: values for name, values in gathered.cells.items() if any(v is not None and v == v for v in values)
    }
    empty = {name: values for name, values in gathered.cells.items() if name not in kept and name != "grades"}
    hollow = {name: "null" if all(v is None for v in values) else "NaN" for name, values in empty.items()}
    table = EvalTable(
        rows=count,
        cells=kept,
        hollow=hollow,
        columns={name: found[name] for name in kept},
        names=tuple(rows.names),
        source=source,
        form=form,
        rejected=rows.rejected,
        reasons=tuple(rows.reasons),
        notes=rows.notes,
        per_step="step" in kept and not (kept.keys() & {"response", "prompt", "prompt_id", "correct", "probe"}),
    )
    return graded(without_row_ids(table, named), wanted)


def _kept(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= LONG else value[: LONG // 2] + value[-LONG // 2 :]
    return value


def table_of_run(run: Run, given: Columns) -> EvalTable:
    """The samples of a run, or its rows where it has none. The run stays beside them."""
    from msgspec.structs import replace

    if run.sample_reader is not None or run.samples is not None:
        records = map(_record, run.sample_reader) if run.sample_reader is not None else _sample_rows(run.samples)
        table = table_of_records(records, given, source=run.source, form=run.meta.format)
        return replace(table, run=run, rejected=table.rejected + run.rejected_count)
    metrics = run.metrics
    if not len(metrics):
        raise NoData(f"{run.source} has no rows", hint="`rldk validate-format` says what is wrong with it")
    training = metrics.phase == 0
    rows = training if training.any() else metrics.phase >= 0
    columns = {"step": metrics.step[rows].tolist()}
    columns |= {name: values[rows].tolist() for name, values in metrics.columns.items() if name != "step"}
    named = {"reward": "reward_mean", **given}
    found = find_columns(columns, {field: name for field, name in named.items() if name in columns or field in given})
    found = {name: column for name, column in found.items() if name in ("step", "reward") or name in given}
    return EvalTable(
        rows=int(rows.sum()),
        cells={name: columns[column] for name, column in found.items()},
        columns=found,
        names=tuple(columns),
        source=run.source,
        form=run.meta.format,
        rejected=run.rejected_count,
        notes=(STEP_NOTE,),
        per_step=True,
        run=run,
    )


def _record(sample: Any) -> dict[str, Any]:
    """A sample as a record; of several reward functions without a total, their sum."""
    made: dict[str, Any] = sample.record()
    parts = [value for value in sample.components.values() if value is not None]
    if "reward" not in made and parts:
        made["reward"] = sum(parts)
    return made


def _sample_rows(samples: SampleTable | None) -> Iterator[dict[str, Any]]:
    columns = {} if samples is None else samples.columns
    for row in range(0 if samples is None else len(samples)):
        yield {name: values[row] for name, values in columns.items()}
