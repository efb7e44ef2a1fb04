"""What rows of several kinds cost: evaluations between training rows, metrics at steps of their own, and stated NaN.

The baseline is the same number of rows that all have the same 25 metrics. Nothing is read from a file."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from benchmarks.data import training_run
from benchmarks.measure import Work, race
from benchmarks.result import Result
from rldk.core.table import PHASES, MetricTable

ROWS = 20_000
AT_MOST = 3.0
SHAPES = {
    "an evaluation after nine rows": "evaluations",
    "half of the metrics on every sixth row": "own_steps",
    "the reward on every tenth row": "sparse",
    "NaN stated on every tenth row": "nan",
}


def results(work: Path, scale: float, repeats: int) -> list[Result]:
    rows = max(1000, int(ROWS * scale))
    even, *odd = race(
        *(Work(f"{__name__}:scan_shape", f"{shape} {rows}") for shape in ("even", *SHAPES.values())), repeats=repeats
    )
    return [
        Result(
            job=f"scan, {rows} rows x 25, {what}",
            ours=cost,
            baseline=even,
            against="rows all alike",
            ratio=cost.facts["scan_s"] / even.facts["scan_s"],
            at_most=AT_MOST,
            note=f"{cost.facts['scan_s'] / rows * 1e6:.0f} us a row",
        )
        for what, cost in zip(SHAPES, odd, strict=True)
    ]


def scan_shape(argument: str) -> dict[str, float]:
    """`argument`: the shape and the number of rows. A short scan before loads what the long one uses."""
    from rldk.engine.scan import scan
    from rldk.rules.rule import rules

    shape, rows = argument.split()
    asked = tuple(rules)
    runs = [replace(run, metrics=_shaped(run.metrics, shape)) for run in map(training_run, (300, int(rows)))]
    scan(runs[0], asked)
    begun = time.process_time()
    report = scan(runs[1], asked)
    return {"scan_s": time.process_time() - begun, "checked": len(report.checked)}


def _shaped(table: MetricTable, shape: str) -> MetricTable:
    rows = np.arange(len(table))
    columns, tenth, sixth = dict(table.columns), rows % 10 == 9, rows % 6 == 5
    if shape == "evaluations":
        return replace(table, phase=np.where(tenth, PHASES.index("eval"), 0).astype(np.uint8))
    if shape == "own_steps":
        for at, name in enumerate(columns):
            columns[name] = np.where(sixth == bool(at % 2), columns[name], np.nan)
    elif shape == "sparse":
        columns["reward_mean"] = np.where(tenth, columns["reward_mean"], np.nan)
    elif shape == "nan":
        columns["reward_mean"] = np.where(tenth, np.nan, columns["reward_mean"])
        return replace(table, columns=columns, stated_nan={"reward_mean": rows[tenth]})
    return replace(table, columns=columns)
