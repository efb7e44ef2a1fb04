"""`rldk reward length-bias --run-path F`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rldk.cli import flags
from rldk.cli.formats import form_of, print_report
from rldk.cli.gate import gate_codes_option, gate_of, gate_option
from rldk.cli.output import progress
from rldk.config import load_settings
from rldk.core.files import save
from rldk.errors import NoData

if TYPE_CHECKING:
    from rldk.reward.report import RewardHealthReport


@click.command("length-bias")
@click.option("--run-path", required=True, metavar="SOURCE", help="Rewards with answers: a table or a run directory.")
@click.option("--response-col", metavar="NAME", help="Column with the answers.  [default: found by the usual names]")
@click.option("--reward-col", metavar="NAME", help="Column with the rewards.  [default: found by the usual names]")
@click.option("--length-col", metavar="NAME", help="Column with the lengths in tokens.  [default: characters]")
@click.option("--prompt-col", metavar="NAME", help="Column with prompts or their ids.")
@click.option("--threshold", default=0.35, show_default=True, help="Rank correlation that warns.")
@click.option("--tokenizer-name", metavar="DIR", help="Count tokens with this local tokenizer.")
@click.option("--generate-card", is_flag=True, help="Write length_bias_card.json, .md and .html.")
@flags.folder_option("Where the card goes.  [default: here]")
@gate_option
@gate_codes_option
@flags.json_option
@flags.format_option()
@flags.colour_option
def command(run_path: str, threshold: float, tokenizer_name: str | None, generate_card: bool, **given: Any) -> int:
    """Say whether a reward pays for long answers, or for short ones, among the answers to one prompt.

    The exit code is 1 when the whole interval of the correlation is beyond the threshold, and 3 when the data has no
    thirty answers that differ in length and reward.

    \b
    Examples:
      rldk reward length-bias --run-path completions.parquet
      rldk reward length-bias --run-path scores.jsonl --response-col text --reward-col score --threshold 0.4
      rldk reward length-bias --run-path scores.jsonl --generate-card --output-dir cards/
    """
    from rldk.reward.assessment import health

    folder = given.pop("output_dir")
    form = form_of(given.pop("form"), None, as_json=given.pop("as_json"))
    gate = gate_of(gate=given.pop("gate"), codes=given.pop("gate_codes"))
    settings = load_settings({"color": flags.color_setting(given.pop("colour"))})
    columns = {name: value for name, value in given.items() if value is not None}
    with progress(1) as pieces:
        pieces.begin(f"looking at {Path(run_path).name}")
        source: Any = run_path
        if tokenizer_name is not None:
            from rldk.reward.tokens import with_tokens

            source = with_tokens(run_path, tokenizer_name, columns)
            columns["length_col"] = "n_tokens"
        report = health(source, threshold_length_bias=threshold, select="LEN020,DATA052", **columns)
    if generate_card:
        write_card(report, folder or Path())
    print_report(report, form, None, color=settings["color"])
    check = report.checks["length_bias"]
    if check.status == "not_available":
        raise NoData(f"length bias cannot be measured: {check.reason}", hint="name the columns of answers and rewards")
    return gate.exit_code(check.status)


def write_card(report: RewardHealthReport, folder: Path) -> None:
    """Writes the card in its forms. Raises `OutputError`."""
    from rldk.cli.formats import drawn
    from rldk.cli.output import say

    for form, suffix in (("json", "json"), ("markdown", "md"), ("html", "html")):
        made = drawn(form, [report], [], everything=True)
        path = save(folder / f"length_bias_card.{suffix}", made, parents=True)
        say(f"wrote {path}")
