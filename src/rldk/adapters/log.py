"""The result of reading a source: the log in the source's own names, and where it came from."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from rldk.core.model import Rejected, SampleReader, SampleTable
from rldk.core.table import MetricTable


class Log(Struct, frozen=True, kw_only=True):
    """A log before any renaming: `table` has the source's own keys, as written and with their prefixes.

    `dialect`: the alias group of `core/data/metrics.yaml` whose key names the source uses ("trl_grpo", "verl", "sb3",
    ...); None lets rldk guess it from the keys. `algorithm`: one of `core.algorithms.ALGORITHMS` when the source
    states it. `config`: hyper-parameters the source carries. `precision`: significant digits kept by the format, None
    when exact. `samples`: the first per-sample records; `sample_reader`: all of them. `meta`: any other field of
    `RunMeta` the source knows.
    """

    table: MetricTable
    framework: str | None = None
    dialect: str | None = None
    algorithm: str | None = None
    total_steps: int | None = None
    samples: SampleTable | None = None
    sample_reader: SampleReader | None = None
    config: dict[str, Any] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    lines: int = 0
    rejected_count: int = 0
    rejected: tuple[Rejected, ...] = ()
    precision: int | None = None


class Origin(Struct, frozen=True, kw_only=True):
    """Where a log came from. `name`: the format it was read as; `source`: what the user named; `files`: the files read;
    `run`: the id of the run, when the source states it."""

    name: str
    source: str
    files: tuple[str, ...] = ()
    run: str | None = None
