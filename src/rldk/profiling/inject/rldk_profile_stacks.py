"""Looks at the stack of the main thread many times a second: in which lines of the user's code the time goes, whatever
the trainer. Standard library only."""

from __future__ import annotations

import json
import os
import sys
import sysconfig
import threading
import time
from collections import Counter
from collections.abc import Callable
from types import CodeType, FrameType

EACH_S = 0.02
SWITCH_S = 0.001
FIRST_S, WRITE_S = 0.5, 8.0  # until the first file is written, and at most between two; each time twice as long
DEEP = 150  # frames of a stack that are looked at
KEPT = 2000  # places that are written at most
_PLACES = [os.path.realpath(p) + os.sep for p in {sysconfig.get_paths()[n] for n in ("stdlib", "purelib", "platlib")}]
_LIBRARY = ("site-packages", "dist-packages")
_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - of rldk.profiling


class StackSampler:
    """Counts the places in which a thread was seen.

    `phase`: asked for the phase of that thread at each look. A place is the innermost line of the user's own code, with
    the functions of the user that led there."""

    def __init__(self, path: str, thread: int, phase: Callable[[], str]) -> None:
        self._path, self._watched, self._phase = path, thread, phase
        self._counts: Counter[tuple[str, tuple[tuple[CodeType, int], ...], str]] = Counter()
        self._own: dict[CodeType, bool] = {}
        self._stop = threading.Event()
        self._pid = os.getpid()
        self._thread = threading.Thread(target=self._run, name="rldk-profile", daemon=True)

    def start(self) -> None:
        """Begins to look.

        A thread that computes in Python lets others in only so often (5 ms by default). Looks would then fall on the
        places where it waits for something, so this is lowered while the sampler runs."""
        self._switch = sys.getswitchinterval()
        sys.setswitchinterval(min(self._switch, SWITCH_S))
        self._thread.start()

    def stop(self) -> None:
        """Ends, and writes what was seen."""
        if os.getpid() == self._pid:
            self._stop.set()
            self._thread.join(2.0)
            sys.setswitchinterval(self._switch)
            self._write()

    def _run(self) -> None:
        pause = FIRST_S
        due = time.monotonic() + pause
        while not self._stop.wait(EACH_S):
            frame = sys._current_frames().get(self._watched)
            if frame is not None:
                self._look(frame)
            if time.monotonic() > due:
                self._write()
                pause = min(2 * pause, WRITE_S)
                due = time.monotonic() + pause

    def _look(self, frame: FrameType) -> None:
        phase = self._phase()
        if phase == "profiler":
            return
        found: list[tuple[CodeType, int]] = []
        inner = _package(frame.f_code.co_filename)
        seen: FrameType | None = frame
        for _ in range(DEEP):
            if seen is None:
                break
            if self._is_own(seen.f_code):
                # below the innermost place only the function matters, or each loop would be a place of its own
                found.append((seen.f_code, 0 if found else seen.f_lineno))
            seen = seen.f_back
        self._counts[phase, tuple(found), inner] += 1

    def _is_own(self, code: CodeType) -> bool:
        known = self._own.get(code)
        if known is None:
            known = self._own[code] = is_own(code.co_filename)
        return known

    def _write(self) -> None:
        """Replaces the file. What cannot be written is lost."""
        places = [
            {
                "phase": phase,
                "count": count,
                "inner": inner,
                "stack": [[code.co_filename, code.co_qualname, line, code.co_firstlineno] for code, line in stack],
            }
            for (phase, stack, inner), count in self._counts.most_common(KEPT)
        ]
        try:
            with open(f"{self._path}.part", "w", encoding="utf-8") as stream:  # noqa: PTH123
                json.dump({"each_s": EACH_S, "total": sum(self._counts.values()), "places": places}, stream)
            os.replace(f"{self._path}.part", self._path)  # noqa: PTH105
        except (OSError, ValueError):
            return


def is_own(filename: str) -> bool:
    """Whether a file is the user's own code: no installed package, no part of Python, and none of rldk's hooks."""
    if filename.startswith("<"):
        return filename in ("<string>", "<stdin>") or filename.startswith("<ipython")
    path = os.path.realpath(filename)
    if path.startswith(_HERE) or any(f"{os.sep}{part}{os.sep}" in path for part in _LIBRARY):
        return False
    return not any(path.startswith(place) for place in _PLACES)


def _package(filename: str) -> str:
    """The package that a file belongs to; "" for the user's own code."""
    for part in _LIBRARY:
        _, found, tail = filename.rpartition(f"{os.sep}{part}{os.sep}")
        if found:
            return tail.partition(os.sep)[0].removesuffix(".py")
    return "" if is_own(filename) else os.path.basename(filename).removesuffix(".py")  # noqa: PTH119
