"""Reads reward data from anything: a table in memory, Parquet, JSON lines, JSON, CSV, or a run of any format."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from rldk.adapters.frame import is_frame
from rldk.adapters.records import read_records, text_form
from rldk.adapters.tables.arrow import is_arrow
from rldk.adapters.tables.cells import plain_cell
from rldk.adapters.tables.folder import parts_of_table
from rldk.adapters.tables.rows import AnswerRows
from rldk.adapters.tables.several import holds_several
from rldk.core.external.text_cells import LARGE, GatheredColumns
from rldk.core.model import Run
from rldk.core.samples.column_names import getter_of
from rldk.core.stream import open_binary
from rldk.core.table import MetricTable
from rldk.errors import MalformedInput, NoData, NotALog
from rldk.reward.columns import REWARDS, find_columns
from rldk.reward.scorer_columns import list_column, scorer_columns
from rldk.reward.table import RawTable

MOST_ROWS = 50_000_000
STEP_NOTE = "every row is a step of a log: checks on single answers need per-sample records"
OF_ANSWERS = frozenset({"prompt", "prompt_id", "response", "id", "label", "position", "split", "chosen", "rejected",
                        "chosen_score", "rejected_score"})  # fmt: skip

Given = Mapping[str, str | None]


def read_raw(source: Any, given: Given, *, as_texts: bool = False) -> RawTable:
    """The columns of the source that mean something. `given`: field -> column, where the user named one. `as_texts`:
    names in Parquet are columns of text, which are read as they are used, and not codes with all names in memory.

    Long texts of other files stand in temporary files.
    Raises `UnreadableSource`, `MalformedInput`, `NoData`, `NotALog`, `MissingExtra`, and the errors of `open_run`."""
    if is_frame(source):
        return _of_steps(_of_frame(source, given), given)
    if isinstance(source, list | tuple) and not source:
        raise NoData("the list of samples is empty", hint="give at least one row")
    if isinstance(source, Run):
        return of_run(source, given)
    if not isinstance(source, str | os.PathLike):
        raise NotALog(f"{type(source).__name__} is no table", hint="give a DataFrame, a list of dicts, or a path")
    path = Path(source)
    if path.is_dir():
        return _of_folder(path, given)
    if not path.is_file():
        return _of_log(os.fspath(source), given)
    with open_binary(path) as stream:
        head = stream.read(4096)
    if not head.strip():
        raise NoData(f"{path} is empty", hint="was it written?")
    if head.startswith(b"PAR1"):
        from rldk.reward.parquet import holds_rows_of_answers, read_parquet

        if holds_rows_of_answers(path, given):
            return of_records(read_records(path), given, source=os.fspath(path))
        return _of_steps(read_parquet(path, given, as_texts=as_texts), given)
    if is_arrow(head):
        return of_records(read_records(path), given, source=os.fspath(path))
    form = text_form(head, path)
    if form:
        table = of_records(read_records(path), given, source=os.fspath(path))
        return _of_steps(table, given) if _has_reward(table) else _of_log(os.fspath(path), given, instead=table)
    return _of_log(os.fspath(path), given)


def _of_steps(table: RawTable, given: Given) -> RawTable:
    """The table of a log of steps without the rows that state no reward; any other table as it is."""
    found = find_columns(table.names, {field: name for field, name in given.items() if name in table.names})
    if "step" not in found or "reward" not in found or OF_ANSWERS & found.keys():
        return table
    steps, rewards = table.number(found["step"]), table.cells.get(found["reward"])
    if rewards is not None:
        rows = np.array([value is not None for value in rewards], dtype=bool)
    else:  # of a frame, where NaN also stands for a value that was never written
        rows = ~np.isnan(table.number(found["reward"]))
    if not rows.any() or not np.isfinite(steps[rows]).all() or len(np.unique(steps[rows])) < rows.sum():
        return table  # a step with several rewards holds answers
    kept = np.flatnonzero(rows).tolist()
    cells = {name: [values[row] for row in kept] for name, values in table.cells.items()}
    numbers = {name: values[rows] for name, values in table.numbers.items()}
    left = f"{table.rows - len(kept):,} of {table.rows:,} rows state no reward and were left out"
    notes = (*table.notes, STEP_NOTE, *((left,) if len(kept) < table.rows else ()))
    return replace(table, rows=len(kept), cells=cells, numbers=numbers, parsed={}, notes=notes, steps=True)


def _of_folder(path: Path, given: Given) -> RawTable:
    """The table of a run's directory; of a folder that is none, that of the files in it."""
    try:
        found = _of_log(os.fspath(path), given)
        if _has_reward(found):
            return found
    except (NotALog, NoData, MalformedInput):
        if not parts_of_table(path):
            raise
        return of_records(read_records(path), given, source=os.fspath(path))
    parts = of_records(read_records(path), given, source=os.fspath(path)) if parts_of_table(path) else found
    return parts if _has_reward(parts) else found


def _has_reward(table: RawTable) -> bool:
    known = find_columns(table.names, {})
    return "reward" in known or "chosen_score" in known or bool(scorer_columns(table.names) or list_column(table.names))


