"""What logging costs a training, per row of 25 metrics, against the two lines that one would write by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.data import METRICS
from benchmarks.measure import Work, race
from benchmarks.result import Result

ROWS = 20_000
OVER_DUMPS = 25 / 11.7  # the budget of 25 us, in units of the json.dumps that took 11.7 us where it was set


def results(work: Path, scale: float, repeats: int) -> list[Result]:
    """CPU against appending with `open` on every row; the median call against `json.dumps` of the row alone."""
    rows = max(1000, int(ROWS * scale))
    works = [Work(f"benchmarks.emit:{name}", f"{rows}:{work / name}.jsonl") for name in ("writer", "by_hand")]
    ours, baseline = race(*works, repeats=repeats)
    log, dumps, p99 = (ours.facts[name] for name in ("log_p50_us", "dumps_p50_us", "log_p99_us"))
    return [
        Result(
            job=f"emit {rows:,} rows",
            ours=ours,
            baseline=baseline,
            against="json.dumps, open, append",
            ratio=ours.cpu_s / baseline.cpu_s,
            at_most=1.0,
        ),
        Result(
            job="emit one row, p50",
            against="json.dumps of the row",
            ratio=log / dumps,
            at_most=OVER_DUMPS,
            note=f"p50 {log:.1f} us, p99 {p99:.0f} us; json.dumps {dumps:.1f} us",
        ),
    ]


def _row(step: int) -> dict[str, float]:
    return {f"train/metric_{i:02d}/mean": step / (i + 7) for i in range(METRICS)}


def writer(argument: str) -> dict[str, Any]:
    import json
    from time import perf_counter_ns

    from rldk.emit import EventWriter

    rows, path = argument.split(":", 1)
    taken, dumps = [], []
    with EventWriter(path, run_id="bench", fsync="never") as out:
        for step in range(int(rows)):
            row = _row(step)
            before = perf_counter_ns()
            out.log(row, step=step)
            after = perf_counter_ns()
            json.dumps(row)
            dumps.append(perf_counter_ns() - after)
            taken.append(after - before)
    taken.sort()
    dumps.sort()
    return {
        "log_p50_us": taken[len(taken) // 2] / 1e3,
        "log_p99_us": taken[len(taken) * 99 // 100] / 1e3,
        "dumps_p50_us": dumps[len(dumps) // 2] / 1e3,
    }


def by_hand(argument: str) -> dict[str, Any]:
    import json
    import time

    rows, path = argument.split(":", 1)
    for step in range(int(rows)):
        with open(path, "a") as stream:  # noqa: PTH123 - the plainest loop there is
            stream.write(json.dumps({"step": step, "wall_time": time.time(), "metrics": _row(step)}) + "\n")
        json.dumps(_row(step))  # as the other side does for its comparison
    return {}
