"""`rldk run`: start a training and watch it."""

from __future__ import annotations

from typing import Any

import click

from rldk.cli.monitor import SHARED, options, reading, written
from rldk.cli.output import say


@click.command("run", context_settings={"ignore_unknown_options": False})
@click.option("--stream", "streams", multiple=True, metavar="PATH|DIR", help="Also follow a file that it writes.")
@options(SHARED)
@click.argument("words", nargs=-1, required=True, metavar="-- COMMAND...")
def command(streams: tuple[str, ...], words: tuple[str, ...], **flags: Any) -> int:
    """Start a training and watch it.

    Watched is what it prints, and the files named by --stream. What it prints is passed on; alerts go to stderr.
    Signals are passed on to its process group, `stop` ends that group, and the exit code is the command's own (128
    + N when signal N ended it). Write -- before the command."""
    from rldk.cli.watching import conduct
    from rldk.monitor.opening import live_feeds
    from rldk.monitor.signals import Signals
    from rldk.monitor.wrap import Wrapped

    how, settings = reading(flags)
    child = Wrapped(words)
    try:
        feeds = live_feeds(("-", *streams), how, warn=say, stdin=child.stdout, tee=1, exclude=written(flags))
        with Signals(child.relay) as signals:
            # a signal is the command's to answer; the monitor ends when the command has
            code = conduct(
                feeds,
                fail_on=settings["fail_on"],
                pid=child.pid,
                stdout=False,
                wait=signals.pause,
                **flags,
            )
    finally:
        child.close()
    return child.exit_code() or code