def _of_frame(source: Any, given: Given) -> RawTable:
    import pandas as pd

    if isinstance(source, list | tuple):
        return of_records(source, given, source="memory", large=sys.maxsize)
    frame = source if isinstance(source, pd.DataFrame) else source.to_pandas()
    if not len(frame):
        raise NoData("the table has no rows", hint="check the filter that made it")
    if _needs_its_rows(frame):
        return of_records(_rows_of_frame(frame), given, source="memory")
    named = {str(column): column for column in frame.columns}
    table = RawTable(rows=len(frame), source="memory", names=tuple(named))
    for name in _columns(table.names, given):
        column = frame[named[name]]
        if column.dtype.kind in "iufb":
            table.numbers[name] = column.to_numpy(dtype=np.float64, na_value=np.nan)
        else:
            table.cells[name] = [plain_cell(value) for value in column.tolist()]
    return table


def _needs_its_rows(frame: Any) -> bool:
    """Whether a row holds several answers, or its reward stands in an object."""
    first = next(_rows_of_frame(frame.iloc[:1]), {})
    objects = any(isinstance(value, Mapping) for value in first.values())
    return holds_several(first) or (objects and not _has_reward(RawTable(rows=1, names=tuple(first))))


def _rows_of_frame(frame: Any) -> Iterator[dict[str, Any]]:
    names = [str(name) for name in frame.columns]
    for row in frame.itertuples(index=False, name=None):
        yield dict(zip(names, row, strict=True))


def _columns(names: Iterable[str], given: Given) -> list[str]:
    known = list(names)
    asked = [name for name in given.values() if name in known]
    own = scorer_columns(known, given.get("scorers"))
    lists = list_column(known)
    return list(dict.fromkeys([*find_columns(known, {}).values(), *(n for n in (*asked, *own, lists) if n)]))


def of_records(records: Iterable[Any], given: Given, *, source: str, large: int = LARGE) -> RawTable:
    """The table of mappings, one a row. A row with several answers to its prompt becomes one row for each. A record
    that is no mapping is rejected; the rest is kept. `large`: bytes of a column's texts that stay in memory."""
    rows = AnswerRows(records)
    rows.look()
    wanted = _columns(rows.names, given)
    gathered = GatheredColumns(wanted, large=large)
    count, value = 0, getter_of(wanted)
    for row, grown in rows:
        if grown:
            wanted = _columns(rows.names, given)
            gathered.widen(wanted, count)
            value = getter_of(wanted)
        count += 1
        gathered.append({name: value(row, name) for name in wanted})
        if count > MOST_ROWS:
            raise MalformedInput(f"{source} has more than {MOST_ROWS:,} rows", hint="give a sample of them")
    return RawTable(
        rows=count,
        source=source,
        names=tuple(rows.names),
        cells=dict(gathered.cells),
        rejected=rows.rejected,
        reasons=tuple(rows.reasons),
        notes=rows.notes,
    )


def _of_log(source: str, given: Given, instead: RawTable | None = None) -> RawTable:
    """The table of a run in any format; `instead`, where the source is no run at all."""
    from rldk.adapters.open import open_run

    try:
        found = of_run(open_run(source), given)
    except (NotALog, NoData, MalformedInput):
        if instead is None:
            raise
        return instead
    return instead if instead is not None and not _has_reward(found) else found


def of_run(run: Run, given: Given) -> RawTable:
    """The samples of a run, or its rows where it has none."""
    if run.sample_reader is not None or run.samples is not None:
        return _of_samples(run)
    columns = dict(run.metrics.columns)
    if not len(run.metrics):
        raise NoData(f"{run.source} has no rows", hint="`rldk validate-format` says what is wrong with it")
    training = run.metrics.phase == 0
    rows = training if training.any() else np.ones(len(run.metrics), dtype=bool)
    rows &= _rows_with_rewards(run.metrics, given)
    numbers = {name: np.asarray(column)[rows] for name, column in columns.items()}
    numbers["step"] = run.metrics.step[rows].astype(np.float64)
    names = tuple(numbers)
    return RawTable(
        rows=int(rows.sum()),
        source=run.source,
        names=names,
        numbers=numbers,
        rejected=run.rejected_count,
        notes=(STEP_NOTE,),
        steps=True,
    )


def _rows_with_rewards(metrics: MetricTable, given: Given) -> NDArray[np.bool_]:
    """Which rows of a log state a reward, shape (rows,): many loggers write each metric at steps of its own. All rows,
    where none does."""
    found = find_columns(metrics.columns, {field: name for field, name in given.items() if name in metrics.columns})
    named = [found[field] for field in REWARDS if field in found]
    told = np.zeros(len(metrics), dtype=bool)
    for name in named:
        told |= ~np.isnan(metrics.columns[name])
        told[metrics.stated_nan.get(name, [])] = True
    return told if told.any() else np.ones(len(metrics), dtype=bool)


def _of_samples(run: Run) -> RawTable:
    names = ("step", "reward", "prompt_id", "response", "n_tokens", "prompt")
    cells: dict[str, list[Any]] = {name: [] for name in names}
    if run.sample_reader is not None:
        for sample in run.sample_reader:
            parts = [value for value in sample.components.values() if value is not None]
            reward = sample.reward if sample.reward == sample.reward else sum(parts) if parts else None
            told = (sample.step, reward, sample.prompt_key, sample.response, sample.n_tokens, sample.prompt)
            for name, value in zip(names, told, strict=True):
                cells[name].append(value)
    elif run.samples is not None:
        columns, count = run.samples.columns, len(run.samples)
        cells = {name: list(columns.get(name) or [None] * count) for name in names}
    there = {name: c for name, c in cells.items() if any(v is not None and v == v for v in c)}
    rows = len(cells["reward"])
    return RawTable(rows=rows, source=run.source, names=tuple(there), cells=dict(there), rejected=run.rejected_count)
