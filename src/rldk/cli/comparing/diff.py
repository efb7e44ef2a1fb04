"""`rldk diff --a A --b B`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from rldk.cards.safe import clean
from rldk.cli import flags
from rldk.cli.formats import form_of, print_report
from rldk.cli.output import progress, say
from rldk.config import load_settings

if TYPE_CHECKING:
    from rldk.diff.report import DivergenceReport


@click.command("diff")
@click.option("--a", "a", required=True, metavar="RUN", help="The run to compare with.")
@click.option("--b", "b", required=True, metavar="RUN", help="The run that may have changed.")
@click.option(
    "--signals",
    metavar="NAMES",
    help="Compare these metrics, with commas: canonical names, or your own.  [default: every known metric of both]",
)
@click.option(
    "--baseline",
    "baselines",
    multiple=True,
    metavar="RUN",
    help="A run that differs from A in its seed only; repeat it. Five or more tell seed noise from a change. A folder "
    "may hold several.",
)
@click.option(
    "--tolerance",
    type=click.FloatRange(0, min_open=True),
    default=2.0,
    show_default=True,
    help="Scale of the limits: 4 asks for twice the difference that 2 does.",
)
@click.option(
    "--k",
    "k_consecutive",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="Number of consecutive common steps that must be beyond the limit.",
)
@click.option(
    "--window",
    type=click.IntRange(10),
    default=50,
    show_default=True,
    help="Number of common steps in the reference.",
)
@click.option(
    "--align",
    "align_on",
    type=click.Choice(("step", "tokens", "time")),
    default="step",
    show_default=True,
    help="Compare the runs at equal steps, at equal numbers of tokens, or at equal times since their start.",
)
@flags.trainer_option("the logs use")
@flags.field_map_option
@flags.folder_option("Write diff_report.md, diff_events.csv and drift_card.json to this directory.")
@flags.html_option
@click.option(
    "--gate", is_flag=True, help="Exit with 1 only where a change is certain: not where it may be the seed alone."
)
@click.option("--all", "everything", is_flag=True, help="Show every signal.")
@flags.json_option
@flags.format_option()
@flags.output_option
@flags.colour_option
def command(a: str, b: str, as_json: bool, gate: bool, everything: bool, **given: Any) -> int:
    """Say from where on run B differs from run A, and whether that is more than the noise of seeds.

    RUN is a log file, a run directory or a URL. The command answers one of three questions and says which: whether the
    runs are identical; where two runs of one seed part by more than rounding; and whether B is outside of what other
    seeds of A do, which takes --baseline. Two runs of different seeds without baselines may part because of the seed
    alone, and the report says so. The exit code is 1 when B diverged, and 3 when nothing could be tested.

    \b
    Examples:
      rldk diff --a runs/before --b runs/after
      rldk diff --a runs/s1 --b runs/new --signals reward_mean,kl --baseline runs/s2 --baseline runs/s3
      rldk diff --a a.jsonl --b b.jsonl --baseline 'seeds/*.jsonl' --html diff.html --gate
    """
    from rldk.diff.divergence import first_divergence

    output, html = given.pop("output"), given.pop("html")
    form = form_of(given.pop("form"), output, as_json=as_json)
    names, colour = flags.field_map_flag(given.pop("field_map")), given.pop("colour")
    settings = load_settings({"field_map": names, "color": flags.color_setting(colour)})
    field_map = {**_preset(given.pop("preset")), **(settings["field_map"] or {})}
    baselines = list(given.pop("baselines")) or None
    with progress(1) as pieces:
        pieces.begin(f"comparing {clean(a, 40)} and {clean(b, 40)}")
        report = first_divergence(a, b, given.pop("signals"), baseline_runs=baselines, field_map=field_map, **given)
    print_report(report, form, output, html=html, color=settings["color"], everything=everything)
    if report.report_path is not None:
        say(f"wrote {report.report_path}, {report.events_csv_path} and drift_card.json")
    return exit_code(report, gate=gate)


def exit_code(report: DivergenceReport, *, gate: bool) -> int:
    """The exit code: 1 when B diverged, 3 when nothing was tested. A gate passes what one pair cannot tell."""
    if report.diverged:
        return int(not (gate and report.question == "not-identifiable"))
    return 0 if report.passed else 3


def _preset(name: str | None) -> dict[str, str]:
    from rldk.forensics.scan import preset_field_map

    return preset_field_map(name) if name else {}
