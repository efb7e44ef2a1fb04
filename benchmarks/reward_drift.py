"""Two files of scores of the same answers: `rldk reward-drift` beside pandas, which reads both, joins them by id or by
text, and ranks the scores.

`python -m benchmarks.reward_drift [--rows 1000000 ...]` prints the table of docs/reward.md: CPU and peak memory for
Parquet and JSON lines, joined by ids and by texts. Answers have 250 characters on average, eight to a prompt."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import Cost, Work, race
from benchmarks.result import Result

ROWS = 100_000
BLOCK = 50_000
EACH = 8  # answers to a prompt
FORMS = ("parquet", "jsonl")
KEYS = ("ids", "texts")
IMPORTS = "pyarrow.parquet,rldk.reward.models"
AT_MOST = 6.0  # times the CPU of pandas
RSS_MB = 350.0


def results(work: Path, scale: float, repeats: int) -> list[Result]:
    """One measurement each of Parquet and of JSON lines; the files are made in `work`."""
    rows = max(1000, int(ROWS * scale))
    made = []
    for form in FORMS:
        make(work, rows, form, "ids")
        ours, plain = _race(work, form, repeats)
        made.append(
            Result(
                job=f"reward-drift, 2 x {rows:,} answers, {form}",
                ours=ours,
                baseline=plain,
                against="pandas: read, merge, rank",
                ratio=ours.cpu_s / plain.cpu_s,
                at_most=AT_MOST,
                rss_budget_mb=RSS_MB,
                note=f"rank correlation {ours.facts['rho']:.4f}, pandas {plain.facts['rho']:.4f}",
            )
        )
    return made


def make(work: Path, rows: int, form: str, by: str) -> None:
    """Writes a and b, in a process of its own: what a process holds counts as the peak of those that it starts."""
    Work("benchmarks.reward_drift:write", json.dumps([str(work), rows, form, by])).cost()


def write(argument: str) -> None:
    """The same answers and other scores in a and b; with ids where rows are joined by these."""
    import pyarrow as pa
    from pyarrow import parquet

    folder, rows, form, by = json.loads(argument)
    rng = np.random.default_rng(0)
    words = np.array([f"word{i:03d}" for i in range(500)])
    paths = [Path(folder, f"{name}.{form}") for name in "ab"]
    for path in paths:
        path.unlink(missing_ok=True)
    writers: dict[Path, Any] = {}
    for begin in range(0, rows, BLOCK):
        count = min(BLOCK, rows - begin)
        sizes = rng.integers(12, 51, count)
        drawn, ends = words[rng.integers(0, 500, int(sizes.sum()))].tolist(), np.cumsum(sizes).tolist()
        columns: dict[str, Any] = {
            "id": [f"answer-{begin + i:08d}" for i in range(count)],
            "prompt": [f"What is question number {(begin + i) // EACH} of the set?" for i in range(count)],
            "response": [" ".join(drawn[a:b]) for a, b in zip([0, *ends[:-1]], ends, strict=True)],
        }
        if by == "texts":
            del columns["id"]
        good = rng.normal(size=count)
        for path in paths:
            columns["reward"] = (good + 0.4 * rng.normal(size=count)).tolist()
            if form == "parquet":
                table = pa.table(columns)
                if path not in writers:
                    writers[path] = parquet.ParquetWriter(path, table.schema)
                writers[path].write_table(table)
            else:
                with path.open("a") as stream:
                    for row in zip(*columns.values(), strict=True):
                        stream.write(json.dumps(dict(zip(columns, row, strict=True))) + "\n")
    for writer in writers.values():
        writer.close()


def _race(work: Path, form: str, repeats: int) -> list[Cost]:
    argument = str(work / f"a.{form}")
    return race(
        Work("benchmarks.reward_drift:compare", argument, IMPORTS),
        Work("benchmarks.reward_drift:merge", argument, "pyarrow.parquet,pandas"),
        repeats=repeats,
    )


def compare(first: str) -> dict[str, Any]:
    """The whole report of rldk."""
    from rldk.reward.models import compare_models

    report = compare_models(first, Path(first).with_stem("b"))
    return {"rho": report.spearman.value, "n": report.n}


def merge(first: str) -> dict[str, Any]:
    """The rank correlation alone, with all columns in memory."""
    import pandas as pd

    paths = Path(first), Path(first).with_stem("b")
    if paths[0].suffix == ".parquet":
        frames = [pd.read_parquet(path) for path in paths]
    else:
        frames = [pd.read_json(path, lines=True) for path in paths]
    keys = ["id"] if "id" in frames[0].columns else ["prompt", "response"]
    both = frames[0].merge(frames[1], on=keys)
    return {"rho": float(both["reward_x"].rank().corr(both["reward_y"].rank())), "n": len(both)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000])
    parser.add_argument("--repeats", type=int, default=1)
    options = parser.parse_args()
    print("| rows of each | files | joined by | CPU | memory | CPU of pandas | memory of pandas |")
    print("|---|---|---|---|---|---|---|")
    for rows in options.rows:
        for form in FORMS:
            for by in KEYS:
                with tempfile.TemporaryDirectory() as folder:
                    make(Path(folder), rows, form, by)
                    ours, plain = _race(Path(folder), form, options.repeats)
                line = f"{ours.cpu_s:.1f} s | {ours.rss_mb:.0f} MB | {plain.cpu_s:.1f} s | {plain.rss_mb:.0f} MB"
                print(f"| {rows:,} | {form} | {by} | {line} |", flush=True)


if __name__ == "__main__":
    main()
