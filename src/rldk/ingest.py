"""Any training log as a DataFrame, as events, or as a file of another format."""

from __future__ import annotations

import json
import math
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from msgspec import Struct
from msgspec.structs import replace

from rldk.adapters.frame import to_frame
from rldk.adapters.naming.first_rows import opening_of
from rldk.adapters.naming.guess import field_map_hint
from rldk.adapters.open import AnySource, open_runs
from rldk.core.events import read_events
from rldk.core.extras import need
from rldk.core.files import whole
from rldk.core.model import Event, Run
from rldk.core.text import later
from rldk.core.vocabulary import vocabulary
from rldk.errors import ConfigError, InputError, OutputError, UnknownName, UsageError

if TYPE_CHECKING:
    import pandas as pd

Validation = Literal["strict", "flexible", "lenient"]
# A spreadsheet takes such text for the beginning of a formula, also in full width and behind blanks.
_FORMULA = later(r"[\s\0]*[=+\-@\uff1d\uff0b\uff0d\uff20]")
_BREAKS = later(r"[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+")


class UnknownFields(UserWarning):
    """Warns about a log in which no column has a known name, or which lacks a required field."""


class RunSet(Struct, frozen=True):
    """Several runs. Iterating and indexing give DataFrames. An index is a position or a run id."""

    runs: tuple[Run, ...]

    def __len__(self) -> int:
        return len(self.runs)

    def __iter__(self) -> Iterator[pd.DataFrame]:
        return (to_frame(run) for run in self.runs)

    def __getitem__(self, index: int | str) -> pd.DataFrame:
        if isinstance(index, int):
            return to_frame(self.runs[index])
        for run in self.runs:
            if run.id == index:
                return to_frame(run)
        raise UnknownName("run", index, self.ids)

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(run.id for run in self.runs)

    def concat(self) -> pd.DataFrame:
        """All runs below each other. `run_id` tells them apart; a metric that a run lacks is NaN there."""
        import pandas as pd

        return pd.concat(list(self), ignore_index=True, sort=False)


def ingest_runs(
    source: AnySource,
    adapter_hint: str | None = None,
    adapter: str | None = None,
    field_map: Mapping[str, str] | None = None,
    *,
    strict: bool = False,
    validation_mode: Validation = "flexible",
    required_fields: Sequence[str] = (),
) -> pd.DataFrame | RunSet:
    """The log as a DataFrame with canonical columns. The result is a `RunSet` for a list, and where there are several
    runs.

    `adapter` reads with that adapter and no other. `adapter_hint` tries it first and detects the format when it cannot
    read the source. `validation_mode`: "strict" makes a bad line, a log without a known column and a missing required
    field an error; "flexible" only the missing field; "lenient" warns of it. Raises what `rldk.adapters.open_runs`
    raises."""
    runs = read_runs(source, adapter_hint, adapter, field_map, strict=strict or validation_mode == "strict")
    validate(runs, validation_mode, required_fields)
    if len(runs) > 1 or _is_list(source):
        return RunSet(tuple(runs))
    return to_frame(runs[0])


def read_runs(
    source: AnySource,
    adapter_hint: str | None = None,
    adapter: str | None = None,
    field_map: Mapping[str, str] | None = None,
    *,
    strict: bool = False,
) -> list[Run]:
    """The runs of `ingest_runs`, before they become frames."""
    if adapter is not None or adapter_hint is None:
        return open_runs(source, adapter=adapter, field_map=field_map, strict=strict)
    try:
        return open_runs(source, adapter=adapter_hint, field_map=field_map, strict=strict)
    except InputError:
        return open_runs(source, field_map=field_map, strict=strict)


def ingest_runs_to_events(source: AnySource, adapter_hint: str | None = None) -> list[Event]:
    """One event for each logged row of every run, in order.

    Metrics are canonical, or the user's own where no canonical name is known. A missing metric is absent; NaN was
    stated by the source. Other fields of row events (`rng`, `data_slice`, `model_info`, `notes`) are kept."""
    return [event for run in read_runs(source, adapter_hint) for event in events(run)]


def events(run: Run) -> Iterable[Event]:
    """The rows of a run as events. Row events stay as they were written, with canonical metrics."""
    rows = list(_rows(run))
    written = _written(run)
    return _renamed(written, rows, run) if written else rows


def _written(run: Run) -> list[Event]:
    """The row events that the run was read from. Empty when it was read from something else."""
    path = Path(run.meta.files[0]) if run.meta.format == "jsonl" and run.meta.files else None
    if path is None or not path.is_file():
        return []
    found = read_events(path)
    return found if any(e.rng or e.data_slice or e.notes for e in found) else []


def _renamed(written: Iterable[Event], rows: Sequence[Event], run: Run) -> Iterator[Event]:
    """The events with the metrics of their rows. Several events of one step may share a row."""
    names: dict[str, list[str]] = {}
    for name, key in run.meta.names.items():
        names.setdefault(key, []).append(name)
    at, taken = 0, set[str]()
    for event in written:
        while at < len(rows) and (rows[at].step != event.step or taken & event.metrics.keys()):
            at, taken = at + 1, set()
        if at == len(rows):  # a line that the table has refused
            return
        taken |= event.metrics.keys()
        metrics: dict[str, float | None] = {}
        for key, value in event.metrics.items():
            known = names.get(key, [key])
            there = {name: rows[at].metrics[name] for name in known if name in rows[at].metrics}
            metrics |= there or {known[0]: value}
        yield replace(event, metrics=metrics)


