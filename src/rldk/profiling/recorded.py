"""Reads what the processes of a profiled training have recorded. The files are theirs: nothing in them is trusted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

MOST_PROCESSES = 512
MOST_BYTES = 256 << 20  # of one file
MOST_LINES = 500_000
STACK_BYTES = 32 << 20
PHASES, STACKS, OPERATIONS = ".phases.jsonl", ".stacks.json", ".operations.json"


class PhaseLine(Struct, kw_only=True):
    """One line of the clock of a process: one step, or several fast ones. `kind`: "steps", "profiled" for steps that
    the profiler of torch has slowed down, "start-up" and "rest" for the time before the first and after the last."""

    kind: str
    at: float
    seconds: list[float] = field(default_factory=list)
    phases: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    allocated: int | None = None
    reserved: int | None = None
    pid: int = 0
    program: list[str] = field(default_factory=list)
    hooked: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    framework: str = ""


class StackPlace(Struct, kw_only=True):
    """Where the thread was seen: file, function, line and the function's first line, the innermost first. `inner`: the
    package that it called from there."""

    phase: str
    count: int
    inner: str
    stack: list[tuple[str, str, int, int]]


class StackFile(Struct, kw_only=True):
    """`each_s`: seconds between two looks. `total`: how many there were."""

    each_s: float
    total: int
    places: list[StackPlace]


class TorchOperation(Struct, frozen=True, kw_only=True):
    """An operation of torch with its own time, without that of the operations that it calls."""

    name: str
    calls: int
    cpu_s: float
    device_s: float


class OperationFile(Struct, kw_only=True):
    """`steps`: how many were recorded. `trace`: the file for a viewer, "" without one."""

    steps: int
    trace: str
    operations: list[TorchOperation]


class RecordedProcess(Struct, kw_only=True):
    """What one process has recorded. `refused`: lines that were no record."""

    pid: int
    program: str = ""
    framework: str = ""
    lines: list[PhaseLine] = field(default_factory=list)
    stacks: StackFile | None = None
    operations: OperationFile | None = None
    hooked: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    refused: int = 0

    @property
    def steps(self) -> int:
        """How many steps were timed."""
        return sum(len(line.seconds) for line in self.lines)

    @property
    def seconds(self) -> float:
        """How long the process was timed."""
        return sum(sum(line.phases.values()) for line in self.lines)


def recorded_processes(folder: Path) -> list[RecordedProcess]:
    """The processes: first one whose trainer is known, then one with more steps, then one that was timed for longer.
    Workers of a trainer may make steps of an optimizer, too."""
    names = sorted(name for name in os.listdir(folder) if name.endswith(PHASES))[:MOST_PROCESSES]  # noqa: PTH208
    found = [_process(folder / name) for name in names]
    return sorted(found, key=lambda one: (not one.framework, -one.steps, -one.seconds))


def _process(path: Path) -> RecordedProcess:
    stem = path.name.removesuffix(PHASES)
    number = stem.rpartition("-")[2]
    process = RecordedProcess(pid=int(number) if number.isdigit() and len(number) < 12 else 0)
    decoder, ended = msgspec.json.Decoder(PhaseLine), False
    for text in _lines(path):
        try:
            line = decoder.decode(text)
        except (msgspec.DecodeError, ValueError):  # the last line of a process that was killed, or not our own
            process.refused += 1
            continue
        match line.kind:
            case "begin":
                process.program = str(line.program[0])[:500] if line.program else ""
            case "end":
                process.hooked, process.failed, process.framework = line.hooked, line.failed, line.framework
                ended = True
            case _ if len(process.lines) < MOST_LINES and _is_sound(line):
                process.lines.append(line)
            case _:
                process.refused += 1
    process.stacks = _decoded(path.with_name(stem + STACKS), StackFile)
    process.operations = _decoded(path.with_name(stem + OPERATIONS), OperationFile)
    if not ended and not process.steps and process.stacks is not None:
        process.lines = [_looked(process.stacks)]
    return process


def _looked(stacks: StackFile) -> PhaseLine:
    """The phases of a process that was killed before its first step, by the looks at its stack."""
    phases: dict[str, float] = {}
    for place in stacks.places:
        phases[place.phase] = phases.get(place.phase, 0.0) + place.count * stacks.each_s
    return PhaseLine(kind="rest", at=0.0, phases=phases)


def _is_sound(line: PhaseLine) -> bool:
    return all(0 <= value < 1e9 for value in (*line.seconds, *line.phases.values()))


def _lines(path: Path) -> Iterator[bytes]:
    with suppress(OSError), path.open("rb") as stream:
        yield from stream.read(MOST_BYTES).splitlines()


def _decoded(path: Path, kind: Any) -> Any:
    """The content of a small file of JSON, or None."""
    try:
        with path.open("rb") as stream:
            return msgspec.json.decode(stream.read(STACK_BYTES), type=kind)
    except (OSError, msgspec.DecodeError):
        return None
