"""The edges of a command: what goes to stdout, and in which colours."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

import click

from rldk.cards.progress import Progress, progress
from rldk.errors import OutputError

__all__ = ["Progress", "close_stdout", "progress", "say", "use_colour", "width", "write"]


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
