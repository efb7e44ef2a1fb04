"""The progress bar on stderr: only on a terminal, and only for work that takes longer than a second."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE_S = 1.0  # shorter work has no progress bar


class Progress:
    """How far a command has come, in pieces of work; more pieces may become known on the way."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = -1
        self.name = ""

    def begin(self, name: str) -> None:
        """Counts the next piece as begun."""
        self.done += 1
        self.name = name

    def describe(self, name: str) -> None:
        """Says what the piece that has begun does now."""
        self.name = name

    def advance(self, pieces: int) -> None:
        """Counts so many pieces as done."""
        self.done += pieces

    def expect(self, more: int) -> None:
        """Adds so many pieces to the total."""
        self.total += more


@contextmanager
def progress(total: int) -> Iterator[Progress]:
    """Yields a counter for `total` pieces of work. A bar is drawn only on a terminal, and only after one second."""
    state = Progress(total)
    if not sys.stderr.isatty():
        yield state
        return
    stop = threading.Event()
    thread = threading.Thread(target=_draw, args=(state, stop), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        stop.set()
        thread.join()


def _draw(state: Progress, stop: threading.Event) -> None:
    if stop.wait(PATIENCE_S):
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(state.name, total=None)
        while not stop.is_set():
            total = state.total if state.total > 1 else None
            bars.update(task, completed=max(0, state.done), total=total, description=state.name)
            stop.wait(0.1)
