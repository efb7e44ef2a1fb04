"""Everything that was seen of a profiled training, and the sums over it."""

from __future__ import annotations

import math
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from rldk.profiling.facts import PhaseTime, ResourceCurves
from rldk.profiling.hot_lines import UNTIMED, seen_shares
from rldk.profiling.logged import LoggedTimes
from rldk.profiling.recorded import PhaseLine, RecordedProcess
from rldk.profiling.resources import ResourceSample

WARM = 5  # lines from which on the first is left out: it compiles, and fills caches
LEAST = 1e-4  # of the time; phases below are left out
_CGROUP = Path("/sys/fs/cgroup")


class ProfileEvidence(Struct, frozen=True, kw_only=True):
    """`processes`: those that recorded, the busiest first. `missing`: what could not be measured -> why. `command`: ""
    for a part of a program. `how`: how it ended, as of `ReplicaEnd`. `said`: the last lines that it printed.
    `logged`: the times that the trainer itself has logged."""

    processes: list[RecordedProcess]
    samples: list[ResourceSample]
    gpus: int
    missing: dict[str, str]
    folder: Path
    seconds: float
    command: str = ""
    how: str = "ended"
    exit_code: int | None = None
    torch_steps: int = 0
    said: str = ""
    logged: LoggedTimes = field(default_factory=LoggedTimes)

    @property
    def main(self) -> RecordedProcess | None:
        """The process that trains."""
        return self.processes[0] if self.processes else None

    @property
    def step_lines(self) -> list[PhaseLine]:
        """The lines of steps whose time counts: all but the first, where there are several."""
        lines = [line for line in self.main.lines if line.kind == "steps"] if self.main else []
        return lines[1:] if len(lines) >= WARM else lines

    @property
    def counted(self) -> list[PhaseLine]:
        """The lines whose phases count: those of steps, or all where no step was seen."""
        return self.step_lines or (self.main.lines if self.main else [])


def phase_times(e: ProfileEvidence) -> tuple[PhaseTime, ...]:
    """The phases, the longest first. Time outside of timed phases is divided by what the stack showed meanwhile. What a
    trainer has logged itself goes before what was seen of it from outside."""
    if e.logged.seconds:
        return _logged(e.logged)
    timed, seen = _timed(e), dict[str, float]()
    stacks = e.main.stacks if e.main else None
    for name in UNTIMED:
        whole = timed.get(name, 0.0)
        for phase, share in (seen_shares(stacks, name) if stacks and whole else {}).items():
            if phase != name:
                seen[phase] = seen.get(phase, 0.0) + whole * share
                timed[name] -= whole * share
    steps = sum(len(line.seconds) for line in e.step_lines)
    total = sum(timed.values()) + sum(seen.values())
    times = []
    for name in {*timed, *seen}:
        seconds = timed.get(name, 0.0) + seen.get(name, 0.0)
        if seconds > LEAST * total:
            times.append(
                PhaseTime(
                    name=name,
                    seconds=seconds,
                    share=seconds / total,
                    per_step=seconds / steps if steps else None,
                    how="timed" if timed.get(name, 0.0) >= seen.get(name, 0.0) else "seen",
                )
            )
    return tuple(sorted(times, key=lambda one: (-one.seconds, one.name)))


def _logged(times: LoggedTimes) -> tuple[PhaseTime, ...]:
    total, steps = sum(times.phases.values()), len(times.seconds)
    phases = (
        PhaseTime(name=name, seconds=seconds, share=seconds / total, per_step=seconds / steps, how="logged")
        for name, seconds in times.phases.items()
        if seconds > LEAST * total
    )
    return tuple(sorted(phases, key=lambda one: (-one.seconds, one.name)))


def _timed(e: ProfileEvidence) -> dict[str, float]:
    """The seconds of each timed phase. Where nothing was timed, no start can be told from what came after it."""
    timed: dict[str, float] = {}
    for line in e.counted:
        for name, seconds in line.phases.items():
            timed[name] = timed.get(name, 0.0) + seconds
    return {"other": sum(timed.values())} if timed.keys() <= {"start-up"} else timed


def step_seconds(e: ProfileEvidence) -> list[float]:
    """The seconds of each step that counts."""
    return e.logged.seconds or [value for line in e.step_lines for value in line.seconds]


def count_of(e: ProfileEvidence, name: str) -> int:
    """How many tokens or steps of an environment were counted in the time that counts."""
    return sum(line.counts.get(name, 0) for line in e.counted)


def counted_seconds(e: ProfileEvidence) -> float:
    """The time that counts."""
    return sum(sum(line.phases.values()) for line in e.counted)


def resource_curves(samples: list[ResourceSample]) -> ResourceCurves:
    """The samples as curves. The first has no CPU figure, and is left out."""
    first = samples[0].at if samples else 0.0
    pairs = [(a, b) for a, b in pairwise(samples) if b.at > a.at]
    with_gpu = bool(pairs) and all(b.gpu is not None for _, b in pairs)
    return ResourceCurves(
        seconds=[b.at - first for _, b in pairs],
        cpu=[max(0.0, (b.cpu_s - a.cpu_s) / (b.at - a.at)) for a, b in pairs],
        resident=[b.resident for _, b in pairs],
        private=[b.private for _, b in pairs],
        gpu_busy=[b.gpu.busy for _, b in pairs if b.gpu is not None] if with_gpu else [],
        gpu_memory=[b.gpu.memory for _, b in pairs if b.gpu is not None] if with_gpu else [],
    )


def held_by_processes(samples: list[ResourceSample]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """When, and how many private bytes the processes held: (n,) each."""
    return _arrays([one.at for one in samples], [one.private for one in samples])


def held_on_devices(process: RecordedProcess | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """When, and how many bytes torch had given out on devices: (n,) each, empty where it used none."""
    lines = [line for line in process.lines if line.allocated is not None] if process else []
    return _arrays([line.at for line in lines], [line.allocated or 0 for line in lines])


def _arrays(at: list[float], held: list[int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    when = np.asarray(at, dtype=np.float64)
    kept = np.concatenate([[True], np.diff(np.maximum.accumulate(when)) > 0]) if len(when) else np.ones(0, dtype=bool)
    return when[kept], np.asarray(held, dtype=np.float64)[kept]


def free_memory() -> float:
    """The bytes that the machine, or the group of this process, has left; NaN where nothing says."""
    left = math.nan
    with suppress(OSError, ValueError, IndexError):
        text = Path("/proc/meminfo").read_text(encoding="ascii")
        left = float(text.split("MemAvailable:")[1].split()[0]) * 1024
    with suppress(OSError, ValueError):
        limit = float((_CGROUP / "memory.max").read_text(encoding="ascii"))
        left = min(left, limit - float((_CGROUP / "memory.current").read_text(encoding="ascii")))
    return left
