"""What it costs to track a small script from start to finish, against an interpreter that imports numpy."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.measure import ROOT, command_cost
from benchmarks.result import Result

LIMIT = 8.0  # of the CPU time of the baseline; the numpy that the tracked script imports itself is part of both
_SCRIPT = """
import sys
import numpy
from rldk import ExperimentTracker, TrackingConfig
with ExperimentTracker(TrackingConfig("small", output_dir=sys.argv[1], tags=["bench"])) as run:
    run.set_seeds(42)
    run.track_dataset(numpy.zeros((1000, 8)), "train")
    run.track_dataset([{"prompt": str(i), "reward": i / 7} for i in range(1000)], "prompts")
    run.track_model({"w": numpy.zeros((256, 256), dtype=numpy.float32)}, "policy")
    run.add_metadata("lr", 1e-4)
    for step in range(100):
        run.log({"loss": 1.0, "reward": 0.5}, step=step)
"""


def results(work: Path, _scale: float, repeats: int) -> list[Result]:
    """One process a measurement, in turns, so that a busy moment of the machine hits both; children such as git
    count."""
    tracked = [sys.executable, "-c", _SCRIPT, str(work / "runs")]
    plain = [sys.executable, "-c", "import numpy"]
    turns = [(command_cost(plain, repeats=1), command_cost(tracked, repeats=1)) for _ in range(5 * repeats)]
    plainest, ours = (min(costs, key=lambda cost: cost.cpu_s) for costs in zip(*turns, strict=True))
    return [
        Result(
            job="track a small script",
            ours=ours,
            baseline=plainest,
            against="python -c 'import numpy'",
            ratio=ours.cpu_s / plainest.cpu_s,
            at_most=LIMIT,
            note=f"in a checkout of git: {(ROOT / '.git').exists()}",
        )
    ]
