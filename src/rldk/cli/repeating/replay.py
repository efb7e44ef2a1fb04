"""`rldk replay RUN --command CMD`: whether a recorded run can be run again with the same numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from rldk.cli.flags import color_setting, colour_option, format_option, json_option, output_option
from rldk.cli.formats import form_of, print_report
from rldk.cli.gate import GateCodes, gate_codes_option, gate_of, gate_option, grade_of
from rldk.cli.output import progress
from rldk.config import load_settings
from rldk.errors import UsageError

if TYPE_CHECKING:
    from rldk.replay import ReplayReport
    from rldk.replay.code import RestoredCode

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
@gate_option
@gate_codes_option
@click.option("--all", "everything", is_flag=True, help="Show every metric and every difference.")
@json_option
@format_option()
@output_option
@colour_option
def command(run: str | None, run_option: str | None, cmd: str | None, **flags: Any) -> int:
    """Run a recorded run again from its record, and say whether it gives the same numbers.

    RUN is a run directory, a bundle of `rldk export`, the name of a run in $RLDK_DIR or runs, or any log. The command
    runs in a work tree of the recorded commit, with the changes and files that no commit had; the repository itself is
    only read. Packages that differ are named, and data, weights and tokenizers are hashed again first. {seed} and {out}
    in the command become the recorded seed and a new folder. Of a run that rldk has not recorded, the command runs
    where you are, and the report says what nobody can vouch for. A run of `rldk run --hooks` is replayed with the same
    hooks. The exit code is 1 when the replay differs, and 3 when the run could not be replayed. For --gate, a
    difference of rounding that does not grow, and other packages, are a warning.

    \b
    Examples:
      rldk replay runs/exp1 --command "python train.py --seed {seed} --out {out}" --metrics loss,reward_mean
      rldk replay runs/exp1 --tolerance 0 --max-steps 20
      rldk replay runs/exp1 --build-env --at train=/data/train.jsonl --json
      rldk replay exp1.bundle.zip --command "python train.py --out {out}"
      rldk replay old/metrics.jsonl --command "python train.py" --metrics kl
    """
    from rldk.cli.hooks import FOLDER, hooks_below
    from rldk.cli.recording.verify import named_path
    from rldk.replay import replay

    named = run or run_option
    if named is None or (run and run_option):
        raise UsageError("which run?", hint="name one run: rldk replay RUN --command ...")
    output, everything = flags.pop("output"), flags.pop("everything")
    form = form_of(flags.pop("form"), output, as_json=flags.pop("as_json"))
    settings = load_settings({"color": color_setting(flags.pop("colour"))})
    gate = gate_of(gate=flags.pop("gate"), codes=flags.pop("gate_codes"))
    places, metrics = dict(map(named_path, flags.pop("places"))), flags.pop("metrics")
    flags["max_output_gib"] = flags.pop("max_output")
    with progress(1) as pieces, opened(named, flags["repository"]) as (folder, restored):
        hooks = hooks_below if (folder / FOLDER).is_dir() else None
        flags |= {"places": places, "hooks": hooks, "restored": restored, "begin": pieces.begin}
        report = replay(folder, cmd, metrics, **flags)
    print_report(report, form, output, color=settings["color"], everything=everything)
    return exit_code(report, gate)


@contextmanager
def opened(named: str, repository: Path | None) -> Iterator[tuple[Path, RestoredCode | None]]:
    """The run directory or log that is named; a bundle of `rldk export` is unpacked while the block runs."""
    from rldk.cli.recording.runs import chosen_folder

    path = Path(named)
    if not (path.suffix == ".zip" and path.is_file()):
        yield chosen_folder(named), None
        return
    from rldk.replay.code import RestoredCode
    from rldk.tracking.restoring import CODE, RUN, restore_run

    with TemporaryDirectory(prefix="rldk-replay-bundle-") as name:
        target = Path(name) / "restored"
        made = restore_run(path, target, repository=repository)
        missing = (one.what for one in made.lacking if not one.what.startswith(f"{RUN}/"))
        lacking = (*missing, *(f"{one} (a secret was taken out)" for one in made.redacted))
        yield target / RUN, RestoredCode(bundle=path, folder=target / CODE, lacking=lacking)


def exit_code(report: ReplayReport, gate: GateCodes) -> int:
    """1 when the replay differs; for a gate, a difference of rounding that does not grow is a warning."""
    return gate.exit_code(grade_of([report.worst()])) if gate.asked else int(not report.passed)
