"""A million scored answers in Parquet: `rldk reward-health` beside pandas, which reads the table and ranks two columns.

`python -m benchmarks.reward_scores [--rows N]` prints CPU and wall time of both, and the peak memory of rldk."""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

OURS = "import sys; from rldk.reward import health; r = health(sys.argv[1]); print(r.verdict)"
THEIRS = (
    "import sys, pandas as pd; f = pd.read_parquet(sys.argv[1]); "
    "f['reward'].rank(); f['response'].str.len().rank(); print(len(f))"
)


def make(path: Path, rows: int, each: int = 8) -> None:
    """Answers of 40 to 400 characters to prompts of `each` answers, in pieces, so that little is held."""
    import pyarrow as pa
    from pyarrow import parquet

    rng = np.random.default_rng(0)
    words = np.array([f"word{i:03d}" for i in range(500)])
    writer = None
    for begin in range(0, rows, 100_000):
        count = min(100_000, rows - begin)
        size = rng.integers(5, 50, count)
        drawn = words[rng.integers(0, 500, int(size.sum()))].tolist()
        ends = np.cumsum(size)
        texts = [" ".join(drawn[a:b]) for a, b in zip(np.append(0, ends[:-1]).tolist(), ends.tolist(), strict=True)]
        table = pa.table(
            {
                "step": (np.arange(begin, begin + count) // 4096),
                "prompt": [f"What is question number {i // each} of the set?" for i in range(begin, begin + count)],
                "response": texts,
                "reward": rng.normal(size=count) + 0.01 * size,
            }
        )
        writer = writer or parquet.ParquetWriter(path, table.schema)
        writer.write_table(table)
    writer.close()


def cost(code: str, path: Path) -> tuple[float, float, float]:
    """CPU seconds, wall seconds and peak MB of a process of its own."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    tail = "; print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"  # of this process alone
    done = subprocess.run([sys.executable, "-c", code + tail, str(path)], capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, time.perf_counter() - start, float(done.stdout.split()[-1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scores.parquet"
        make(path, options.rows)
        print(f"{options.rows:,} rows, {path.stat().st_size / 2**20:.0f} MB")
        theirs, ours = (min(cost(code, path) for _ in range(2)) for code in (THEIRS, OURS))
    for name, (cpu, wall, peak) in (("pandas", theirs), ("rldk", ours)):
        print(f"{name}: {cpu:.2f} s of CPU, {wall:.2f} s, {peak:.0f} MB")
    print(f"ratio: {ours[0] / theirs[0]:.2f} of CPU")


if __name__ == "__main__":
    main()
