"""`rldk evals compare A B`."""

from __future__ import annotations

from typing import Any

import click

from rldk.cli import flags
from rldk.cli.evaluating.options import column_options, columns_of, seed_option
from rldk.cli.formats import form_of, print_report
from rldk.cli.output import progress
from rldk.config import load_settings


@click.command("compare")
@click.argument("a")
@click.argument("b")
@click.option("--metrics", metavar="NAMES", help="Scores to compare, with commas.  [default: those of a goal]")
@click.option(
    "--paired/--unpaired", default=None, help="Compare prompt by prompt.  [default: where prompts are shared]"
)
@click.option("--margin", type=float, default=0.0, metavar="SIZE", help="A fall by less than this is no fall.")
@seed_option
@column_options
@flags.html_option
@click.option("--all", "everything", is_flag=True, help="Show every line.")
@flags.json_option
@flags.format_option()
@flags.output_option
@flags.colour_option
def command(a: str, b: str, as_json: bool, everything: bool, **given: Any) -> int:
    """Say whether evaluation B is better than evaluation A, or whether the difference may be noise.

    A and B are tables with one answer in each row, samples of lm-evaluation-harness, logs of inspect_ai, or runs. The
    answers to each prompt are compared where both have the same prompts. The exit code is 1 when B is worse in a score
    or in a task.

    \b
    Examples:
      rldk evals compare base.jsonl tuned.jsonl
      rldk evals compare results/base results/tuned --metrics correct --margin 0.02
      rldk evals compare a.eval b.eval --html compared.html
    """
    from rldk.evals.comparing import compare

    output, html = given.pop("output"), given.pop("html")
    form = form_of(given.pop("form"), output, as_json=as_json)
    settings = load_settings({"color": flags.color_setting(given.pop("colour"))})
    columns = columns_of(given)
    with progress(1) as pieces:
        pieces.begin("comparing the evaluations")
        report = compare(a, b, columns=columns, **given)
    print_report(report, form, output, html=html, color=settings["color"], everything=everything)
    return 3 if all(one.outcome == "not enough data" for one in report.contrasts) else int(not report.passed)
