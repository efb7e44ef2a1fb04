"""The main job on 10,000 steps x 25 metrics with every scalar rule, and that it grows linearly with the rows."""

from __future__ import annotations

from pathlib import Path

from benchmarks.data import training_log
from benchmarks.measure import Work, race
from benchmarks.result import Result

STEPS = 10_000
CPU_S = 5.0
LINEAR = 2.5  # twice the rows may cost this much more: the imports count once, and caches are not endless


def results(work: Path, scale: float, repeats: int) -> list[Result]:
    once, twice = work / "once.jsonl", work / "twice.jsonl"
    steps = int(STEPS * scale)
    training_log(once, steps)
    training_log(twice, 2 * steps)
    ours, double = race(*(Work(f"{__name__}:diagnose_file", str(path)) for path in (once, twice)), repeats=repeats)
    facts = ours.facts
    return [
        Result(
            job=f"doctor, {steps} steps x 25",
            ours=ours,
            against="5 cpu-s" if scale == 1 else f"{CPU_S * scale:g} cpu-s",
            ratio=ours.cpu_s / (CPU_S * scale),
            at_most=1.0,
            note=f"{facts['checked']} rules, {facts['findings']} findings",
        ),
        Result(
            job=f"doctor, {2 * steps} steps x 25",
            ours=double,
            baseline=ours,
            against="half the steps",
            ratio=double.cpu_s / ours.cpu_s,
            at_most=LINEAR,
        ),
    ]


def diagnose_file(path: str) -> dict[str, int]:
    from rldk.diagnosis import diagnose

    report = diagnose(path)
    return {"checked": len(report.checked), "findings": len(report.findings)}
