"""False alarms and hits of the trace: `python -m benchmarks.trace_tries [tries]`.

Runs a clean training of over 10,000 operations and one with a race several times, and compares each run with the one
before. The clean one should never differ, the other one always."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from rldk.determinism.replicas import TRACER
from rldk.determinism.trace.comparing import first_segment
from rldk.determinism.trace.reading import ProcessTrace, read_traces
from rldk.engine.processes.injection import injected

DEMOS = Path(__file__).parents[1] / "examples" / "nondeterminism"
SCRIPTS = (("torch_clean.py", "180"), ("torch_race.py", "20"))


def traced(script: str, steps: str, folder: Path) -> dict[str, ProcessTrace]:
    """The trace of one run."""
    folder.mkdir()
    environment = {**os.environ, **injected(TRACER), "RLDK_TRACE": str(folder)}
    argv = [sys.executable, str(DEMOS / script), "--steps", steps]
    subprocess.run(argv, env=environment, check=True, stdout=subprocess.DEVNULL)
    return read_traces(folder)


def main() -> None:
    """Runs both, and prints how many pairs differ."""
    tries = int(sys.argv[1]) if sys.argv[1:] else 20
    for script, steps in SCRIPTS:
        differ = 0
        with tempfile.TemporaryDirectory() as folder:
            before = traced(script, steps, Path(folder) / "0")
            for number in range(1, tries + 1):
                now = traced(script, steps, Path(folder) / str(number))
                differ += first_segment(before, now) is not None
                before = now
        operations = sum(int(one.events.segments["events"].sum()) for one in before.values())
        print(f"{script}: {differ} of {tries} pairs differ; {operations:,} operations a run", flush=True)


if __name__ == "__main__":
    main()
