"""`rldk compare RUN...`, also as `rldk forensics compare-runs A B` and `rldk compare-runs A B`."""

from __future__ import annotations

from typing import Any

import click

from rldk.cli import flags
from rldk.cli.formats import form_of, print_report
from rldk.cli.output import progress
from rldk.config import load_settings


@click.command("compare")
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option("--metrics", metavar="NAMES", help="Compare these, with commas; the first stands for the goal.")
@click.option("--baseline", metavar="GROUP", help="Compare with this group.  [default: that of the first run]")
@flags.field_map_option
@flags.html_option
@click.option("--all", "everything", is_flag=True, help="Show the performance profiles, too.")
@flags.json_option
@flags.format_option()
@flags.output_option
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
      rldk compare sweep/ --metrics reward_mean,kl --html sweep.html
    """
    from rldk.comparison.compare import compare_runs

    output, html = given.pop("output"), given.pop("html")
    form = form_of(given.pop("form"), output, as_json=as_json)
    names, colour = flags.field_map_flag(given.pop("field_map")), given.pop("colour")
    settings = load_settings({"field_map": names, "color": flags.color_setting(colour)})
    with progress(1) as pieces:
        pieces.begin("comparing the runs")
        report = compare_runs(list(runs), field_map=settings["field_map"], **given)
    print_report(report, form, output, html=html, color=settings["color"], everything=everything)
    return int(not report.passed)
