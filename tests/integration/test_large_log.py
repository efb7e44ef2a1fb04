"""A large log with a few malformed lines: every line is a row or a refusal, in memory near that of the numbers."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from rldk.adapters import open_run

LINES, SHARE, METRICS = 400_000, 0.0002, 25
BAD = ("{", '{"step": 1.5, "loss": 1}', "[]", "\0" * 40, " 52%|#####     | 52/100 [00:10<00:09]", '{"step": 12, "tra')
MEASURED = """
import json, re, sys
from pathlib import Path
from rldk.core.jsonl import decode
found = decode(Path(sys.argv[1]))
arrays = [found.table.step, found.table.time, *found.table.columns.values()]
peak = re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]
print(json.dumps({"peak": int(peak) * 1024, "columns": sum(array.nbytes for array in arrays)}))
"""


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[int]]:
    """A file of `LINES` lines and the numbers, from 1, of the malformed ones."""
    path, rng = tmp_path_factory.mktemp("large") / "metrics.jsonl", random.Random(5)
    bodies = [", ".join(f'"train/metric_{i}": {rng.gauss(0, 1)!r}' for i in range(METRICS)) for _ in range(97)]
    malformed = []
    with path.open("w") as stream:
        for step in range(LINES):
            bad = rng.random() < SHARE
            malformed += [step + 1] if bad else []
            stream.write((rng.choice(BAD) if bad else f'{{"step": {step}, {bodies[step % 97]}}}') + "\n")
    return path, malformed


@pytest.mark.slow
def test_rows_and_refusals_are_the_lines_exactly(log: tuple[Path, list[int]]) -> None:
    path, malformed = log
    run = open_run(path)
    assert (len(run.metrics) + run.rejected_count, run.lines) == (LINES, LINES)
    assert set(run.metrics.step.tolist()) == set(range(LINES)) - {line - 1 for line in malformed}
    assert [refused.line for refused in run.rejected] == malformed[: len(run.rejected)]
    assert (run.rejected_count, len(malformed) > 10) == (len(malformed), True)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from /proc")
def test_a_large_log_costs_little_more_memory_than_its_numbers(log: tuple[Path, list[int]]) -> None:
    command = [sys.executable, "-c", MEASURED, str(log[0])]
    done = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert done["columns"] > LINES * METRICS * 8
    assert done["peak"] <= 1.5 * done["columns"] + 60e6
