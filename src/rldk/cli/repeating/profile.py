"""`rldk profile -- CMD`: where the time of a training goes, and whether its memory grows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rldk.cli.flags import (
    FILE,
    color_setting,
    colour_option,
    fail_on_option,
    fails,
    folder_option,
    format_option,
    html_option,
    json_option,
)
from rldk.cli.formats import form_of, print_report
from rldk.cli.output import progress
from rldk.config import load_settings

if TYPE_CHECKING:
    from rldk.profiling.report import ProfileReport


@click.command("profile", context_settings={"ignore_unknown_options": False})
@click.option(
    "--torch-steps", default=0, metavar="N", help="Also record the operations of N steps, by torch's profiler."
)
@click.option("--timeout", type=float, metavar="SECONDS", help="End the command after so long, and report until there.")
@click.option("--max-output", default=100.0, show_default=True, metavar="GIB", help="What it may write into {out}.")
@folder_option("Keep the report and what was recorded here.  [default: a new temporary folder]", metavar="DIR")
@fail_on_option
@click.option("--all", "everything", is_flag=True, help="Show every line and operation.")
@json_option
@format_option()
@click.option("-o", "--output", type=FILE, help="Write to this file instead.")
@html_option
@colour_option
@click.argument("words", nargs=-1, required=True, metavar="-- COMMAND...")
def command(words: tuple[str, ...], output: Path | None, html: Path | None, **flags: Any) -> int:
    """Say where the time of a training goes, and whether its memory grows.

    Write -- before COMMAND. The script is not changed: hooks time the phases (rollout, reward, train, sync) of TRL,
    transformers, Stable-Baselines3, gymnasium and torch, and looks at the stack name the lines of your own code. CPU,
    memory and NVIDIA GPUs are sampled. Whether memory grows is decided by a test of its trend. What the command prints
    is kept in a file. An interrupt (Ctrl-C) ends the command, and the report covers what came before. The exit code is
    that of the command where it failed, 130 after an interrupt, else 1 when a finding is severe enough.

    \b
    Examples:
      rldk profile -- python train.py
      rldk profile --timeout 120 --html profile.html -- python train.py --lr 1e-4
      rldk profile --torch-steps 3 --output-dir profile -- python train.py
      rldk profile --json -- python train.py
    """
    from rldk.profiling import profile_command

    form = form_of(flags.pop("form"), output, as_json=flags.pop("as_json"))
    settings = load_settings({"color": color_setting(flags.pop("colour")), "fail_on": flags.pop("fail_on")})
    everything, fail_on = flags.pop("everything"), settings["fail_on"]
    flags["max_output_gib"] = flags.pop("max_output")
    with progress(1) as pieces:
        pieces.begin("profiling")

        def look(text: str) -> None:
            pieces.name = f"profiling: {text}"

        report = profile_command(words, look=look, **flags)
    print_report(
        report, form, output, color=settings["color"], html=html, fail_on=fail_on, everything=everything
    )  # fmt: skip
    return _exit_code(report, fail_on)


def _exit_code(report: ProfileReport, fail_on: str) -> int:
    """That of the command where it failed; 130 where it was interrupted, 3 where it had to be ended."""
    codes = {"stopped": 130, "flooded": 3, "full": 3, "large": 3}
    own = codes.get(report.meta["how"], 0) or report.exit_code or 0
    return own or int(fails([report.worst()], fail_on))
