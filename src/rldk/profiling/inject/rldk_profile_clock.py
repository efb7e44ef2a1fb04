"""How long a thread spends in each phase of a training, step by step. Standard library only."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from functools import wraps
from typing import Any

START, OTHER = "start-up", "other"  # before the first phase, and outside of any
PROFILER = "profiler"  # work of the profile itself, which counts nowhere
FLUSH_S = 0.2  # steps that are faster share a line
MOST_STEPS = 1000  # of a line


class PhaseClock:
    """Charges each moment to the innermost phase, so that the phases add up to the whole time.

    Only the thread that made the clock is timed. `write` is given one line for each step, or for several fast ones.
    `facts`: asked for further entries of a line. `stepped`: called at the end of each step; it may return True for
    steps whose time does not count."""

    def __init__(
        self,
        write: Callable[[dict[str, Any]], object],
        *,
        now: Callable[[], float] = time.perf_counter,
        facts: Callable[[], dict[str, Any]] = dict,
    ) -> None:
        self._write, self._now, self._facts = write, now, facts
        self._thread, self._pid = threading.get_ident(), os.getpid()
        self._stack: list[str] = []
        self._since = self._step_since = self._written = now()
        self._begun = False
        self._clear()
        self.owner = ""  # the framework whose own steps count; "" while none is known
        self.stepped: Callable[[], bool] = bool

    def _clear(self) -> None:
        self._phases: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        self._seconds: list[float] = []

    @property
    def own(self) -> bool:
        """Whether the caller is the thread and the process that are timed."""
        return threading.get_ident() == self._thread and os.getpid() == self._pid

    @property
    def current(self) -> str:
        """The phase that the thread is in."""
        stack = self._stack
        return stack[-1] if stack else (OTHER if self._begun else START)

    def inside(self, phase: str) -> bool:
        """Whether the thread is somewhere within that phase."""
        return phase in self._stack

    def enter(self, phase: str) -> None:
        """A phase begins."""
        self._charge()
        if not self._begun:
            self._begin()
        self._stack.append(phase)

    def leave(self) -> None:
        """The innermost phase ends."""
        self._charge()
        if self._stack:
            self._stack.pop()

    def count(self, name: str, number: int) -> None:
        """Adds tokens or steps of an environment to the step that runs."""
        self._counts[name] = self._counts.get(name, 0) + number

    def step(self) -> None:
        """A step of the training has ended."""
        self._charge()
        now = self._since
        self._begun = True
        self._seconds.append(now - self._step_since)
        self._step_since = now
        self._stack.append(PROFILER)
        skipped = self.stepped()
        self._stack.pop()
        if skipped or now - self._written >= FLUSH_S or len(self._seconds) >= MOST_STEPS:
            self._flush("profiled" if skipped else "steps")
        self._since = self._step_since = self._now()  # what this took belongs to no step

    def end(self) -> None:
        """Writes what is left, with the time after the last step."""
        if not self.own:
            return
        if self._seconds:
            self._flush("steps")
        self._charge()
        self._flush("rest")

    def _begin(self) -> None:
        self._begun = True
        self._flush(START)
        self._step_since = self._since

    def _charge(self) -> None:
        now = self._now()
        phase = self.current
        self._phases[phase] = self._phases.get(phase, 0.0) + now - self._since
        self._since = now

    def _flush(self, kind: str) -> None:
        line = {"kind": kind, "at": time.time(), "seconds": self._seconds, "phases": self._phases}
        self._write({**line, "counts": self._counts, **self._facts()})
        self._written = self._now()
        self._clear()

    def timed(self, function: Callable[..., Any], phase: str, after: Callable[..., object] | None = None) -> Any:
        """The function, its time charged to a phase. `after`: called with the result and the arguments."""

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            if not self.own:
                return function(*args, **kwargs)
            self.enter(phase)
            try:
                result = function(*args, **kwargs)
                if after is not None:
                    after(result, *args, **kwargs)
            finally:
                self.leave()
            return result

        return call


class LineFile:
    """A file of JSON lines, each written by one call, so that a killed process loses no whole line. A process that was
    forked from the one that began writes nothing."""

    def __init__(self, path: str) -> None:
        self._pid = os.getpid()
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def write(self, line: dict[str, Any]) -> None:
        """Writes a line. What cannot be written is lost: the training must go on."""
        if os.getpid() != self._pid:
            return
        try:
            os.write(self._file, json.dumps(line).encode() + b"\n")
        except (OSError, ValueError):
            return
