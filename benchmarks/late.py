"""A text log without a metric line: how long it takes to refuse it, against one search by grep."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

from benchmarks.measure import Work, command_cost, race
from benchmarks.result import Result

SIZE = 200_000_000
# Measured: 13 times the CPU time of grep, a part of it the start of Python, of numpy and of the adapters. grep looks
# for one word; here four words with a number after them are looked for, and each line with one of them is asked about.
LIMIT = 16.0
RSS_MB = 120.0  # the interpreter, numpy and the adapters take 70
_COMMON = (
    "the of and to in is that for it as was with be by on not he his but at are this have from or had an they".split()
)
_WORDS = [*_COMMON * 8, *"step keep answer first number apples since we have so think about every other reward".split()]


def results(work: Path, scale: float, repeats: int) -> list[Result]:
    """Samples as a reward function prints them: prose with a number now and then."""
    if shutil.which("grep") is None:
        return [Result(job="refuse a text", note="skipped: no grep")]
    path = work / "samples.log"
    samples(path, int(SIZE * scale))
    ours = race(Work(f"{__name__}:refuse", str(path), "rldk.adapters.open,numpy"), repeats=repeats)[0]
    # grep stops at the first match when its output is the null device
    grep = command_cost(["sh", "-c", f"grep -c step: '{path}' | cat"], repeats=repeats)
    path.unlink()
    return [
        Result(
            job="refuse a text",
            ours=ours,
            baseline=grep,
            against="grep -c",
            ratio=ours.cpu_s / max(grep.cpu_s, 1e-3),
            at_most=LIMIT,
            rss_budget_mb=RSS_MB,
            note=f"{ours.facts['bytes'] / ours.cpu_s / 1e6:.0f} MB/cpu-s",
        )
    ]


def samples(path: Path, size: int) -> None:
    rng = random.Random(7)
    lines = [
        " ".join(rng.choices(_WORDS, k=14)) + rng.choice([".", " 12.", " step by step:", "?"]) for _ in range(5000)
    ]
    block = "\n".join(lines) + "\n"
    with path.open("w") as stream:
        for _ in range(size // len(block) + 1):
            stream.write(block)


def refuse(path: str) -> dict[str, int]:
    from rldk.adapters.base import adapters
    from rldk.adapters.late import late
    from rldk.adapters.source import File

    if late(File(Path(path)), list(adapters)) is not None:
        raise AssertionError("a text without metrics was taken for a log")
    return {"bytes": Path(path).stat().st_size}
