"""`rldk log-scan SRC`, also as `rldk forensics log-scan`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rldk.cards.safe import clean
from rldk.cli.output import colour_option, coloured, field_map_flag, json_option, progress, say, width, write
from rldk.config import load_settings
from rldk.config.settings import FAIL_ON
from rldk.core.files import save

if TYPE_CHECKING:
    from collections.abc import Mapping


@click.command("log-scan")
@click.argument("source", metavar="SRC")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Also write the JSON here.")
@click.option("--fail-on", type=click.Choice(FAIL_ON), help="Exit 1 from this severity on.  [default: critical]")
@click.option("--adapter", metavar="NAME", help="The log format, instead of looking at the content.")
@click.option("--field-map", metavar="JSON|FILE", help="Your metric names -> rldk's.")
@json_option
@colour_option
def command(source: str, output: Path | None, as_json: bool, colour: bool | None, **flags: Any) -> int:
    """Scan a PPO log for anomalies, by their documented names.

    SRC is a log file, a directory, a glob, a URL, or - for stdin. Several runs: one page each."""
    from rldk.cards import terminal
    from rldk.cards.forensics import scan_view
    from rldk.cards.wire import dumps
    from rldk.forensics.scan import scan_runs

    flags["field_map"] = field_map_flag(flags["field_map"])
    flags["color"] = None if colour is None else ("always" if colour else "never")
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
        shown: dict[str, Any] = {"colour": coloured(settings["color"]), "width": width()}
        write("\n".join(terminal.render(scan_view(scan), **shown) for scan in scans))
    return max(code(scan, settings["fail_on"]) for scan in scans)


def code(scan: Mapping[str, Any], fail_on: str) -> int:
    """1 with an anomaly that is loud enough, 3 when no rule could look."""
    loud = {"warn": {"warn", "critical"}, "critical": {"critical"}, "never": set()}[fail_on]
    if not scan["checked"]:
        return 3
    return int(any(a["level"] in loud for a in scan["anomalies"]))


def _save(path: Path, text: str) -> None:
    save(path, text + "\n")
    say(f"wrote {path}")
