"""`rldk check-resume --cmd CMD`: whether a training that was stopped and resumed is the one that was never stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rldk.cli.flags import color_setting, colour_option, json_option
from rldk.cli.formats import drawn, emit, form_of
from rldk.cli.output import progress, use_colour, width
from rldk.config import load_settings


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
@click.option("--gate", is_flag=True, help="Exit with 0 also where nothing could be judged.")
@click.option("--all", "everything", is_flag=True, help="Show everything.")
@json_option
@click.option("--format", "form", metavar="NAME", help="Print in this format: text, json, md, html, github, junit.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file instead.")
@colour_option
def command(cmd: str, **flags: Any) -> int:
    """Stop, kill and resume a training, and say whether it stays the same and what was lost.

    The training runs twice to the end, then to the step --at and on from its checkpoint, and once until it is killed
    and on from its last checkpoint. Where a resumed run differs, the report names what was lost: random states, the
    schedule, the order of data, the state of the optimizer, weights. {resume} in the command is nothing at first, and
    then the words of --resume, with the newest checkpoint below {out} for {checkpoint}. The exit code is 1 when a
    resumed run differs or nothing could be judged, and 3 when the command fails, measures nothing or saves nothing.

    \b
    Examples:
      rldk check-resume --cmd "python train.py --out {out} --steps {steps} {resume}" --at 5 --steps 10
      rldk check-resume --cmd "python train.py {out} {steps} {save} {resume}" --save "--save-every 1"
      rldk check-resume --cmd "python grpo.py {out} {steps} {resume}" --resume "--from {checkpoint}" --compare loss
    """
    from rldk.resume import check_resume

    output, look = flags.pop("output"), {"everything": flags.pop("everything")}
    form = form_of(flags.pop("form"), output, as_json=flags.pop("as_json"))
    settings = load_settings({"color": color_setting(flags.pop("colour"))})
    gate = flags.pop("gate")
    flags["max_output_gib"] = flags.pop("max_output")
    with progress(1) as pieces:
        report = check_resume(cmd, begin=pieces.begin, expect=lambda count: pieces.expect(count - 1), **flags)
    if form != "text":
        emit(drawn(form, [report], [], **look), output)
    else:
        from rldk.cards import terminal

        colour = output is None and use_colour(settings["color"])
        emit(terminal.render(report, width=width(), colour=colour, **look), output)
    return int(not report.passed and not (gate and report.inconclusive))
