"""Pauses that end early when somebody asks the monitor to stop."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signals:
    """While it is entered, a signal is noted and ends the pause. The second SIGINT raises `KeyboardInterrupt`.

    `caught`: the first signal. `relay` is called with every signal, in the handler. With a `relay`, no signal
    raises."""

    def __init__(self, relay: Callable[[int], None] | None = None) -> None:
        self.caught: signal.Signals | None = None
        self._relay = relay
        self._before: dict[signal.Signals, Any] = {}
        self._ends = (-1, -1)

    def __enter__(self) -> Signals:
        self._ends = os.pipe()
        for end in self._ends:
            os.set_blocking(end, False)
        for number in ENDING:
            before = signal.getsignal(number)
            if before != signal.SIG_IGN:  # nohup: the monitor must not end with the terminal
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
        for end in self._ends:
            os.close(end)

    def wait(self, seconds: float) -> signal.Signals | None:
        """Pauses for so long or until a signal. Returns the first signal so far."""
        if self.caught is None:
            self.pause(seconds)
        return self.caught

    def pause(self, seconds: float) -> None:
        """Pauses for so long or until the next signal."""
        if seconds > 0:
            select.select([self._ends[0]], [], [], seconds)
            with suppress(OSError):
                os.read(self._ends[0], 64)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self.caught is not None and number == signal.SIGINT and self._relay is None:
            raise KeyboardInterrupt
        if self.caught is None:
            self.caught = signal.Signals(number)
        with suppress(OSError):
            os.write(self._ends[1], b"!")
        if self._relay is not None:
            self._relay(number)
