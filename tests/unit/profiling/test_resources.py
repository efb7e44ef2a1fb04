"""Samples of resources: those of this very process, with nothing between."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rldk.engine.processes.identity import descendants
from rldk.profiling.resources import MOST, ResourceSampler, read_process

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")


def test_memory_that_is_held_is_seen() -> None:
    before = read_process(os.getpid())[2]
    held = bytearray(b"x" * (64 << 20))
    after = read_process(os.getpid())[2]
    assert len(held) <= after - before + (1 << 20)


@pytest.mark.slow
def test_cpu_time_of_a_process_that_has_ended_still_counts() -> None:
    command = [sys.executable, "-c", "x = sum(i * i for i in range(2000000)); print(1, flush=True); input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        sampler = ResourceSampler(lambda: descendants(child.pid), each_s=0.0)
        sampler.take()
        child.communicate(b"\n")
    busy = sampler.samples[0].cpu_s
    sampler._listed = []
    sampler.take()
    assert busy > 0
    assert (len(sampler.samples), sum(sampler._cpu.values())) == (1, busy)


@pytest.mark.slow
def test_a_long_run_keeps_a_bounded_number_of_samples() -> None:
    now = 0.0

    def clock() -> float:
        return now

    sampler = ResourceSampler(lambda: descendants(os.getpid())[:1], now=clock)
    sampler._list_due = 1e9
    sampler._listed = descendants(os.getpid())[:1]
    for _ in range(MOST * 3):
        now += 0.1
        sampler.tick()
    assert len(sampler.samples) < MOST
    gaps = {round(b.at - a.at, 6) for a, b in zip(sampler.samples, sampler.samples[1:], strict=False)}
    assert max(gaps) <= 0.5
