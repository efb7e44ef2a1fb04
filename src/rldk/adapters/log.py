"""What reading a source gives: the log in the source's own names, and where it came from."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from rldk.core.model import Rejected, SampleTable
from rldk.core.table import MetricTable


class Log(Struct, frozen=True, kw_only=True):
    """What was read, before any renaming: `table` has the source's own keys (prefixes included, as written).

    `dialect`: the alias group of `core/data/metrics.yaml` whose key names the source uses ("trl_grpo", "verl", "sb3",
    ...), or None to have it guessed from the keys. `algorithm`: one of `core.algorithms.ALGORITHMS` where the source
    says it. `config`: hyper-parameters the source carries. `precision`: significant digits kept by the format, None
    when exact. `meta`: any other field of `RunMeta` the source knows.
    """

    table: MetricTable
    framework: str | None = None
    dialect: str | None = None
    algorithm: str | None = None
    total_steps: int | None = None
    samples: SampleTable | None = None
    config: dict[str, Any] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    lines: int = 0
    rejected_count: int = 0
    rejected: tuple[Rejected, ...] = ()
    precision: int | None = None


class Origin(Struct, frozen=True, kw_only=True):
    """Where a log came from. `name`: the format it was read as; `source`: what the user named; `files`: what was read;
    `run`: the id of the run, where the source says it."""

    name: str
    source: str
    files: tuple[str, ...] = ()
    run: str | None = None
