"""The main job on a log of 1 GB, against the loop over the standard library's json that only reads it.

One log has 25 metrics that rldk does not know, the other 25 that nearly every rule over rows looks at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks.data import training_log, wide_log
from benchmarks.measure import Work, race
from benchmarks.result import Result

LINES = 955_000  # 1.0 GB of the training, 1.1 GB of the other
AGAINST_LOOP, RSS_MB = 2.0, 300.0


def results(work: Path, scale: float, repeats: int) -> list[Result]:
    lines = int(LINES * scale)
    return [
        _result(work, "unknown metrics", lambda path: wide_log(path, lines, dirty=True), repeats),
        _result(work, "known metrics", lambda path: training_log(path, lines), repeats),
    ]


def _result(work: Path, kind: str, write: Callable[[Path], object], repeats: int) -> Result:
    path = work / "big.jsonl"
    write(path)
    loop, ours = race(
        Work("benchmarks.decode:json_rows", str(path)),
        Work("benchmarks.doctor:diagnose_file", str(path), "rldk.diagnosis"),
        repeats=repeats,
    )
    size = path.stat().st_size
    path.unlink()
    return Result(
        job=f"doctor, {size / 1e9:.2g} GB, {kind}",
        ours=ours,
        baseline=loop,
        against="stdlib json loop",
        ratio=ours.cpu_s / loop.cpu_s,
        at_most=AGAINST_LOOP,
        rss_budget_mb=RSS_MB,
        note=f"{size / ours.cpu_s / 1e6:.0f} MB/cpu-s; {ours.facts['checked']} rules",
    )
