"""`rldk runs list|show|diff`: the run directories that are there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from rldk.cli.flags import FOLDER, format_option, json_option, output_option
from rldk.cli.output import width, write
from rldk.errors import MalformedInput


@click.group("runs")
def command() -> None:
    """List run directories, show what one of them says of its run, and compare two.

    \b
    Examples:
      rldk runs list
      rldk runs show runs/train-20261129-101500
      rldk runs diff runs/good runs/bad
    """


@command.command("list")
@click.argument("folder", metavar="DIR", type=FOLDER, required=False)
@click.option("--last", type=click.IntRange(1), default=50, show_default=True, help="How many runs to show.")
@json_option
def list_runs(folder: Path | None, last: int, as_json: bool) -> None:
    """List the runs in DIR, the newest first: when, state, last step, verdict.

    Without DIR the command looks into $RLDK_DIR, or else into runs. The verdict comes from the report in the directory
    of a run; where there is none, `rldk doctor` makes one. A run has crashed when it says that it is running and its
    process is gone.

    \b
    Examples:
      rldk runs list
      rldk runs list /data/experiments --last 10
    """
    from rldk.cards import terminal
    from rldk.cards.runs import listing_document, listing_view
    from rldk.cards.wire import dumps
    from rldk.core.catalogue import Catalogue, find_runs, outcome

    root = folder or _shelf()
    none_yet = folder is None and not root.exists()
    found = Catalogue(runs=(), looked=0, complete=True) if none_yet else find_runs(root)
    runs = [(run, outcome(run.directory)) for run in found.runs[:last]]
    if as_json:
        write(dumps(listing_document(runs, found)))
    else:
        write(terminal.render(listing_view(runs, found, root), width=width()))


@command.command("show")
@click.argument("run")
@click.option("--all", "everything", is_flag=True, help="Also the versions of all packages.")
@json_option
def show(run: str, everything: bool, as_json: bool) -> None:
    """Show what a run directory says of its run: command, commit, configuration, environment, files.

    RUN is a run directory, or the name of a run in $RLDK_DIR or runs.

    \b
    Example:
      rldk runs show runs/train-20261129-101500 --all
    """
    from rldk.cards import terminal
    from rldk.cards.runs import run_view, show_document
    from rldk.cards.wire import dumps
    from rldk.core.catalogue import chosen_run, other_ranks, outcome

    found = chosen_run(run, _shelf())
    if found.problem:
        raise MalformedInput(found.problem, hint="the log may be read all the same: `rldk doctor` tries")
    came_to, ranks = outcome(found.directory), other_ranks(found.directory)
    if as_json:
        write(dumps(show_document(found, came_to, ranks)))
    else:
        write(terminal.render(run_view(found, came_to, ranks), everything=everything, width=width()))


@command.command("diff")
@click.argument("a")
@click.argument("b")
@click.option("--all", "everything", is_flag=True, help="Show every difference.")
@json_option
@format_option("text, json, md or html.")
@output_option
def diff(a: str, b: str, everything: bool, as_json: bool, **where: Any) -> int:
    """Compare what two runs record; the differences that most often decide results come first.

    A and B are run directories, or names of runs in $RLDK_DIR or runs. The order is data, seed, code, config, packages,
    models, environment, and the rest. What only one of them records is not compared, and listed. The exit code is 1
    when the runs differ.

    \b
    Examples:
      rldk runs diff runs/good runs/bad
      rldk runs diff good bad --json
    """
    from rldk.cli.formats import form_of, print_report
    from rldk.tracking.difference import diff_runs

    form = form_of(where["form"], where["output"], as_json=as_json)
    report = diff_runs(a, b, root=_shelf())
    print_report(report, form, where["output"], color="never", everything=everything)
    return int(not report.passed)


def chosen_folder(name: str) -> Path:
    """The path itself when there is something, else the directory of the newest run in $RLDK_DIR or runs that is called
    so. Raises `UnreadableSource` when there is none."""
    from rldk.core.catalogue import chosen_run

    path = Path(name)
    return path if path.exists() else chosen_run(name, _shelf()).directory.path


def _shelf() -> Path:
    return Path(os.environ.get("RLDK_DIR") or "runs")
