"""Samples of any number and size: memory does not grow with them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

MOST_MIB = 160  # three times what the command needs for a file of one sample
_DOCTOR = """
import sys
import rldk
report = rldk.diagnose(sys.argv[1])
# not ru_maxrss, which a process inherits from the one that started it
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(report.numbers["samples"], int(peak.split()[1]) // 1024)
"""


def write(path: Path, *, samples: int, characters: int) -> None:
    filler = " ".join(f"w{i}" for i in range(characters // 6))[:characters]
    with path.open("w") as out:
        for i in range(samples):
            sample = {
                "step": i // 64,
                "prompt": f"{i // 4}",
                "response": f"{i} {filler}",
                "rank": 0,
                "reward": i % 3 * 0.5,
            }
            out.write(json.dumps(sample) + "\n")


@pytest.mark.slow
@pytest.mark.parametrize(("samples", "characters"), [(4000, 50_000), (3, 9_000_000)], ids=["200-MB", "long-lines"])
def test_memory_stays_small(tmp_path: Path, samples: int, characters: int) -> None:
    path = tmp_path / "samples-0.jsonl"
    write(path, samples=samples, characters=characters)
    command = [sys.executable, "-c", _DOCTOR, str(path)]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600).stdout
    looked_at, mib = map(int, told.split())
    assert looked_at == samples
    assert mib < MOST_MIB