def _rows(run: Run) -> Iterator[Event]:
    renamed = set(run.meta.names.values()) - set(run.meta.names)
    table = run.metrics.select([name for name in run.metrics.columns if name not in renamed])
    rng = {} if run.meta.seed is None else {"seed": run.meta.seed}
    info = {"run_id": run.id} | ({"git_sha": run.meta.git_sha} if run.meta.git_sha else {})
    for row in table.rows():
        tokens = {name: row.values[name] for name in ("tokens_in", "tokens_out") if name in row.values}
        yield Event(
            step=row.step,
            wall_time=None if math.isnan(row.time) else row.time,
            metrics=dict(row.values),
            rng=dict(rng),
            data_slice=dict(tokens),
            model_info={**info, "phase": row.phase},
        )


def validate(runs: Iterable[Run], mode: Validation, required: Sequence[str] = ()) -> None:
    """Raises `ConfigError`, or warns with `UnknownFields`, as `ingest_runs` describes."""
    if mode not in get_args(Validation):
        raise UsageError(f"unknown validation mode {mode!r}", hint=f"one of {', '.join(get_args(Validation))}")
    for run in runs:
        if not run.meta.names:
            hint = field_map_hint(opening_of(run.metrics))
            _complain(f"{run.source}: no column has a known name; {hint}", error=mode == "strict")
        present = {"step", "phase", "run_id", *run.metrics.columns}
        missing = [name for name in required if not _carries(present, name)]
        if missing:
            _complain(f"{run.source} lacks {', '.join(missing)}", error=mode != "lenient")


def _carries(present: set[str], name: str) -> bool:
    return name in present or vocabulary().canonical(name) in present


def _complain(message: str, *, error: bool) -> None:
    if error:
        raise ConfigError(message, hint='map your own names with --field-map \'{"YOURS": "reward_mean"}\'')
    warnings.warn(message, UnknownFields, stacklevel=4)


def write(runs: Run | Sequence[Run], path: str | os.PathLike[str]) -> None:
    """Writes the frame of one run, or of several below each other. The suffix decides: .jsonl, .csv or .parquet.

    The file appears whole or not at all. JSONL leaves missing values out and spells stated NaN "NaN". In CSV, a text
    that a spreadsheet would take for a formula gets an apostrophe in front. Raises `UsageError` for another suffix and
    `MissingExtra` for Parquet without pyarrow."""
    target = Path(path)
    writers: dict[str, Callable[[list[Run], Path], None]] = {
        ".jsonl": _write_jsonl,
        ".csv": _write_csv,
        ".parquet": _write_parquet,
    }
    writer = writers.get(target.suffix.lower())
    if writer is None:
        raise UsageError(f"cannot write {target}: unknown suffix", hint=f"one of {', '.join(writers)}")
    try:
        with whole(target) as part:
            writer([runs] if isinstance(runs, Run) else list(runs), part)
    except OSError as error:
        raise OutputError.of(target, error) from None


def _write_jsonl(runs: list[Run], path: Path) -> None:
    with path.open("w", encoding="utf-8") as out:
        for run in runs:
            lead = {"run_id": run.id, "seed": run.meta.seed, "git_sha": run.meta.git_sha}
            known = {key: value for key, value in lead.items() if value is not None}
            for row in run.metrics.rows():
                head: dict[str, Any] = {"step": row.step, "phase": row.phase}
                if not math.isnan(row.time):
                    head["wall_time"] = row.time
                values = {k: v if math.isfinite(v) else _spelled(v) for k, v in row.values.items() if k not in head}
                out.write(json.dumps(head | known | values, ensure_ascii=False) + "\n")


def _spelled(value: float) -> str:
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def _write_csv(runs: list[Run], path: Path) -> None:
    frame = RunSet(tuple(runs)).concat()
    for name in ("run_id", "git_sha"):
        if name in frame:
            frame[name] = frame[name].map(_harmless)
    frame.rename(columns=_harmless).to_csv(path, index=False)


def _harmless(text: object) -> object:
    """The text on one line, with an apostrophe in front where a spreadsheet would see a formula."""
    if not isinstance(text, str):
        return text
    line = _BREAKS.sub(" ", text)
    return f"'{line}" if _FORMULA.match(line) else line


def _write_parquet(runs: list[Run], path: Path) -> None:
    with need("parquet", "pyarrow"):
        import pyarrow  # noqa: F401
    RunSet(tuple(runs)).concat().to_parquet(path, index=False, engine="pyarrow")


def _is_list(source: object) -> bool:
    if isinstance(source, str | os.PathLike) or not isinstance(source, Sequence):
        return False
    return not (source and all(isinstance(row, Mapping) for row in source))
