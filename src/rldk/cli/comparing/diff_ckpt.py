"""`rldk diff-ckpt A B`, also as `rldk forensics diff-ckpt`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rldk.cards.safe import clean
from rldk.cli.flags import (
    color_setting,
    colour_option,
    exit_line,
    fail_on_option,
    fails,
    format_option,
    html_option,
    ignore_option,
    json_option,
    output_option,
    select_option,
)
from rldk.cli.formats import form_of, print_report
from rldk.cli.output import progress
from rldk.config import load_settings

if TYPE_CHECKING:
    from rldk.forensics.checkpoints.diff import CheckpointReport


@click.command("diff-ckpt")
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
@click.option("--all", "everything", is_flag=True, help="Show every tensor and value, and what was not checked.")
@json_option
@format_option("text, json, md, html, github, junit, sarif or png.")
@output_option
@html_option
@fail_on_option
@click.option("--gate", is_flag=True, help="Exit with 1 on any warning, as --fail-on warn does.")
@select_option
@ignore_option
@colour_option
def command(before: Path, after: Path, gate: bool, **flags: Any) -> int:
    """Say what changed between two checkpoints, tensor by tensor.

    BEFORE and AFTER are files (safetensors, or .pt, .pth and .bin as torch.save writes them) or folders: of
    transformers, PEFT, DeepSpeed, verl, or a distributed checkpoint of torch. Weights, optimiser, schedule and random
    state are compared. Nothing in them is run, torch is not needed, and memory does not grow with their size. A pickle
    that would run code is refused, and the refusal names what it tried. The exit code is 0 unless a finding is severe
    enough; a difference alone is none.

    \b
    Examples:
      rldk diff-ckpt checkpoint-100 checkpoint-200
      rldk diff-ckpt base.safetensors tuned.safetensors --all
      rldk diff-ckpt a.pt b.pt --gate --format github
      rldk diff-ckpt old/ new/ --html checkpoints.html
    """
    output = flags.pop("output")
    form = form_of(flags.pop("form"), output, as_json=flags.pop("as_json"))
    chosen = {name: flags.pop(name) for name in ("fail_on", "select", "ignore")}
    settings = load_settings({"color": color_setting(flags.pop("colour")), **chosen})
    fail_on = "warn" if gate else settings["fail_on"]
    report = _compared(before, after, settings)
    look: dict[str, Any] = {"color": settings["color"], "fail_on": fail_on, "everything": flags["everything"]}
    code = _exit_code(report, fail_on)
    closing = exit_line(code, report.worst(), fail_on)
    print_report(report, form, output, html=flags["html"], closing=closing, most=100, **look)
    return code


def _compared(before: Path, after: Path, settings: Any) -> CheckpointReport:
    from rldk.forensics.checkpoints.diff import diff_checkpoints

    with progress(1) as bar:

        def begin(name: str) -> None:
            bar.name = clean(name, 60)

        return diff_checkpoints(
            before,
            after,
            select=settings["select"],
            ignore=settings["ignore"],
            begin=begin,
            expect=bar.expect,
            advance=bar.advance,
        )


def _exit_code(report: CheckpointReport, fail_on: str) -> int:
    if fails([report.worst()], fail_on):
        return 1
    return 0 if report.same or report.numbers["compared"] else 3
