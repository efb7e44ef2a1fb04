"""SYS: what `rldk profile` sees of the memory of a training."""

from __future__ import annotations

import math
from functools import partial

from rldk.rules.profiles import MemoryTrend, ProfileView
from rldk.rules.rule import Signal, rule

_profile_rule = partial(rule, severity="warn", data="T", subject="profile")
MIB, HOUR = float(1 << 20), 3600.0


def _said(what: str, trend: MemoryTrend, step_s: float) -> str:
    pace = (
        f"{trend.slope * HOUR / MIB:,.0f} MiB an hour ({trend.low * HOUR / MIB:,.0f} to {trend.high * HOUR / MIB:,.0f})"
    )
    each = "" if math.isnan(step_s) else f", {trend.slope * step_s / MIB:,.2g} MiB a step"
    return f"{what} grows by {pace}{each}, and does not level off"


def _evidence(trend: MemoryTrend) -> dict[str, float]:
    return {"p": trend.p, "growth_bytes": trend.growth, "seconds": trend.seconds, "level_bytes": trend.level}


@_profile_rule(
    "SYS040",
    "process-memory-grows",
    tier=2,
    needs=("memory",),
    causes=(
        "tensors are kept for logging with their graph, or lists of rollouts are never emptied",
        "workers of a data loader copy what they read, or a cache has no limit",
    ),
    fixes=(
        "detach and convert what is logged (`.item()`), and bound every list that lives longer than a step",
        "compare two snapshots of `tracemalloc` some steps apart: they name the lines that allocate",
    ),
)
def process_memory_grows(profile: ProfileView) -> Signal | None:
    """Fires when the memory of the processes of a profiled training grows steadily and does not level off.

    Why it matters: The run is killed when the memory of the machine is full, at a moment that the system chooses.
    How it is computed: Resident memory without pages of files, summed over all processes, after the first fifth of the
    time. The lowest value of each of 40 blocks of time is tested for a rise (Mann and Kendall, with the correction of
    Hamed and Rao for autocorrelation): p < 0.001 for the whole and < 0.05 for each half. The second half must grow at
    half of the pace of the first or faster, and the whole by 2 % and 8 MiB at least.
    When it is wrong: A replay buffer or a cache that fills slowly looks the same until it is full: profile for longer.
    Memory that other processes share is counted with each of them. Of 200 simulated series each, noise, a sawtooth
    and one large step gave no false alarm, growth that levels off gave 0.5 % at most, and random walks 8 %.
    Source: Mann 1945, Kendall 1975, Sen 1968, Hamed and Rao 1998. The limits on size are our own choice: allocators
    keep pages of a few megabytes for themselves.
    """
    trend = profile.memory
    if trend is None or not trend.grows:
        return None
    hours = profile.room / trend.slope / HOUR
    within = "" if math.isnan(hours) else f"{max(1, round(hours)):,} hour{'s' if round(hours) > 1 else ''}"
    message = _said("the memory of the processes", trend, profile.step_s)
    message += f"; at that pace the memory of this machine is full in about {within}" if within else ""
    return Signal(value=trend.growth, limit=0.0, metric="memory", message=message, evidence=_evidence(trend))


@_profile_rule(
    "SYS041",
    "device-memory-grows",
    tier=2,
    needs=("device",),
    causes=("tensors on the device are kept for logging with their graph", "a cache of keys and values is never freed"),
    fixes=(
        "detach what is logged and move it off the device",
        "compare two snapshots of torch.cuda.memory._dump_snapshot some steps apart",
    ),
)
def device_memory_grows(profile: ProfileView) -> Signal | None:
    """Fires when the memory that torch has given out on GPUs grows steadily and does not level off.

    Why it matters: The run ends with an out-of-memory error, often after hours.
    How it is computed: `torch.cuda.memory_allocated` at the ends of steps, judged as in SYS040.
    When it is wrong: Longer sequences need more memory: see whether their length grows, too. Not tried on a real GPU.
    Source: As SYS040.
    """
    trend = profile.device
    if trend is None or not trend.grows:
        return None
    message = _said("the memory that torch holds on GPUs", trend, profile.step_s)
    return Signal(value=trend.growth, limit=0.0, metric="device_memory", message=message, evidence=_evidence(trend))
