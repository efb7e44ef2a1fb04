"""`rldk replay RUN --command CMD`: whether a recorded run can be run again with the same numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rldk.cli.flags import color_setting, colour_option, json_option
from rldk.cli.formats import drawn, emit, form_of
from rldk.cli.output import progress, use_colour, width
from rldk.config import load_settings
from rldk.errors import UsageError

_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command("replay")
@click.argument("run", required=False)
@click.option("--run", "run_option", metavar="RUN", help="The run, if it is not the argument.")
@click.option("--command", "cmd", metavar="COMMAND", help="The training; no shell runs it.  [default: as recorded]")
@click.option("--metrics", metavar="METRICS", help="Metrics with commas.  [default: all but times and memory]")
@click.option(
    "--tolerance",
    default=0.01,
    show_default=True,
    help="Values agree when they differ by at most this share of the larger one; 0 means bit by bit.",
)
@click.option("--max-steps", type=int, help="Compare the first so many logged steps; fills {steps} in the command.")
@click.option("--seed", type=int, help="The seed for {seed}.  [default: the recorded one]")
@click.option("--device", help="Fills {device} in the command.")
@click.option("--repo", "repository", type=_FOLDER, metavar="DIR", help="The repository that has the commit.")
@click.option("--at", "places", multiple=True, metavar="NAME=PATH", help="Where an input of the run is now.")
@click.option(
    "--link", multiple=True, metavar="PATH", help="A file or folder that no commit has, to link into the tree."
)
@click.option("--build-env", is_flag=True, help="Build the recorded packages in an environment of their own (pip).")
@click.option("--changed-inputs", is_flag=True, help="Go on although an input is not what was recorded.")
@click.option("--timeout", type=float, metavar="SECONDS", help="Time limit of the replay.")
@click.option("--max-output", default=20.0, show_default=True, metavar="GIB", help="What the command may write.")
@click.option("--output-dir", type=_FOLDER, metavar="DIR", help="Keep report and output here.  [default: a new folder]")
@click.option("--gate", is_flag=True, help="Exit with 1 only when the replay differs by more than rounding.")
@click.option("--all", "everything", is_flag=True, help="Show every metric and every difference.")
@json_option
@click.option("--format", "form", metavar="NAME", help="Print in this format: text, json, md, html, github, junit.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file instead.")
@colour_option
def command(run: str | None, run_option: str | None, cmd: str | None, **flags: Any) -> int:
    """Run a recorded run again from its record, and say whether it gives the same numbers.

    RUN is a run directory, the name of a run in $RLDK_DIR or runs, or any log. The command runs in a work tree of the
    recorded commit, with the changes and files that no commit had; the repository itself is only read. Packages that
    differ are named, and data, weights and tokenizers are hashed again first. {seed} and {out} in the command become
    the recorded seed and a new folder. Of a run that rldk has not recorded, the command runs where you are, and the
    report says what nobody can vouch for. The exit code is 1 when the replay differs, and 3 when the run could not be
    replayed.

    \b
    Examples:
      rldk replay runs/exp1 --command "python train.py --seed {seed} --out {out}" --metrics loss,reward_mean
      rldk replay runs/exp1 --tolerance 0 --max-steps 20
      rldk replay runs/exp1 --build-env --at train=/data/train.jsonl --json
      rldk replay old/metrics.jsonl --command "python train.py" --metrics kl
    """
    from rldk.cli.recording.runs import chosen_folder
    from rldk.cli.recording.verify import named_path
    from rldk.replay import replay

    named = run or run_option
    if named is None or (run and run_option):
        raise UsageError("which run?", hint="name one run: rldk replay RUN --command ...")
    output, look = flags.pop("output"), {"everything": flags.pop("everything")}
    form = form_of(flags.pop("form"), output, as_json=flags.pop("as_json"))
    settings = load_settings({"color": color_setting(flags.pop("colour"))})
    gate, places, metrics = flags.pop("gate"), dict(map(named_path, flags.pop("places"))), flags.pop("metrics")
    flags["max_output_gib"] = flags.pop("max_output")
    with progress(1) as pieces:
        report = replay(chosen_folder(named), cmd, metrics, places=places, begin=pieces.begin, **flags)
    if form != "text":
        emit(drawn(form, [report], [], **look), output)
    else:
        from rldk.cards import terminal

        colour = output is None and use_colour(settings["color"])
        emit(terminal.render(report, width=width(), colour=colour, **look), output)
    return int(report.worst() == "critical" if gate else not report.passed)
