"""The edges of a command: what goes to stdout, in which colours, and the progress bar on stderr."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import click

from rldk.errors import OutputError

PATIENCE_S = 1.0  # shorter work has no progress bar


def write(text: str) -> None:
    """Prints `text` on stdout. A reader that has gone is no error; a character that cannot be encoded becomes "?".

    Raises `OutputError` when it cannot be written, as on a full disk."""
    stream = sys.stdout
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")
    try:
        stream.write(text if text.endswith("\n") else text + "\n")
        stream.flush()
    except BrokenPipeError:
        close_stdout()
    except OSError as error:
        close_stdout()
        raise OutputError.of("the output", error) from None


def close_stdout() -> None:
    """Drops the output that is still to be written; else the flush at exit would fail and change the exit code."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(text: str) -> None:
    """Prints `text` on stderr."""
    click.echo(text, err=True)


def use_colour(setting: str) -> bool:
    """Whether stdout gets colours: the setting decides, then NO_COLOR, FORCE_COLOR and the terminal."""
    if setting != "auto":
        return setting == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb" and not os.environ.get("CI")


def width() -> int:
    """Columns of the terminal, at most 110; 100 when stdout is not a terminal."""
    import shutil

    return min(shutil.get_terminal_size((100, 24)).columns, 110) if sys.stdout.isatty() else 100


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
