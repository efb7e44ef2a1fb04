"""`rldk evals evaluate DATA`, and what it shares with `rldk eval`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from rldk.cli import flags
from rldk.cli.evaluating.options import (
    canaries_of,
    column_options,
    columns_of,
    limit_option,
    limits_of,
    seed_option,
    time_limit,
)
from rldk.cli.formats import form_of, print_report
from rldk.cli.gate import Grade, gate_codes_option, gate_of, gate_option
from rldk.cli.output import progress
from rldk.config import load_settings
from rldk.errors import NoData

Command = TypeVar("Command", bound=Callable[..., Any])
SUITE = "quick, comprehensive or safety."

_OPTIONS = (
    click.option(
        "--sample-size", type=click.IntRange(1), help="Look at so many rows, in whole prompts, drawn at random."
    ),
    click.option(
        "--min-samples", type=click.IntRange(1), default=1, show_default=True, help="Fewer rows are an error."
    ),
    click.option("--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="Give up after so many seconds."),
    click.option("--train", metavar="DATA", help="Training data in which to look for the texts of the evaluation."),
    click.option("--canaries", type=flags.FILE, metavar="FILE", help="Texts that must never appear, one a line."),
    click.option("--toxicity-model", metavar="DIR", help="Local classifier that scores the answers' toxicity."),
    click.option("--toxicity-label", metavar="NAME", help="Its label for toxic.  [default: toxic, toxicity, LABEL_1]"),
    limit_option,
    seed_option,
    column_options,
    flags.folder_option("Also write evaluation.json and evaluation.html here."),
    gate_option,
    gate_codes_option,
    flags.html_option,
    click.option("--all", "everything", is_flag=True, help="Show every line."),
    flags.json_option,
    flags.format_option(),
    flags.output_option,
    flags.colour_option,
)


def evaluating_options(command: Command) -> Command:
    """The flags of both commands."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command("evaluate")
@click.argument("data")
@click.option("--suite", default="quick", show_default=True, metavar="NAME", help=SUITE)
@evaluating_options
def command(data: str, suite: str, **given: Any) -> int:
    """Evaluate answers with a suite: each value with its interval, and what the data lacks for the rest.

    DATA is a table with one answer in each row (JSON lines, JSON, CSV, Parquet), a folder of lm-evaluation-harness
    samples, an inspect_ai log, RewardBench results, or a run. The exit code is 1 when an evaluation fails, and 3 when
    none could be judged.

    \b
    Examples:
      rldk evals evaluate answers.jsonl --suite quick
      rldk evals evaluate results/ --suite comprehensive --train train.jsonl --html evaluation.html
      rldk evals evaluate red-team.csv --suite safety --output safety.json --limit toxicity=0.02
    """
    return evaluated(data, suite, **given)


def evaluated(source: str, suite: str, **given: Any) -> int:
    """Evaluates the source, prints and writes the report, and returns the exit code."""
    from rldk.evals.reading import read_table
    from rldk.evals.running import run
    from rldk.evals.suites import suite_of

    output, html, least = given.pop("output"), given.pop("html"), given.pop("min_samples")
    form = form_of(given.pop("form"), output, as_json=given.pop("as_json"))
    gate = gate_of(gate=given.pop("gate"), codes=given.pop("gate_codes"))
    settings = load_settings({"color": flags.color_setting(given.pop("colour"))})
    columns, everything, seconds = columns_of(given), given.pop("everything"), given.pop("timeout")
    chosen = suite_of(suite)
    classifier, label = given.pop("toxicity_model"), given.pop("toxicity_label")
    more: dict[str, Any] = {"limits": limits_of(given.pop("limits")), "canaries": canaries_of(given.pop("canaries"))}
    with progress(len(chosen.evaluations) + 1) as pieces, time_limit(seconds):
        pieces.begin(f"reading {Path(source).name}")
        table = read_table(source, columns)
        if table.rows < least:
            raise NoData(f"{source} has {table.rows:,} rows, fewer than --min-samples {least:,}", hint="give more data")
        if classifier is not None:
            from rldk.evals.judges.classifier import classify

            table = classify(table, classifier, label=label)
        result = run(table, chosen, advance=pieces.begin, tell=pieces.describe, **more, **given)
    print_report(result, form, output, html=html, color=settings["color"], everything=everything)
    return gate.exit_code(grade_of_result(result))


def grade_of_result(result: Any) -> Grade:
    """How a gate sees the result."""
    states = {one.status for one in result.raw_results.values()}
    if "fail" not in states and not result.passed:
        return "not checked"
    return "fail" if "fail" in states else "warn" if "warn" in states else "pass" if "pass" in states else "not checked"
