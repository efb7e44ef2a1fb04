"""`rldk check-determinism --cmd CMD`: whether replicas of a command agree, and where and why they part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from rldk.cli.flags import FILE, color_setting, colour_option, folder_option, format_option, json_option
from rldk.cli.formats import form_of, print_report
from rldk.cli.gate import GateCodes, gate_codes_option, gate_of, gate_option, grade_of
from rldk.cli.output import progress
from rldk.config import load_settings

if TYPE_CHECKING:
    from rldk.determinism.report import DeterminismReport


@click.command("check-determinism")
@click.option("--cmd", required=True, metavar="COMMAND", help="The training, as you would type it; no shell runs it.")
@click.option("--compare", metavar="METRICS", help="Metrics with commas.  [default: all but times and memory]")
@click.option("--replicas", "--runs", default=5, show_default=True, help="How many runs must agree.")
@click.option("--steps", type=int, help="Compare the first so many logged steps; fills {steps} in the command.")
@click.option("--stride", default=1, show_default=True, help="Compare every so-manyth step.")
@click.option(
    "--tolerance",
    default=0.0,
    show_default=True,
    help="Values agree when they differ by at most this share of the larger one; 0 means bit by bit.",
)
@click.option("--device", help="cpu, cuda:0, ...: the device that a replica sees; fills {device} in the command.")
@click.option("--timeout", type=float, metavar="SECONDS", help="Time limit of one replica.")
@click.option(
    "--max-output", default=20.0, show_default=True, metavar="GIB", help="What a replica may write into {out}."
)
@click.option("--jobs", default=1, show_default=True, help="How many replicas run at a time; they disturb each other.")
@click.option("--trace", is_flag=True, help="Also trace operations, and name the first one that differs.")
@click.option("--launcher", default="local", show_default=True, help="What starts the replicas: local, ray, slurm.")
@click.option("--stress", is_flag=True, help="Also run replicas with other hashes, threads, folders and load.")
@click.option("--counterfactual", is_flag=True, help="Also switch off one source of chance at a time.")
@folder_option("Keep report, card and all output here.  [default: a new temporary folder]", metavar="DIR")
@gate_option
@gate_codes_option
@click.option("--all", "everything", is_flag=True, help="Show every replica, generator and metric.")
@json_option
@format_option()
@click.option("-o", "--output", type=FILE, help="Write to this file instead.")
@colour_option
def command(cmd: str, **flags: Any) -> int:
    """Run a training several times with the same seed, and say whether the runs agree.

    Where they do not, the report names the first step and metric that differ, the kind of difference, and the places
    in the source code that explain it, the likeliest first. {seed} and {out} in the command become the seed and a
    folder of the replica. With {seed}, one more run has another seed: the control that the seed has an effect. Metrics
    are read from {out}, from logs that the command writes below the current folder, or from what it prints. The exit
    code is 1 when the runs differ, and 3 when the command fails or measures nothing. For --gate, runs that differ by
    rounding only, or a seed without effect, are a warning.

    \b
    Examples:
      rldk check-determinism --cmd "python train.py --seed {seed}" --compare loss,reward_mean
      rldk check-determinism --cmd "python train.py --seed {seed} --out {out}" --replicas 10 --jobs 2
      rldk check-determinism --cmd "python train.py" --steps 50 --timeout 600 --counterfactual
      rldk check-determinism --cmd "python train.py" --replicas 2 --trace
      rldk check-determinism --cmd "python train.py" --tolerance 1e-6 --gate --json
    """
    from rldk.determinism import check

    output, everything = flags.pop("output"), flags.pop("everything")
    form = form_of(flags.pop("form"), output, as_json=flags.pop("as_json"))
    settings = load_settings({"color": color_setting(flags.pop("colour"))})
    gate = gate_of(gate=flags.pop("gate"), codes=flags.pop("gate_codes"))
    flags["max_output_gib"] = flags.pop("max_output")
    with progress(1) as pieces:
        report = check(cmd, begin=pieces.begin, expect=lambda count: pieces.expect(count - 1), **flags)
    print_report(report, form, output, color=settings["color"], everything=everything)
    return exit_code(report, gate)


def exit_code(report: DeterminismReport, gate: GateCodes) -> int:
    """1 when the check did not pass; for a gate, a difference of rounding is a warning."""
    return gate.exit_code(grade_of([report.worst()])) if gate.asked else int(not report.passed)
