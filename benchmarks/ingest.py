"""A log as a DataFrame with canonical columns, against pandas' own reader, which knows neither steps nor names."""

from __future__ import annotations

from pathlib import Path

from benchmarks.data import training_log
from benchmarks.measure import Work, race
from benchmarks.result import Result

STEPS = 100_000


def results(work: Path, scale: float, repeats: int) -> list[Result]:
    path = work / "training.jsonl"
    training_log(path, int(STEPS * scale))
    pandas, ours = race(
        Work(f"{__name__}:read_json", str(path), "pandas"),
        Work(f"{__name__}:ingest", str(path), "pandas,rldk.ingest"),
        repeats=repeats,
    )
    speed = path.stat().st_size / ours.cpu_s / 1e6
    path.unlink()
    return [
        Result(
            job=f"ingest {ours.facts['rows']} rows",
            ours=ours,
            baseline=pandas,
            against="pandas.read_json",
            ratio=pandas.cpu_s / ours.cpu_s,
            note=f"{speed:.0f} MB/cpu-s; {ours.facts['columns']} columns",
        )
    ]


def ingest(path: str) -> dict[str, int]:
    from rldk.ingest import ingest_runs

    frame = ingest_runs(path)
    return {"rows": len(frame), "columns": len(frame.columns)}  # type: ignore[union-attr]


def read_json(path: str) -> dict[str, int]:
    import pandas as pd

    return {"rows": len(pd.read_json(path, lines=True))}
