"""A CSV file to columns, against the C reader of pandas."""

from __future__ import annotations

import random
from importlib.util import find_spec
from pathlib import Path

from benchmarks.measure import Work, race
from benchmarks.result import Result

ROWS, METRICS = 100_000, 24
OF_PANDAS = 0.25


def results(work: Path, scale: float, repeats: int) -> list[Result]:
    """A step and 24 metrics in each row; a fifth of them empty in the second file."""
    if find_spec("pandas") is None:
        return [Result(job="read CSV", note="skipped: no pandas")]
    return [_result(work, kind, int(ROWS * scale), repeats) for kind in ("full", "with gaps")]


def _result(work: Path, kind: str, rows: int, repeats: int) -> Result:
    path = work / "progress.csv"
    progress(path, rows, gaps=kind == "with gaps")
    pandas, ours = race(
        Work(f"{__name__}:read_with_pandas", str(path), "pandas"),
        Work(f"{__name__}:read", str(path), "rldk.adapters.open,numpy"),
        repeats=repeats,
    )
    speed = f"{path.stat().st_size / ours.cpu_s / 1e6:.0f} MB/cpu-s"
    path.unlink()
    return Result(
        job=f"read CSV, {kind}",
        ours=ours,
        baseline=pandas,
        against="pandas.read_csv",
        ratio=pandas.cpu_s / ours.cpu_s,
        at_least=OF_PANDAS,
        note=speed if ours.facts["rows"] == rows else f"{speed}, BUT rows are missing",
    )


def progress(path: Path, rows: int, *, gaps: bool) -> None:
    rng = random.Random(9)
    bodies = [[f"{rng.gauss(0, 1)!r}" for _ in range(METRICS)] for _ in range(997)]
    for body in bodies if gaps else ():
        for i in rng.sample(range(METRICS), METRICS // 5):
            body[i] = ""
    lines = [",".join(body) for body in bodies]
    with path.open("w") as stream:
        stream.write("step," + ",".join(f"train/metric_{i:02d}" for i in range(METRICS)) + "\n")
        stream.writelines(f"{i},{lines[i % 997]}\n" for i in range(rows))


def read(path: str) -> dict[str, int]:
    from rldk.adapters.base import adapters

    return {"rows": len(adapters.get("csv")(path).read().table)}


def read_with_pandas(path: str) -> dict[str, int]:
    import pandas

    return {"rows": len(pandas.read_csv(path))}
