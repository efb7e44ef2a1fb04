"""Reads the completions that TRL keeps with `log_completions`: a parquet file for each step, a row for each one."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, ClassVar

from rldk.adapters.base import BaseAdapter, adapter
from rldk.adapters.formats.trl import whole
from rldk.adapters.log import Log
from rldk.adapters.source import File
from rldk.core.extras import need
from rldk.core.model import Rejected, SampleReader, SampleTable
from rldk.core.records import to_number
from rldk.core.samples import Sample, text_of, to_sample
from rldk.core.table import TableBuilder
from rldk.errors import MalformedInput, NoData

MAX_SAMPLES = 1_000_000
KEPT_CHARACTERS = 32 << 20  # of texts in the table of a run; its reader gives all completions
MAX_BYTES = 1 << 28  # of one file, uncompressed
_MAGIC = b"PAR1"
_FOOTER_BYTES = 1 << 16
_NAMES = (b"step", b"prompt", b"completion")
_OWN = frozenset({"step", "prompt", "completion", "advantage", "reward"})


class Samples:
    """Gathers rows of TRL's completions table. Reward functions become `reward_components`. A NaN reward counts as
    missing, because TRL writes NaN when a function returned None. `reward` is known for a single function only: the
    table lacks the weights of several."""

    def __init__(self, room: float = math.inf) -> None:
        self._rows: list[dict[str, Any]] = []
        self._room = room
        self.left_out = 0

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, row: Mapping[str, Any]) -> bool:
        """Takes a row; False when the row is not a completion of a step."""
        record = _record(row)
        if record is None:
            return False
        self._room -= len(record["prompt"] or "") + len(record["response"] or "")
        if len(self._rows) >= MAX_SAMPLES or self._room < 0:
            self.left_out += 1
        else:
            self._rows.append(record)
        return True

    def table(self) -> SampleTable | None:
        """The samples as columns in the order of steps, without empty columns; None when there are no samples."""
        if not self._rows:
            return None
        rows = sorted(self._rows, key=lambda row: row["step"])
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        return SampleTable(columns={name: c for name, c in columns.items() if any(v is not None for v in c)})


def _record(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """A row under canonical names; None where it is not a completion of a step."""
    step = whole(row.get("step"))
    if step is None or row.get("completion") is None:
        return None
    components = {k: _finite(v) for k, v in row.items() if k not in _OWN and _is_reward(v)}
    return {
        "step": step,
        "prompt": text_of(row.get("prompt")),
        "response": text_of(row["completion"]),
        "reward": _finite(row.get("reward", next(iter(components.values())) if len(components) == 1 else None)),
        "reward_components": components or None,
        "advantage": _finite(row.get("advantage")),
    }


def _is_reward(value: Any) -> bool:
    """Whether a reward function may return this value; trackio writes NaN as a string. Text is a column of the user."""
    return (
        value is None
        or isinstance(value, int | float)
        or (isinstance(value, str) and value in {"NaN", "Infinity", "-Infinity"})
    )


def _finite(value: Any) -> float | None:
    parsed = to_number(value)
    return None if parsed is None or math.isnan(parsed) else parsed


@adapter
class TrlCompletions(BaseAdapter):
    """Samples without metrics. An evaluation at the same step overwrites the file of the training step."""

    name: ClassVar[str] = "trl-completions"
    describes: ClassVar[str] = "completions parquet of TRL's log_completions"
    quality: ClassVar[int] = 20
    keeps: ClassVar[str] = "prompts, completions, advantages, each reward function's score"
    loses: ClassVar[str] = (
        "all metrics; the completions of a training step at which an evaluation wrote the same file; whether a "
        "reward function gave NaN or None; the total reward of several functions, whose weights are not in the "
        "table"
    )
    gathers: ClassVar[bool] = True
    samples_only: ClassVar[bool] = True

    @classmethod
    def sniff(cls, file: File) -> int:
        if not file.head.startswith(_MAGIC):
            return 0
        footer = _footer(file)
        return 90 if all(name in footer for name in _NAMES) else 0

    def read(self) -> Log:
        samples = Samples(KEPT_CHARACTERS)
        rejected: list[Rejected] = []
        for file in self.files:
            try:
                for row in _rows(file):
                    samples.add(row)
            except _Unreadable as error:
                if self.options.get("strict"):
                    raise MalformedInput(f"{file.path}: {error}", hint="read without strict mode to skip it") from None
                rejected.append(Rejected(line=1, offset=0, reason=f"{file.path}: {error}"))
        table = samples.table()
        if table is None:
            reason = rejected[0].reason if rejected else "no row has a step and a completion"
            raise NoData(f"{self.source} has no completions: {reason}", hint="check that the files were copied whole")
        notes = (
            (f"rules look at all completions; the table of the run holds the first {len(samples):,}",)
            if samples.left_out
            else ()
        )
        return Log(
            table=TableBuilder().build(),
            framework="trl",
            samples=table,
            sample_reader=SampleReader(partial(_in_order, self.files)),
            notes=notes,
            lines=len(samples) + samples.left_out + len(rejected),
            rejected_count=len(rejected),
            rejected=tuple(rejected),
        )


def _in_order(files: Sequence[File]) -> Iterator[Sample]:
    """The completions of all files, by step. A file holds one step; one that cannot be read is left out."""
    first: dict[File, int] = {}
    for file in files:
        with suppress(_Unreadable):
            first[file] = next((step for row in _rows(file) if (step := whole(row.get("step"))) is not None), -1)
    for file in sorted(first, key=lambda f: (first[f], str(f.path))):
        with suppress(_Unreadable):
            records = [record for row in _rows(file) if (record := _record(row)) is not None]
            sizes = Counter(
                (record["step"], record["prompt"]) for record in records
            )  # a table is never a part of a step
            for record in sorted(records, key=lambda record: int(record["step"])):
                yield to_sample({**record, "group_size": sizes[record["step"], record["prompt"]]})


class _Unreadable(Exception):
    """The file is not parquet, is damaged, or is too large."""


def _footer(file: File) -> bytes:
    """The end of the file, where parquet keeps its schema; b"" when it cannot be read."""
    if file.size <= len(file.head):
        return file.head
    try:
        with file.open() as stream:
            stream.seek(max(0, file.size - _FOOTER_BYTES))
            return stream.read(_FOOTER_BYTES)
    except OSError:
        return b""


def _rows(file: File) -> Iterator[dict[str, Any]]:
    with need("parquet", "pyarrow"):
        import pyarrow
        from pyarrow import parquet
    try:
        with file.open() as stream:
            source = parquet.ParquetFile(stream)
            groups = [source.metadata.row_group(i) for i in range(source.metadata.num_row_groups)]
            if sum(g.total_byte_size for g in groups) > MAX_BYTES:
                raise _Unreadable(f"more than {MAX_BYTES >> 20} MiB uncompressed")
            for batch in source.iter_batches(batch_size=4096):
                yield from batch.to_pylist()
    except (pyarrow.ArrowException, OSError, ValueError, TypeError, KeyError, IndexError) as error:
        raise _Unreadable(str(error).splitlines()[0][:200] if str(error) else type(error).__name__) from None
