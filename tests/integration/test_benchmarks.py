from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_benchmarks_run_and_count_every_line(tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    options = ["--only", "decode,tfevents", "--scale", "0.01", "--repeats", "1", "--out", str(out)]
    subprocess.run([sys.executable, "-m", "benchmarks", *options], cwd=ROOT, check=True, capture_output=True)
    results = json.loads(out.read_text())["results"]
    jobs = {result["job"] for result in results}
    assert {"decode wide rows, clean", "decode wide rows, dirty"} <= jobs
    assert len(results) == len(jobs) >= 13
    assert results[1]["ours"]["facts"]["lines"] == 4000
    assert not any("BUT" in result["note"] for result in results)
