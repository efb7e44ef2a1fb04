"""`rldk export RUN --format NAME`: a run for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rldk.cli.flags import FILE, color_setting, colour_option, json_option
from rldk.cli.output import progress, use_colour, width, write
from rldk.cli.recording.lineage import root_option
from rldk.cli.recording.runs import chosen_folder
from rldk.cli.recording.verify import named_path, repo_option
from rldk.config import load_settings

NAMES = ("bundle", "ro-crate", "in-toto", "mlflow", "croissant")


@click.command("export")
@click.argument("run")
@click.option("--format", "form", type=click.Choice(NAMES), required=True, help="What to write; see above.")
@click.option(
    "-o",
    "--output",
    type=FILE,
    help="The file to write; one that exists is replaced.  [default: the name of the run, in the current folder]",
)
@repo_option
@root_option
@click.option("--dataset", metavar="NAME", help="The dataset that croissant describes, where the run has several.")
@click.option("--at", "places", multiple=True, metavar="NAME=PATH", help="Where a dataset is now, for croissant.")
@json_option
@colour_option
def command(run: str, form: str, output: Path | None, repository: Path | None, **flags: Any) -> int:
    """Write a run to one file for other tools: a bundle, RO-Crate, in-toto, MLflow, Croissant.

    RUN is a run directory, or the name of a run in $RLDK_DIR or runs.

    \b
    Formats:
      bundle     the run and its code in one archive, for `rldk restore`
      ro-crate   an RO-Crate 1.1 with the files of the run
      in-toto    an in-toto statement v1 with SLSA provenance, not signed
      mlflow     a file store of MLflow, zipped: unpack it beside your mlruns
      croissant  the description of one dataset (Croissant 1.0)

    The same run gives the same bytes. What a command printed is left out, because it may hold secrets. The exit code is
    1 when a bundle lacks the code.

    \b
    Examples:
      rldk export runs/exp1 --format bundle
      rldk export runs/exp1 --format croissant --dataset train -o train.croissant.json
    """
    from rldk.cards import terminal
    from rldk.cards.wire import dumps
    from rldk.core.codec import to_builtins
    from rldk.tracking.exports import ExportChoice, export_run
    from rldk.tracking.restored_view import exported_view

    choice = ExportChoice(
        repository=repository,
        root=flags["root"],
        dataset=flags["dataset"],
        places={name: Path(path) for name, path in map(named_path, flags["places"])},
    )
    with progress(1) as pieces:
        pieces.expect(50)
        found = export_run(chosen_folder(run), output, form=form, choice=choice, begin=pieces.begin)
    if flags["as_json"]:
        write(dumps({"schema_version": 1, **to_builtins(found)}))
    else:
        settings = load_settings({"color": color_setting(flags["colour"])})
        write(terminal.render(exported_view(found), width=width(), colour=use_colour(settings["color"])))
    return int(any(one.what.startswith("the commit") for one in found.left_out))
