"""Commands that a page shows, given to the parser of the command line without being run."""

from __future__ import annotations

import shlex

import click

from rldk.cli.main import main


def parse(line: str) -> None:
    """Parses a line that begins with `rldk`. Raises click's `UsageError` for what the command does not know."""
    words = shlex.split(line.split("  #", maxsplit=1)[0])[1:]
    command: click.Command = main
    while isinstance(command, click.Group):
        name = words.pop(0)
        found = command.get_command(click.Context(command), name)
        assert found is not None, name
        command = found
    command.make_context(command.name, words)
