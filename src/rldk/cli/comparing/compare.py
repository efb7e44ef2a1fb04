"""`rldk compare RUN...`, also as `rldk forensics compare-runs A B` and `rldk compare-runs A B`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from rldk.cli import flags
from rldk.cli.formats import form_of, print_report
from rldk.cli.gate import GateCodes, Grade, gate_codes_option, gate_of, gate_option
from rldk.cli.output import progress
from rldk.config import load_settings
from rldk.errors import UsageError


def patterns(told: tuple[str, ...]) -> dict[str, str] | None:
    """The pattern of each group; None without any. Raises `UsageError` for what is no NAME=PATTERN."""
    pairs = [text.partition("=")[::2] for text in told]
    for text, (name, pattern) in zip(told, pairs, strict=True):
        if not name or not pattern:
            raise UsageError(f"--group {text!r} is no NAME=PATTERN", hint="--group new='new-*'")
    return dict(pairs) or None


if TYPE_CHECKING:
    from rldk.comparison.report import ComparisonReport


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
@flags.html_option
@click.option("--all", "everything", is_flag=True, help="Show the performance profiles, too.")
@gate_option
@gate_codes_option
@flags.json_option
@flags.format_option()
@flags.output_option
@flags.colour_option
def command(runs: tuple[str, ...], as_json: bool, everything: bool, **given: Any) -> int:
    """Compare groups of runs: scores with intervals, chance of improvement, speed of learning, spread of seeds.

    RUN is a log, a run directory, a folder of several, a glob or a URL. Runs whose configurations differ in the seed
    and in folders only are one group; without a recorded configuration, runs whose names differ in a trailing number
    only. The command says that there is not enough evidence where that is so, and about how many seeds it would take.
    The exit code is 1 when a group is worse than the baseline in the first metric; with --gate it is 3 when every group
    has too few seeds.

    \b
    Examples:
      rldk compare runs/base-1 runs/base-2 runs/base-3 runs/new-1 runs/new-2 runs/new-3
      rldk compare sweep/ --group old='base-*' --group new='new-*'
      rldk compare sweep/ --metrics reward_mean,kl --html sweep.html
    """
    from rldk.comparison.compare import compare_runs

    output, html = given.pop("output"), given.pop("html")
    gate = gate_of(gate=given.pop("gate"), codes=given.pop("gate_codes"))
    form = form_of(given.pop("form"), output, as_json=as_json)
    names, colour = flags.field_map_flag(given.pop("field_map")), given.pop("colour")
    settings = load_settings({"field_map": names, "color": flags.color_setting(colour)})
    with progress(1) as pieces:
        pieces.begin("comparing the runs")
        given["groups"] = patterns(given["groups"])
        report = compare_runs(list(runs), field_map=settings["field_map"], **given)
    print_report(report, form, output, html=html, color=settings["color"], everything=everything)
    return exit_code(report, gate)


def exit_code(report: ComparisonReport, gate: GateCodes) -> int:
    """The exit code: 1 when a group is worse in the first metric."""
    return gate.exit_code(grade(report)) if gate.asked else int(not report.passed)


def grade(report: ComparisonReport) -> Grade:
    """How a gate sees the report: a worse group fails, a group that differs in a metric without a better side is a
    warning, and groups with too few seeds were not compared."""
    goal = {one.outcome for one in report.contrasts if one.metric == report.metrics[0]}
    if not report.passed:
        return "fail"
    if goal <= {"too few seeds"}:
        return "not checked"
    return "warn" if "different" in goal else "pass"
