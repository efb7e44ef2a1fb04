"""`rldk verify RUN`: whether data, weights and code of a run are what its record says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rldk.cli.flags import color_setting, colour_option, format_option, json_option, output_option
from rldk.cli.formats import form_of, print_report
from rldk.cli.output import progress
from rldk.cli.recording.lineage import root_option
from rldk.cli.recording.runs import chosen_folder
from rldk.config import load_settings
from rldk.errors import UsageError

repo_option = click.option(
    "--repo",
    "repository",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="The repository of the code.  [default: around the run, its start or the current folder]",
)


@click.command("verify")
@click.argument("run")
@click.option(
    "--at", "places", multiple=True, metavar="NAME=PATH", help="Where a dataset, a model or a tokenizer is now."
)
@root_option
@repo_option
@click.option(
    "--recorded",
    is_flag=True,
    help="Check the commit and the kept changes only, not the files that are in the repository now.",
)
@click.option("--strict", is_flag=True, help="Also fail when something could not be checked.")
@click.option("--all", "everything", is_flag=True, help="Show everything that was checked.")
@json_option
@format_option("text, json, md, html, github, junit.")
@output_option
@colour_option
def command(run: str, places: tuple[str, ...], root: Path | None, repository: Path | None, **flags: Any) -> int:
    """Hash data, weights and code of a run again, and name what changed.

    RUN is a run directory, or the name of a run in $RLDK_DIR or runs. What cannot be checked is listed with what it
    needs, and is no pass. The exit code is 1 when something changed or when nothing could be checked, and with --strict
    when anything could not.

    \b
    Examples:
      rldk verify runs/exp1
      rldk verify runs/exp1 --at train=/data/train.parquet --repo .
      rldk verify runs/exp1 --recorded --strict --json
    """
    from rldk.tracking.verification import verify_run

    output = flags["output"]
    form = form_of(flags["form"], output, as_json=flags["as_json"])
    settings = load_settings({"color": color_setting(flags["colour"])})
    with progress(1) as pieces:
        pieces.expect(20)
        report = verify_run(
            chosen_folder(run),
            root=root,
            repository=repository,
            places=dict(map(named_path, places)),
            work_tree=not flags["recorded"],
            begin=pieces.begin,
        )
    print_report(report, form, output, color=settings["color"], everything=flags["everything"])
    unchecked = any(one.status == "not_checked" for one in report.outcomes)
    return int(not report.passed or (flags["strict"] and unchecked))


def named_path(text: str) -> tuple[str, str]:
    """The two halves of NAME=PATH. Raises `UsageError`."""
    name, sign, path = text.partition("=")
    if not name or not sign or not path:
        raise UsageError(f"--at {text} is no NAME=PATH", hint="--at train=/data/train.jsonl")
    return name, path
