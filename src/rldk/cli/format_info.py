"""`rldk format-info`."""

from __future__ import annotations

import click

from rldk.cli.flags import json_option
from rldk.cli.output import write


@click.command("format-info")
@json_option
def command(as_json: bool) -> None:
    """List the log formats that rldk reads, and what each one keeps and loses.

    rldk recognises a format by the content of a file, never by its name. When a run left logs in several formats, rldk
    reads the one that comes first in this list.

    \b
    Example:
      rldk format-info
    """
    import textwrap

    from rldk.adapters.base import adapters
    from rldk.cards.wire import dumps

    ranked = sorted(adapters, key=lambda a: (-a.quality, a.name))
    facts = [
        {"name": a.name, "reads": a.describes, "rank": a.quality, "keeps": _plain(a.keeps), "loses": _plain(a.loses)}
        for a in ranked
    ]
    if as_json:
        write(dumps({"formats": facts}))
        return
    pad = " " * 20
    for fact in facts:
        text = f"keeps {fact['keeps']}; loses {fact['loses']}"
        write(
            f"{fact['name']:<20}{fact['reads']}\n{textwrap.fill(text, 100, initial_indent=pad, subsequent_indent=pad)}"
        )


def _plain(markdown: str) -> str:
    return markdown.replace("`", "") or "(not stated)"
