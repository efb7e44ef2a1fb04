"""The cost of one piece of work, measured in a process of its own."""

from __future__ import annotations

import importlib
import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds (user and system), peak resident memory in MB, and what the work itself reported."""

    cpu_s: float
    rss_mb: float
    facts: dict[str, Any] = field(default_factory=dict)


def command_cost(argv: list[str], *, repeats: int) -> Cost:
    """The cheapest of `repeats` runs of a command, start of the process included."""
    costs = []
    for _ in range(repeats):
        process = subprocess.Popen(argv, cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{' '.join(argv)} failed with exit code {process.returncode}")
        costs.append(Cost(usage.ru_utime + usage.ru_stime, _megabytes(usage.ru_maxrss)))
    return min(costs, key=lambda cost: cost.cpu_s)


@dataclass(frozen=True, slots=True)
class Work:
    """A call `module:function` with one text argument, timed after the comma-separated `imports`."""

    target: str
    argument: str
    imports: str = ""

    def cost(self) -> Cost:
        """The cost of the call in a fresh interpreter; the peak memory is that of the whole process."""
        argv = [sys.executable, "-m", "benchmarks.measure", self.target, self.argument, self.imports]
        done = subprocess.run(argv, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, check=False)
        if done.returncode:
            raise SystemExit(f"{self.target} failed with exit code {done.returncode}")
        return Cost(**json.loads(done.stdout))


def race(*works: Work, repeats: int) -> list[Cost]:
    """The cheapest of `repeats` runs of each, taken in turns so that a busy moment of the machine hits all alike."""
    rounds = [[work.cost() for work in works] for _ in range(repeats)]
    return [min(costs, key=lambda cost: cost.cpu_s) for costs in zip(*rounds, strict=True)]


def environment() -> dict[str, str]:
    """That of a checkout used like an installed package, whose modules are compiled once."""
    own = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**own, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}


def _megabytes(maxrss: int) -> float:
    return maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def _call(target: str, argument: str, imports: str) -> None:
    module, name = target.split(":")
    function = getattr(importlib.import_module(module), name)
    for needed in filter(None, imports.split(",")):
        importlib.import_module(needed)
    before = time.process_time()
    facts = function(argument)
    cpu_s = time.process_time() - before
    rss_mb = _megabytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    print(json.dumps({"cpu_s": cpu_s, "rss_mb": rss_mb, "facts": facts}))


if __name__ == "__main__":
    _call(*sys.argv[1:])
