"""`rldk log-scan SRC`, also as `rldk forensics log-scan`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rldk.cards.safe import clean
from rldk.cli.flags import (
    FILE,
    adapter_option,
    color_setting,
    colour_option,
    fail_on_option,
    fails,
    field_map_flag,
    field_map_option,
    json_option,
)
from rldk.cli.output import progress, say, use_colour, width, write
from rldk.config import load_settings
from rldk.core.files import save

if TYPE_CHECKING:
    from collections.abc import Mapping


@click.command("log-scan")
@click.argument("source", metavar="SRC")
@click.option(
    "-o",
    "--output",
    type=FILE,
    help="Also write the JSON document to this file.",
)
@fail_on_option
@adapter_option("log")
@field_map_option
@json_option
@colour_option
def command(source: str, output: Path | None, as_json: bool, colour: bool | None, **flags: Any) -> int:
    """Scan a PPO log for anomalies, by their documented names.

    SRC is a log file, a directory, a glob, a URL, or - for stdin. When it holds several runs, each run has a page of
    its own. The exit code is 1 when an anomaly is as severe as --fail-on says, and 3 when no rule could look.

    \b
    Examples:
      rldk log-scan ppo.jsonl
      rldk log-scan runs/ppo -o scan.json --fail-on warn
    """
    from rldk.cards import terminal
    from rldk.cards.forensics import scan_view
    from rldk.cards.wire import dumps
    from rldk.forensics.scan import scan_runs

    flags["field_map"] = field_map_flag(flags["field_map"])
    flags["color"] = color_setting(colour)
    settings = load_settings(flags)
    with progress(1) as pieces:
        pieces.begin(f"reading {clean(source, 60)}")
        scans = scan_runs(source, adapter=settings["adapter"], field_map=settings["field_map"])
    document = dumps(scans[0] if len(scans) == 1 else {"runs": scans})
    if output is not None:
        _save(output, document)
    if as_json:
        write(document)
    else:
        shown: dict[str, Any] = {"colour": use_colour(settings["color"]), "width": width()}
        write("\n".join(terminal.render(scan_view(scan), **shown) for scan in scans))
    return max(code(scan, settings["fail_on"]) for scan in scans)


def code(scan: Mapping[str, Any], fail_on: str) -> int:
    """The exit code: 1 when an anomaly is severe enough, 3 when no rule could look."""
    if not scan["checked"]:
        return 3
    return int(fails((a["level"] for a in scan["anomalies"]), fail_on))


def _save(path: Path, text: str) -> None:
    save(path, text + "\n")
    say(f"wrote {path}")
