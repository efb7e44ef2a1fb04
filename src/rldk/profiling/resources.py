"""Samples of what the processes of a training use: CPU, memory, GPUs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

from msgspec import Struct

from rldk.engine.processes.identity import PROC, Process
from rldk.profiling.gpus import GpuCounters, GpuSample

FIRST_EACH_S = 0.1
LIST_S = 1.0  # between two searches for processes, which read much more than a sample does
MOST = 3000  # samples; beyond that every second one is dropped, and half as many are taken
NO_PROC = "needs /proc, which this system does not have"


class ResourceSample(Struct, frozen=True, kw_only=True):
    """`at`: seconds since the epoch. `cpu_s`: of all processes so far, also of those that have ended. `resident`:
    bytes, with pages of files. `private`: bytes without them, which is what can leak. `processes`: how many there
    are."""

    at: float
    cpu_s: float
    resident: int
    private: int
    processes: int
    gpu: GpuSample | None = None


class ResourceSampler:
    """Takes a sample when one is due. `processes`: asked for the processes to count."""

    def __init__(
        self,
        processes: Callable[[], Iterable[Process]],
        gpus: GpuCounters | None = None,
        *,
        each_s: float = FIRST_EACH_S,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._processes, self._now, self._each = processes, now, each_s
        self.gpus = gpus or GpuCounters()
        self.samples: list[ResourceSample] = []
        self._cpu: dict[tuple[int, str], float] = {}
        self._due = self._list_due = 0.0
        self._listed: list[Process] = []

    @property
    def missing(self) -> str:
        """Why there are no samples; "" where they can be had."""
        return "" if (PROC / "self" / "statm").exists() else NO_PROC

    def tick(self) -> None:
        """Takes a sample if one is due."""
        now = self._now()
        if now < self._due or self.missing:
            return
        self._due = now + self._each
        self.take()
        if len(self.samples) >= MOST:
            self.samples[:] = self.samples[::2]
            self._each *= 2

    def take(self) -> None:
        """Takes a sample; none where no process is there."""
        resident = private = count = 0
        if self._now() >= self._list_due or not self._listed:
            self._listed = list(self._processes())
            self._list_due = self._now() + LIST_S
        for process in self._listed:
            with suppress(OSError, ValueError, IndexError):
                cpu_s, whole, own = read_process(process.pid)
                self._cpu[process.pid, process.start] = cpu_s
                resident, private, count = resident + whole, private + own, count + 1
        if count:
            self.samples.append(
                ResourceSample(
                    at=self._now(),
                    cpu_s=sum(self._cpu.values()),
                    resident=resident,
                    private=private,
                    processes=count,
                    gpu=self.gpus.read(),
                )
            )


def read_process(pid: int) -> tuple[float, int, int]:
    """Seconds of CPU time, resident bytes, and those of them that are no pages of files or of shared memory.

    Raises `OSError` when the process has ended."""
    text = (PROC / str(pid) / "stat").read_bytes()
    fields = text[text.rindex(b")") + 2 :].split()
    pages = (PROC / str(pid) / "statm").read_bytes().split()
    size = os.sysconf("SC_PAGE_SIZE")
    ticks = int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK"), int(pages[1]) * size, (int(pages[1]) - int(pages[2])) * size
