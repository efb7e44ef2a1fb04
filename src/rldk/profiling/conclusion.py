"""Turns what was seen of a profiled training into the report."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from msgspec import Struct

from rldk.cards.words import plural
from rldk.core.model import SEVERITIES, Note
from rldk.engine.live import Engine
from rldk.engine.once import Once, look_once
from rldk.profiling.evidence import (
    ProfileEvidence,
    count_of,
    counted_seconds,
    free_memory,
    held_by_processes,
    held_on_devices,
    phase_times,
    resource_curves,
    step_seconds,
)
from rldk.profiling.facts import PhaseTime, ResourceCurves
from rldk.profiling.hot_lines import UNTIMED, hot_lines, hottest_function
from rldk.profiling.memory import memory_trend
from rldk.profiling.report import ProfileReport
from rldk.rules.chosen import chosen_rules
from rldk.rules.profiles import MemoryTrend, ProfileView
from rldk.rules.rule import Context

KIND = "profile"
DOMINANT = 0.4  # share of the time from which on one phase is called the bottleneck; without it, 1.7 times faster
TELLING = 0.25  # share of a phase from which on a function is named
EXCESS = {
    "flooded": "the command printed more than 2 GiB and was ended",
    "full": "the command was ended because the disk was nearly full",
    "large": "the command wrote more than --max-output allows and was ended",
}
OVERLAP = 1.02  # times the steps: what phases add up to when some of them run at the same time
IDLE = 0.3  # of the time that GPUs are busy
NAMES = {
    "rollout": "the rollout", "reward": "the reward", "train": "the training", "sync": "the transfer of weights",
    "environment": "the environment", "data": "loading data", "evaluation": "the evaluation",
    "checkpoint": "saving checkpoints", "log-probs": "the log probabilities of the trainer's models",
    "experience": "making experience of the answers (rewards, log probabilities)",
    "other": "code outside of known phases", "start-up": "the start",
}  # fmt: skip


class _Memory(Struct, frozen=True, kw_only=True):
    """The trends that could be judged, and why others could not."""

    processes: MemoryTrend | None
    device: MemoryTrend | None
    missing: dict[str, str]


def conclude_profile(e: ProfileEvidence) -> ProfileReport:
    """The report."""
    phases, seconds, curves = phase_times(e), step_seconds(e), resource_curves(e.samples)
    memory = _memory(e)
    median = float(np.median(seconds)) if seconds else math.nan
    once = _judged(memory, median)
    findings = tuple(sorted(once.findings, key=lambda f: (-SEVERITIES.index(f.severity), f.code)))
    bottleneck = _bottleneck(e, phases, median)
    main = e.main
    operations = main.operations if main else None
    stacks = main.stacks if main else None
    return ProfileReport(
        kind=KIND,
        passed=not any(f.severity == "critical" for f in findings),
        verdict=" ".join([bottleneck, *(f"{f.message[:1].upper()}{f.message[1:]}." for f in findings)]),
        findings=findings,
        checked=tuple(sorted(once.checked)),
        skipped=tuple(sorted(once.unchecked, key=lambda check: check.code)),
        notes=tuple(_notes(e, curves)),
        numbers=_numbers(e, seconds, curves),
        meta=_meta(e),
        phases=phases,
        bottleneck=bottleneck,
        step_seconds=seconds,
        hot_lines=hot_lines(stacks, start=_untimed(e)) if stacks else (),
        operations=tuple(operations.operations) if operations else (),
        torch_steps=operations.steps if operations else 0,
        curves=curves,
        memory=memory.processes,
        device_memory=memory.device,
        unavailable={**_unavailable(e), **memory.missing},
        command=e.command,
        exit_code=e.exit_code,
    )


def _untimed(e: ProfileEvidence) -> bool:
    """Whether no phase was ever entered, so that all the time is that of the start."""
    return bool(e.counted) and all(set(line.phases) <= {"start-up"} for line in e.counted)


def _memory(e: ProfileEvidence) -> _Memory:
    missing = {}
    processes = memory_trend(*held_by_processes(e.samples))
    if isinstance(processes, str):
        missing["memory trend"] = e.missing.get("resources") or processes
    at, held = held_on_devices(e.main)
    device: MemoryTrend | str = memory_trend(at, held) if len(at) else "torch used no GPU"
    if isinstance(device, str):
        missing["device memory trend"] = device
    return _Memory(
        processes=None if isinstance(processes, str) else processes,
        device=None if isinstance(device, str) else device,
        missing=missing,
    )


def _judged(memory: _Memory, step_s: float) -> Once:
    view = ProfileView(memory=memory.processes, device=memory.device, room=free_memory(), step_s=step_s)
    rules = tuple(rule for rule in chosen_rules() if rule.subject == "profile")
    context = Context()
    return look_once(rules, context, Engine(rules, context).inapplicable, {"profile": view})


def _bottleneck(e: ProfileEvidence, phases: tuple[PhaseTime, ...], median: float) -> str:
    if not phases:
        return "No phase was seen: only CPU and memory were measured."
    top = phases[0]
    of = "of the time of a step" if not math.isnan(median) else "of the time"
    if top.share < DOMINANT:
        named = ", ".join(f"{NAMES.get(one.name, one.name)} {one.share:.0%}" for one in phases[:3])
        return f"There is no single bottleneck: {named} {of}."
    name = NAMES.get(top.name, top.name)
    said = f"The bottleneck is {name}: {top.share:.0%} {of}"
    said += f" ({top.per_step:.3g} s of {sum(one.per_step or 0 for one in phases):.3g} s)" if top.per_step else ""
    stacks = e.main.stacks if e.main and not e.logged.seconds else None  # of another process than the phase
    hottest = hottest_function(stacks, top.name) if stacks else None
    if hottest is not None and hottest[1] >= TELLING:
        said += f", {hottest[1]:.0%} of that in {hottest[0]}"
    promised = top.share <= 0.99 and e.logged.overlap <= OVERLAP
    gain = "" if not promised else f" Without it, a step would be {1 / (1 - top.share):.2g} times as fast."
    return f"{said}.{gain if not math.isnan(median) else ''}"


def _numbers(e: ProfileEvidence, seconds: list[float], curves: ResourceCurves) -> dict[str, float | int | None]:
    counted = counted_seconds(e)

    def rate(name: str) -> float | None:
        number = count_of(e, name)
        return number / counted if number and counted > 0 else None

    def over(values: list[Any], how: Any) -> float | None:
        return float(how(values)) if values else None

    return {
        "seconds": round(e.seconds, 3),
        "steps": e.logged.steps or sum(one.steps for one in e.processes[:1]),
        "step_s": over(seconds, np.median),
        "step_s_p95": over(seconds, lambda v: np.quantile(v, 0.95)),
        "tokens_per_sec": rate("tokens"),
        "environment_steps_per_sec": rate("environment_steps"),
        "cpu_cores": over(curves.cpu, np.mean),
        "memory_peak_bytes": over(curves.resident, max),
        "gpu_busy": over(curves.gpu_busy, np.mean),
        "gpu_memory_peak_bytes": over(curves.gpu_memory, max),
    }


def _unavailable(e: ProfileEvidence) -> dict[str, str]:
    missing = {name: why for name, why in e.missing.items() if why}
    main = e.main
    if e.logged.seconds:
        pass
    elif main is None:
        missing["phases"] = "no Python process loaded the hooks (another language, or python -I, -S or -E)"
    elif not main.steps:
        missing["steps"] = "no step of a known trainer or of an optimizer of torch was seen"
    if main is not None and not count_of(e, "tokens"):
        missing["tokens per second"] = "nothing was generated by transformers, and the program counted none"
    if e.torch_steps and (main is None or main.operations is None):
        missing["operations"] = "torch made fewer than four steps, or was not used"
    return missing


def _notes(e: ProfileEvidence, curves: ResourceCurves) -> Iterator[Note]:
    main = e.main
    if e.how == "late":
        yield Note(
            topic="end", text="the command was ended when its time was over; the profile covers what came before"
        )
    elif e.how == "stopped":
        yield Note(topic="end", text="the command was interrupted; the profile covers what came before")
    elif e.how in EXCESS:
        yield Note(topic="end", text=f"{EXCESS[e.how]}; the profile covers what came before")
    elif e.exit_code:
        said = f": {e.said}" if e.said else ""
        yield Note(topic="end", text=f"the command ended with exit code {e.exit_code}{said}")
    if curves.gpu_busy and float(np.mean(curves.gpu_busy)) < IDLE:
        text = f"the GPU is busy for {float(np.mean(curves.gpu_busy)):.0%} of the time: it waits for something else"
        yield Note(topic="gpu", text=text)
    if main is not None and main.failed:
        yield Note(topic="hooks", text="not timed: " + ", ".join(f"{n} ({why})" for n, why in main.failed.items()))
    others = sum(one.steps > 0 for one in e.processes[1:])
    if others and not e.logged.seconds:
        yield Note(
            topic="processes", text=f"phases are those of one process; {plural(others, 'other')} made steps, too"
        )
    if e.logged.seconds:
        text = f"phases and steps are those that {e.logged.framework} has logged; 'other' is what it gives no name to"
        yield Note(topic="phases", text=text)
    if e.logged.overlap > OVERLAP:
        text = f"the phases add up to {e.logged.overlap:.0%} of the steps: some of them run at the same time"
        yield Note(topic="phases", text=text)
    if any(one.how == "seen" for one in phase_times(e)):
        text = "phases marked as seen are told by the names of functions, where the time was outside of timed phases"
        yield Note(topic="phases", text=text)


def _meta(e: ProfileEvidence) -> dict[str, Any]:
    main = e.main
    return {
        "run": e.command or "a part of a program",
        "source": e.command,
        "folder": str(e.folder),
        "framework": e.logged.framework or (main.framework if main else ""),
        "gpus": e.gpus,
        "how": e.how,
        "trace": main.operations.trace if main and main.operations else "",
        "untimed": [name for name in UNTIMED if any(name in line.phases for line in e.counted)],
    }
