"""The main job on 10,000 steps x 25 metrics with every scalar rule, and that it grows linearly with the rows."""

from __future__ import annotations

import time
from importlib.util import find_spec
from pathlib import Path

from benchmarks.data import training_log, training_run
from benchmarks.measure import Cost, Work, race
from benchmarks.result import Result

STEPS = 10_000
CPU_S, FAST_CPU_S = 5.0, 1.5
LINEAR = 2.5  # twice the rows may cost this much more: the imports count once, and caches are not endless
TENFOLD = 12.0  # ten times the rows, without imports


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
            against=f"{CPU_S * scale:g} cpu-s",
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
        *_long(steps, repeats),
        *(_fast(steps, repeats) if find_spec("numba") else ()),
    ]


def _long(steps: int, repeats: int) -> list[Result]:
    """Plain, without reading: ten times the rows."""
    one, ten = race(*(Work(f"{__name__}:scan_plain", str(n)) for n in (steps, 10 * steps)), repeats=repeats)
    return [_grown(f"scan, {10 * steps} steps x 25", one, ten)]


def _fast(steps: int, repeats: int) -> list[Result]:
    """With numba, which a run as short as the first one never loads; beyond its import and compilation."""
    one, ten, hundred = race(
        *(Work(f"{__name__}:scan_fast", str(n)) for n in (steps, 10 * steps, 100 * steps)), repeats=repeats
    )
    short = Result(
        job=f"scan, {steps} steps x 25, numba",
        ours=one,
        against=f"{FAST_CPU_S:g} cpu-s",
        ratio=one.facts["scan_s"] / FAST_CPU_S,
        at_most=1.0,
        note=f"numba itself {one.facts['load_s']:.2f} cpu-s, the scan {one.facts['scan_s']:.2f}",
    )
    return [short, _grown(f"scan, {100 * steps} steps x 25, numba", ten, hundred)]


def _grown(job: str, part: Cost, whole: Cost) -> Result:
    before, after = part.facts["scan_s"], whole.facts["scan_s"]
    return Result(
        job=job,
        ours=whole,
        baseline=part,
        against="a tenth of the steps",
        ratio=after / before,
        at_most=TENFOLD,
        note=f"{after:.2f} and {before:.2f} cpu-s; {whole.facts['checked']} rules",
    )


def diagnose_file(path: str) -> dict[str, int]:
    from rldk.diagnosis import diagnose

    report = diagnose(path)
    return {"checked": len(report.checked), "findings": len(report.findings)}


def scan_plain(steps: str) -> dict[str, float]:
    return _scan(int(steps), fast=False)


def scan_fast(steps: str) -> dict[str, float]:
    return _scan(int(steps), fast=True)


def _scan(steps: int, *, fast: bool) -> dict[str, float]:
    """The CPU time of a scan of a run in memory, and that of loading what it uses."""
    import sys

    import rldk.engine.scan as module
    from rldk.rules.rule import rules

    module.LONG_ROWS = 0 if fast else sys.maxsize
    asked, run = tuple(rules), training_run(steps)
    began = time.process_time()
    module.scan(training_run(300), asked)
    loaded = time.process_time()
    report = module.scan(run, asked)
    return {"load_s": loaded - began, "scan_s": time.process_time() - loaded, "checked": len(report.checked)}
