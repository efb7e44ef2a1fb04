"""`rldk check-resume --cmd CMD`: whether a training that was stopped and resumed is the one that was never stopped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rldk.cli.flags import color_setting, colour_option, format_option, json_option, output_option
from rldk.cli.formats import form_of, print_report
from rldk.cli.gate import GateCodes, gate_codes_option, gate_of, gate_option, grade_of
from rldk.cli.output import progress
from rldk.config import load_settings

if TYPE_CHECKING:
    from rldk.resume import ResumeReport


@click.command("check-resume")
@click.option("--cmd", required=True, metavar="COMMAND", help="The training, with {out}, {steps} and {resume} in it.")
@click.option("--at", default=5, show_default=True, help="The step at which the run is stopped.")
@click.option("--steps", default=10, show_default=True, help="The steps of the whole run.")
@click.option("--compare", metavar="METRICS", help="Metrics with commas.  [default: all but times and memory]")
@click.option(
    "--resume", default="--resume {checkpoint}", show_default=True, metavar="WORDS", help="What {resume} stands for."
)
@click.option("--save", default="--save-every {at}", show_default=True, metavar="WORDS", help="What {save} stands for.")
@click.option(
    "--tolerance",
    default=0.0,
    show_default=True,
    help="Values agree when they differ by at most this share of the larger one; 0 means bit by bit.",
)
@click.option("--timeout", type=float, metavar="SECONDS", help="Time limit of one run.")
@click.option("--max-output", default=20.0, show_default=True, metavar="GIB", help="What one run may write.")
@click.option(
    "--output-dir",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Keep report and all output here.  [default: a new temporary folder]",
)
@gate_option
@gate_codes_option
@click.option("--all", "everything", is_flag=True, help="Show everything.")
@json_option
@format_option()
@output_option
@colour_option
def command(cmd: str, **flags: Any) -> int:
    """Stop, kill and resume a training, and say whether it stays the same and what was lost.

    The training runs twice to the end, then to the step --at and on from its checkpoint, and once until it is killed
    and on from its last checkpoint. Where a resumed run differs, the report names what was lost: random states, the
    schedule, the order of data, the state of the optimizer, weights. {resume} in the command is nothing at first, and
    then the words of --resume, with the newest checkpoint below {out} for {checkpoint}. The exit code is 1 when a
    resumed run differs, and 3 when nothing could be judged, or the command fails, measures nothing or saves nothing.
    For --gate, a checkpoint that is written over the one before is a warning.

    \b
    Examples:
      rldk check-resume --cmd "python train.py --out {out} --steps {steps} {resume}" --at 5 --steps 10
      rldk check-resume --cmd "python train.py {out} {steps} {save} {resume}" --save "--save-every 1"
      rldk check-resume --cmd "python grpo.py {out} {steps} {resume}" --resume "--from {checkpoint}" --compare loss
    """
    from rldk.resume import check_resume

    output, everything = flags.pop("output"), flags.pop("everything")
    form = form_of(flags.pop("form"), output, as_json=flags.pop("as_json"))
    settings = load_settings({"color": color_setting(flags.pop("colour"))})
    gate = gate_of(gate=flags.pop("gate"), codes=flags.pop("gate_codes"))
    flags["max_output_gib"] = flags.pop("max_output")
    with progress(1) as pieces:
        report = check_resume(cmd, begin=pieces.begin, expect=lambda count: pieces.expect(count - 1), **flags)
    print_report(report, form, output, color=settings["color"], everything=everything)
    return exit_code(report, gate)


def exit_code(report: ResumeReport, gate: GateCodes) -> int:
    """1 when a resumed run differs, and 3 when none could be judged, whatever the codes of a gate are."""
    if report.inconclusive and report.worst() != "critical":
        return gate.exit_code("not checked")
    return gate.exit_code(grade_of([report.worst()])) if gate.asked else int(not report.passed)
