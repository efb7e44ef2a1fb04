"""`rldk format-info`."""

from __future__ import annotations

import click

from rldk.cli.output import json_option, write

# the scale of BaseAdapter.quality
LOSSES = (
    (90, "loses nothing, and carries the configuration"),
    (80, "loses nothing"),
    (70, "loses no digits, but has fewer keys"),
    (60, "needs care: see the notes of the report"),
    (40, "rounded or partial"),
    (0, "generic or partial: only read when nothing better lies beside it"),
)


@click.command("format-info")
@json_option
def command(as_json: bool) -> None:
    """List the log formats that are understood, and what each one loses.

    The content decides which one a file is in, never its name. Where a run left several logs, the first in this list
    is read."""
    from rldk.adapters.base import adapters
    from rldk.cards.wire import dumps

    ranked = sorted(adapters, key=lambda a: (-a.quality, a.name))
    facts = [{"name": a.name, "reads": a.describes, "rank": a.quality, "loses": loses(a.quality)} for a in ranked]
    if as_json:
        write(dumps({"formats": facts}))
        return
    width = max(len(a.name) for a in ranked)
    write("\n".join(f"{f['name']:<{width}}  {f['reads']}\n{'':<{width}}  {f['loses']}" for f in facts))


def loses(quality: int) -> str:
    return next(text for least, text in LOSSES if quality >= least)
