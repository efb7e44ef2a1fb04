"""A bounded queue of alerts with one thread that works through it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from rldk.core.model import SEVERITIES, Alert


class Lane:
    """`put` never waits. When the queue is full, the oldest of the least severe alerts is lost.

    The thread starts with the first alert and does not keep the interpreter alive."""

    def __init__(self, name: str, work: Callable[[Alert], None], *, size: int) -> None:
        self._name = name
        self._work = work
        self._size = size
        self._queue: list[Alert] = []
        self._ready = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None

    def put(self, alert: Alert) -> Alert | None:
        """Queues an alert. Returns the alert that was lost, if any; it may be this one."""
        with self._ready:
            if self._closed:
                return alert
            self._queue.append(alert)
            lost = self._queue.pop(self._least()) if len(self._queue) > self._size else None
            # an error in one action must not stop all later ones
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            self._ready.notify()
        return lost

    def close(self, timeout_s: float) -> tuple[list[Alert], bool]:
        """Takes no more alerts and waits until all are done. Returns those that were not, and whether one is still at
        work."""
        with self._ready:
            self._closed = True
            self._ready.notify()
        if self._thread is not None:
            self._thread.join(max(timeout_s, 0.0))
        with self._ready:
            left, self._queue = self._queue, []
        return left, self._thread is not None and self._thread.is_alive()

    def _least(self) -> int:
        return min(range(len(self._queue)), key=lambda i: SEVERITIES.index(self._queue[i].severity))

    def _run(self) -> None:
        while True:
            with self._ready:
                while not self._queue:
                    if self._closed:
                        return
                    self._ready.wait()
                alert = self._queue.pop(0)
            self._work(alert)
