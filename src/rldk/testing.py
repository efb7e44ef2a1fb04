"""Public test helpers: build a run from columns, judge it by chosen rules, make noisy columns."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rldk.core.model import Report, Run, RunMeta, SampleReader
from rldk.core.table import Phase, TableBuilder


def run_of(
    columns: Mapping[str, Sequence[float | None]],
    *,
    step: Sequence[int] | None = None,
    phase: Sequence[Phase] | None = None,
    time: Sequence[float] | None = None,
    **meta: Any,
) -> Run:
    """A run with these canonical columns. None is a missing value, NaN is one that the source stated.

    `step` defaults to 1, 2, ... `time` is in seconds. `meta` are fields of `RunMeta`."""
    lengths = {len(c) for c in columns.values()}
    if len(lengths) != 1:
        raise ValueError(f"columns differ in length: {sorted(lengths)}")
    n = lengths.pop()
    steps = list(step) if step is not None else list(range(1, n + 1))
    builder = TableBuilder()
    segment = 0
    for i in range(n):
        segment += bool(i and steps[i] < steps[i - 1])
        values = {name: float(v) for name, column in columns.items() if (v := column[i]) is not None}
        at = time[i] if time else math.nan
        builder.add(steps[i], values, phase=phase[i] if phase else "train", segment=segment, time=at)
    return Run(id="test", source="test", metrics=builder.build(), meta=RunMeta(**meta))


def scan_columns(codes: str | Iterable[str], columns: Mapping[str, Sequence[float | None]], **options: Any) -> Report:
    """The report of `run_of(columns, ...)` under the named rules or families only."""
    from rldk.engine.scan import scan
    from rldk.rules.select import select_rules

    wanted = [codes] if isinstance(codes, str) else list(codes)
    return scan(run_of(columns, **options), select_rules(wanted))


def scan_samples(codes: str | Iterable[str], records: Iterable[Mapping[str, Any]], **meta: Any) -> Report:
    """The report of a run that has only these per-sample records, under the named rules or families only.

    `meta` are fields of `RunMeta`."""
    from rldk.core.samples import to_sample
    from rldk.engine.scan import scan
    from rldk.rules.select import select_rules

    wanted = [codes] if isinstance(codes, str) else list(codes)
    samples = [to_sample(record) for record in records]
    reader = SampleReader(lambda: iter(samples))
    run = Run(id="test", source="test", metrics=TableBuilder().build(), sample_reader=reader, meta=RunMeta(**meta))
    return scan(run, select_rules(wanted))


def noisy_column(level: float, n: int, seed: int = 1, share: float = 0.05) -> list[float]:
    """`n` values that scatter around a level by this share of it (log-normal), the same for the same seed."""
    rng = random.Random(seed)  # noqa: S311 - data for a test
    return [level * math.exp(rng.gauss(0, share)) for _ in range(n)]
