"""A text log without a metric line: how long it takes to refuse it, against one search by grep."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

from benchmarks.measure import Work, command_cost, race
from benchmarks.result import Result

SIZE = 200_000_000
LIMIT = 2.0
WORDS = "step|epoch|episode|iter"  # what a line that says a count has
RSS_MB = 120.0  # the interpreter, numpy and the adapters take 70
_COMMON = (
    "the of and to in is that for it as was with be by on not he his but at are this have from or had an they".split()
)
_WORDS = [*_COMMON * 8, *"step keep answer first number apples since we have so think about every other reward".split()]


def results(work: Path, scale: float, repeats: int) -> list[Result]:
    """Samples as a reward function prints them, a log of requests with numbers in every line, and two texts that speak
    of a step and a reward in every line: sentences, and lines that look like metrics with steps that do not rise."""
    if shutil.which("grep") is None:
        return [Result(job="refuse a text", note="skipped: no grep")]
    return [
        _result(work / name, make, int(SIZE * scale), repeats)
        for name, make in (("samples", samples), ("requests", requests), ("prose", prose), ("counts", counts))
    ]


def _result(path: Path, make: Callable[[Path, int], None], size: int, repeats: int) -> Result:
    make(path, size)
    ours = race(Work(f"{__name__}:refuse", str(path), "rldk.adapters.open,numpy"), repeats=repeats)[0]
    # grep stops at the first match when its output is the null device
    grep = command_cost(["sh", "-c", f"grep -c -E '{WORDS}' '{path}' | cat"], repeats=repeats)
    path.unlink()
    return Result(
        job=f"refuse a text of {path.name}",
        ours=ours,
        baseline=grep,
        against=f"grep -c -E '{WORDS}'",
        ratio=ours.cpu_s / max(grep.cpu_s, 1e-3),
        at_most=LIMIT,
        rss_budget_mb=RSS_MB,
        note=f"{ours.facts['bytes'] / ours.cpu_s / 1e6:.0f} MB/cpu-s",
    )


def samples(path: Path, size: int) -> None:
    rng = random.Random(7)
    lines = [
        " ".join(rng.choices(_WORDS, k=14)) + rng.choice([".", " 12.", " step by step:", "?"]) for _ in range(5000)
    ]
    _repeat(path, lines, size)


def requests(path: Path, size: int) -> None:
    rng = random.Random(8)
    lines = [
        f"2026-11-20 10:{i % 60:02d}:{i % 59:02d},{i % 1000:03d} INFO worker.py:{i % 800}] request {i} took "
        f"{rng.random():.4f} s, {rng.randint(1, 4000)} tokens, repetition {rng.random():.2f}"
        for i in range(5000)
    ]
    _repeat(path, lines, size)


def prose(path: Path, size: int) -> None:
    rng = random.Random(9)
    lines = [
        f"In step {rng.randrange(40)} we {' '.join(rng.choices(_COMMON, k=8))} so the reward is {rng.randrange(9)} "
        + " ".join(rng.choices(_COMMON, k=5))
        for _ in range(5000)
    ]
    _repeat(path, lines, size)


def counts(path: Path, size: int) -> None:
    rng = random.Random(10)
    _repeat(path, [f"step {rng.randrange(400)} of 10: reward was {rng.randrange(9)}" for _ in range(5000)], size)


def _repeat(path: Path, lines: list[str], size: int) -> None:
    block = "\n".join(lines) + "\n"
    with path.open("w") as stream:
        for _ in range(size // len(block) + 1):
            stream.write(block)


def refuse(path: str) -> dict[str, int]:
    from rldk.adapters.base import adapters
    from rldk.adapters.late import find_late_start
    from rldk.adapters.source import File

    if find_late_start(File(Path(path)), list(adapters)) is not None:
        raise AssertionError("a text without metrics was taken for a log")
    return {"bytes": Path(path).stat().st_size}
