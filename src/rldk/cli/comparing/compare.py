"""`rldk compare RUN...`, also as `rldk forensics compare-runs A B` and `rldk compare-runs A B`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rldk.cli import flags
from rldk.cli.formats import drawn, emit, form_of
from rldk.cli.output import progress, use_colour, width
from rldk.config import load_settings
from rldk.errors import UsageError


def patterns(told: tuple[str, ...]) -> dict[str, str] | None:
    """The pattern of each group; None without any. Raises `UsageError` for what is no NAME=PATTERN."""
    pairs = [text.partition("=")[::2] for text in told]
    for text, (name, pattern) in zip(told, pairs, strict=True):
        if not name or not pattern:
            raise UsageError(f"--group {text!r} is no NAME=PATTERN", hint="--group new='new-*'")
    return dict(pairs) or None


@click.command("compare")
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option("--metrics", metavar="NAMES", help="Compare these, with commas; the first stands for the goal.")
@click.option("--baseline", metavar="GROUP", help="Compare with this group.  [default: that of the first run]")
@click.option(
    "--group",
    "groups",
    multiple=True,
    metavar="NAME=PATTERN",
    help="Put the runs whose names match into this group, and leave out the rest. May be repeated.",
)
@flags.field_map_option
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Also write the report to this file.")
@click.option("--all", "everything", is_flag=True, help="Show the performance profiles, too.")
@flags.json_option
@click.option(
    "--format",
    "form",
    metavar="NAME",
    help="Print in this format: text, json, md, html, github, junit, sarif, svg or png.  [default: text]",
)
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file instead of printing."
)
@flags.colour_option
def command(runs: tuple[str, ...], as_json: bool, everything: bool, **given: Any) -> int:
    """Compare groups of runs: scores with intervals, chance of improvement, speed of learning, spread of seeds.

    RUN is a log, a run directory, a folder of several, a glob or a URL. Runs whose configurations differ in the seed
    and in folders only are one group; without a recorded configuration, runs whose names differ in a trailing number
    only. The command says that there is not enough evidence where that is so, and about how many seeds it would take.
    The exit code is 1 when a group is worse than the baseline in the first metric.

    \b
    Examples:
      rldk compare runs/base-1 runs/base-2 runs/base-3 runs/new-1 runs/new-2 runs/new-3
      rldk compare sweep/ --group old='base-*' --group new='new-*'
      rldk compare sweep/ --metrics reward_mean,kl --html sweep.html
    """
    from rldk.cards import terminal
    from rldk.comparison.compare import compare_runs

    output, html = given.pop("output"), given.pop("html")
    form = form_of(given.pop("form"), output, as_json=as_json)
    names, colour = flags.field_map_flag(given.pop("field_map")), given.pop("colour")
    settings = load_settings({"field_map": names, "color": flags.color_setting(colour)})
    with progress(1) as pieces:
        pieces.begin("comparing the runs")
        given["groups"] = patterns(given["groups"])
        report = compare_runs(list(runs), field_map=settings["field_map"], **given)
    if html is not None:
        emit(drawn("html", [report], []), html)
    if form == "text":
        look: dict[str, Any] = {"colour": use_colour(settings["color"]) and output is None, "width": width()}
        emit(terminal.render(report, everything=everything, **look), output)
    else:
        emit(drawn(form, [report], [], everything=everything), output)
    return int(not report.passed)
