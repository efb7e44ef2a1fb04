"""Reads JSON lines of per-sample records: responses with their rewards, in the words of any trainer."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, ClassVar

from msgspec import Struct

from rldk.adapters.base import BaseAdapter, adapter
from rldk.adapters.log import Log
from rldk.adapters.source import MAX_HEAD, File
from rldk.core.lines import EXCERPT, LineSplitter
from rldk.core.model import Rejected, SampleReader, SampleTable
from rldk.core.records import BadLine, parse
from rldk.core.samples import Sample, is_sample, step_of, to_sample
from rldk.core.stream import BrokenStream, chunks
from rldk.core.table import TableBuilder
from rldk.errors import MalformedInput, NoData

SNIFF_LINES = 5
KEPT_BYTES = 32 << 20  # of texts in the table of a run; its reader gives all records
KEPT_REJECTS = 20
MOST_OPEN = 64  # files whose steps overlap that are merged
NOT_TRAINING = re.compile(r"(^|[_\-.])(eval|val|valid|validation|test)(?=[_\-.\d]|$)", re.IGNORECASE)
_STEP = re.compile(
    r"(?:^|[_\-])step[_\-]?(\d+)|^(\d+)$|(?:global|iter|iteration|rollout)[_\-]?(?:step[_\-]?)?(\d+)", re.IGNORECASE
)
_KEY = re.compile(rb'"([A-Za-z_]{2,40})"\s*:')
# a word of one of these trainers in the first record -> the trainer
_MARKS: tuple[tuple[str, frozenset[str]], ...] = (
    ("verl", frozenset({"input", "output", "score", "step"})),
    ("nemo-rl", frozenset({"generation_logprobs", "prev_logprobs"})),
    ("skyrl", frozenset({"output_response", "env_class"})),
    ("slime", frozenset({"rollout_log_probs", "group_index"})),
    ("prime-rl", frozenset({"example_id", "trajectory"})),
)


class StepRange(Struct, frozen=True):
    """The steps of one file. `ordered`: they never go back."""

    first: int
    last: int
    ordered: bool


@adapter
class SampleLines(BaseAdapter):
    """All files below the directory of a run belong together. Where a record states no step, the name of its file or
    folder does (`step_12`, `12.jsonl`)."""

    name: ClassVar[str] = "samples"
    describes: ClassVar[str] = "JSON lines of responses: verl, NeMo RL, prime-rl, SkyRL, slime, rldk, and plain ones"
    quality: ClassVar[int] = 20
    keeps: ClassVar[str] = "prompts, responses, rewards, groups, endings, tokens, log-probabilities"
    loses: ClassVar[str] = "all metrics; columns that no field of `core/data/samples.yaml` names"
    gathers: ClassVar[bool] = True
    samples_only: ClassVar[bool] = True

    @classmethod
    def sniff(cls, file: File) -> int:
        if not file.is_text or not file.first_line.startswith(b"{"):
            return 0
        if b"\n" not in file.head and len(file.head) == MAX_HEAD:  # not even one line ends in it
            return 60 if is_sample(dict.fromkeys(key.decode() for key in _KEY.findall(file.head))) else 0
        seen = [record for line in file.head.split(b"\n")[:SNIFF_LINES] if (record := _record(line)) is not None]
        return 85 if seen and all(is_sample(record) for record in seen) else 0

    @classmethod
    def split(cls, files: Sequence[File]) -> dict[str | None, list[File]]:
        evals = [f for f in files if NOT_TRAINING.search(f.path.stem) or NOT_TRAINING.search(f.path.parent.name)]
        train = [f for f in files if f not in evals]
        return {None: train, "evaluation": evals} if train and evals else {None: list(files)}

    def read(self) -> Log:
        reading = _FirstReading(strict=bool(self.options.get("strict")))
        for file in self.files:
            reading.take(file)
        if not reading.samples:
            why = reading.rejected[0].reason if reading.rejected else "no line is a response"
            raise NoData(f"{self.source} has no samples: {why}", hint="rldk format-info lists the formats it reads")
        return Log(
            table=TableBuilder().build(),
            framework=reading.framework,
            samples=reading.table(),
            sample_reader=SampleReader(partial(read_in_order, reading.extents)),
            notes=reading.notes(),
            lines=reading.samples + reading.rejected_count,
            rejected_count=reading.rejected_count,
            rejected=tuple(reading.rejected),
        )


class _FirstReading:
    """What the first pass over the files finds: their steps, their bad lines, and the first records."""

    def __init__(self, *, strict: bool) -> None:
        self.extents: list[tuple[File, StepRange]] = []
        self.samples = self.rejected_count = 0
        self.rejected: list[Rejected] = []
        self.framework: str | None = None
        self._strict = strict
        self._kept: list[dict[str, Any]] = []
        self._room = KEPT_BYTES

    def take(self, file: File) -> None:
        first = last = None
        ordered, named = True, step_in_name(file)
        for number, line in _lines(file):
            record = _record(line)
            if record is None or not is_sample(record):
                self._reject(file, number, line)
                continue
            step = step_of(record, named)
            self.samples += 1
            self.framework = self.framework or next((name for name, keys in _MARKS if keys <= record.keys()), None)
            self._keep(record, named, len(line))
            if step is not None:
                ordered = ordered and (last is None or step >= last)
                first = step if first is None else min(first, step)
                last = step if last is None else max(last, step)
        self.extents.append((file, StepRange(first or 0, last or 0, ordered)))

    def table(self) -> SampleTable:
        names = dict.fromkeys(name for record in self._kept for name in record)
        return SampleTable(columns={name: [record.get(name) for record in self._kept] for name in names})

    def notes(self) -> tuple[str, ...]:
        if len(self._kept) == self.samples:
            return ()
        return (
            f"rules look at all {self.samples:,} samples; the table of the run holds the first {len(self._kept):,}",
        )

    def _keep(self, record: dict[str, Any], step: int | None, size: int) -> None:
        self._room -= size
        if self._room > 0:
            self._kept.append(to_sample(record, step).record())

    def _reject(self, file: File, number: int, line: bytes) -> None:
        where = f"{file.path}, line {number}"
        if self._strict:
            raise MalformedInput(f"{where}: not a response", hint="read without strict mode to skip it")
        self.rejected_count += 1
        if len(self.rejected) < KEPT_REJECTS:
            text = line[:EXCERPT].decode("utf-8", "replace")
            self.rejected.append(Rejected(line=number, offset=0, reason=f"{file.path}: not a response", excerpt=text))


def read_in_order(extents: Sequence[tuple[File, StepRange]]) -> Iterator[Sample]:
    """The samples of all files by step. Files are open at once only where their steps overlap, as those of ranks do."""
    together: list[tuple[File, StepRange]] = []
    end = 0
    for file, extent in sorted(extents, key=lambda pair: (pair[1].first, str(pair[0].path))):
        if together and (extent.first > end or len(together) >= MOST_OPEN or not extent.ordered):
            yield from _merged(together)
            together = []
        end = max(end, extent.last) if together else extent.last
        together.append((file, extent))
    yield from _merged(together)


def step_in_name(file: File) -> int | None:
    """The step that the name of a file or of its folder states."""
    for name in (file.path.name.split(".")[0], file.path.parent.name):
        match = _STEP.search(name)
        if match:
            return int(next(group for group in match.groups() if group is not None))
    return None


def _merged(together: Sequence[tuple[File, StepRange]]) -> Iterator[Sample]:
    streams = [_samples(file) for file, _ in together]
    if len(streams) == 1:
        yield from streams[0]
    else:
        yield from heapq.merge(*streams, key=lambda sample: sample.step or 0)


def _samples(file: File) -> Iterator[Sample]:
    step = step_in_name(file)
    for _, line in _lines(file):
        record = _record(line)
        if record is not None and is_sample(record):
            yield to_sample(record, step)


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        return parse(line)
    except BadLine:
        return None


def _lines(file: File) -> Iterator[tuple[int, bytes]]:
    """The lines with their numbers; blank ones are left out. A source that breaks off ends the lines."""
    splitter = LineSplitter()
    try:
        for chunk in chunks(file):
            batch = splitter.feed(chunk)
            yield from _numbered(batch.number, batch.lines)
    except BrokenStream:
        pass
    last = splitter.finish()
    yield from _numbered(last.number, last.lines)


def _numbered(number: int, lines: Sequence[bytes]) -> Iterator[tuple[int, bytes]]:
    return ((i, line) for i, line in enumerate(lines, number) if line.strip())
