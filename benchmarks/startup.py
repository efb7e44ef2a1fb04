"""What it costs to start: `import rldk` and `rldk --help` against an interpreter that does nothing."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.measure import command_cost
from benchmarks.result import Result

_HELP = "import sys; sys.argv = ['rldk', '--help']; from rldk.cli.main import main; main(prog_name='rldk')"
_JOBS = (("import rldk", "import rldk", 3.0), ("rldk --help", _HELP, 10.0))


def results(_work: Path, _scale: float, repeats: int) -> list[Result]:
    """One process a measurement, so many more repeats."""
    many = 5 * repeats
    bare = command_cost([sys.executable, "-I", "-c", "pass"], repeats=many)
    found = []
    for job, code, limit in _JOBS:
        ours = command_cost([sys.executable, "-c", code], repeats=many)
        found.append(
            Result(
                job=job,
                ours=ours,
                baseline=bare,
                against="python -I -c pass",
                ratio=ours.cpu_s / bare.cpu_s,
                at_most=limit,
            )
        )
    return found
