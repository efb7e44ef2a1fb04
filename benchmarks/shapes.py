"""What rows of several kinds cost: evaluations between training rows, metrics at steps of their own, and stated NaN.

The baseline is the same number of rows that all have the same 25 metrics. Only `monitor --once` reads a file; its cost
is that of the whole command, without the start of the process."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from benchmarks.data import training_run
from benchmarks.measure import Work, race
from benchmarks.result import Result
from rldk.core.model import Run, SampleTable
from rldk.core.table import PHASES, MetricTable

ROWS = 20_000
FEW_ROWS = 2_000  # with samples, whose metrics cost a millisecond a row
SAMPLES = 8  # of a row
AT_MOST = 3.0
SHAPES = {
    "training and evaluation in turns": "turns",
    "an evaluation after nine rows": "evaluations",
    "half of the metrics on every sixth row": "own_steps",
    "the reward on every tenth row": "sparse",
    "NaN stated on every tenth row": "nan",
}


def results(work: Path, scale: float, repeats: int) -> list[Result]:
    rows, few = (max(1000, int(count * scale)) for count in (ROWS, FEW_ROWS))
    shapes = ("even", *SHAPES.values())
    logs = [work / f"{shape}.jsonl" for shape in shapes]
    for log, shape in zip(logs, shapes, strict=True):
        _write(log, _run(shape, rows).metrics)
    jobs = {
        f"scan, {rows} rows x 25": [Work(f"{__name__}:scanned", f"{shape} {rows}") for shape in shapes],
        f"monitor --once, {rows} rows x 25": [Work("benchmarks.monitor:once", f"default,{log}") for log in logs],
        f"kl-drift, {rows} rows x 25": [Work(f"{__name__}:measured", f"{shape} {rows}") for shape in shapes],
        f"scan, {few} rows x 25 with samples": [Work(f"{__name__}:sampled", f"{shape} {few}") for shape in shapes],
    }
    return [result for job, works in jobs.items() for result in _results(job, works, repeats)]


def _results(job: str, works: list[Work], repeats: int) -> list[Result]:
    even, *odd = race(*works, repeats=repeats)
    seconds = [cost.facts.get("look_s", cost.cpu_s) for cost in (even, *odd)]
    return [
        Result(
            job=f"{job}, {what}",
            ours=cost,
            baseline=even,
            against="rows all alike",
            ratio=own / seconds[0],
            at_most=AT_MOST,
            note=f"{own:.2f} s and {seconds[0]:.2f} s",
        )
        for what, cost, own in zip(SHAPES, odd, seconds[1:], strict=True)
    ]


def scanned(argument: str) -> dict[str, float]:
    """`argument`: the shape and the number of rows."""
    return _timed(_scan, argument)


def sampled(argument: str) -> dict[str, float]:
    """The same with samples of each step."""
    return _timed(lambda run: _scan(replace(run, samples=_samples(run.metrics))), argument)


def measured(argument: str) -> dict[str, float]:
    """What `rldk forensics kl-drift` does with a run that is open."""
    from rldk.forensics.comprehensive import ComprehensivePPOForensics

    return _timed(lambda run: ComprehensivePPOForensics.of_run(run).get_comprehensive_analysis(), argument)


def _timed(look: Callable[[Run], object], argument: str) -> dict[str, float]:
    """A short run before loads what the long one uses."""
    shape, rows = argument.split()
    short, run = (_run(shape, count) for count in (300, int(rows)))
    look(short)
    begun = time.process_time()
    look(run)
    return {"look_s": time.process_time() - begun}


def _scan(run: Run) -> object:
    from rldk.engine.scan import scan
    from rldk.rules.rule import rules

    return scan(run, tuple(rules))


def _run(shape: str, rows: int) -> Run:
    run = training_run(rows)
    return replace(run, metrics=_shaped(run.metrics, shape))


def _shaped(table: MetricTable, shape: str) -> MetricTable:
    rows = np.arange(len(table))
    columns, tenth, sixth = dict(table.columns), rows % 10 == 9, rows % 6 == 5
    if shape in ("evaluations", "turns"):
        evaluated = tenth if shape == "evaluations" else rows % 2 == 1
        return replace(table, phase=np.where(evaluated, PHASES.index("eval"), 0).astype(np.uint8))
    if shape == "own_steps":
        for at, name in enumerate(columns):
            columns[name] = np.where(sixth == bool(at % 2), columns[name], np.nan)
    elif shape == "sparse":
        columns["reward_mean"] = np.where(tenth, columns["reward_mean"], np.nan)
    elif shape == "nan":
        columns["reward_mean"] = np.where(tenth, np.nan, columns["reward_mean"])
        return replace(table, columns=columns, stated_nan={"reward_mean": rows[tenth]})
    return replace(table, columns=columns)


def _samples(table: MetricTable) -> SampleTable:
    rng = random.Random(0)
    steps = [step for step in table.step.tolist() for _ in range(SAMPLES)]
    return SampleTable(
        columns={
            "step": steps,
            "reward": [rng.gauss(0.5, 0.2) for _ in steps],
            "advantage": [rng.gauss(0.0, 1.0) for _ in steps],
            "n_tokens": [rng.randint(50, 200) for _ in steps],
            "prompt_id": [str(at // 4 % 97) for at in range(len(steps))],
        }
    )


def _write(log: Path, table: MetricTable) -> None:
    with log.open("w") as stream:
        for row in table.rows():
            group = "" if row.phase == "train" else f"{row.phase}/"
            values = {f"{group}{name}": value for name, value in row.values.items()}
            stream.write(json.dumps({"step": row.step, **values}) + "\n")
