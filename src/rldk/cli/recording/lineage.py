"""`rldk lineage show|verify`: where data came from, and whether that still holds."""

from __future__ import annotations

from pathlib import Path

import click

from rldk.cli.flags import FILE, color_setting, colour_option, json_option
from rldk.cli.output import progress, say, use_colour, width, write
from rldk.cli.recording.runs import chosen_folder
from rldk.config import load_settings
from rldk.core.files import save
from rldk.errors import UsageError

root_option = click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="The folder that relative paths are relative to.  [default: that of the run's start, or the current folder]",
)


@click.group("lineage")
def command() -> None:
    """Show which transformations made the data of a run, and hash it all again.

    Transformations are recorded by rldk.tracking.lineage, in lineage.jsonl of the run directory.

    \b
    Examples:
      rldk lineage show runs/exp1
      rldk lineage verify runs/exp1
    """


@command.command("show")
@click.argument("run")
@click.option(
    "-o",
    "--output",
    type=FILE,
    help="Draw the graph to this file, which ends in .svg or .png.",
)
@click.option("--all", "everything", is_flag=True, help="Show every transformation.")
@json_option
@colour_option
def show(run: str, output: Path | None, everything: bool, as_json: bool, colour: bool | None) -> None:
    """Show the transformations of RUN as a graph: what went in, what was done, what came out.

    RUN is a run directory, the name of a run, or a lineage.jsonl. The numbers are the beginnings of the digests.

    \b
    Examples:
      rldk lineage show runs/exp1
      rldk lineage show data/lineage.jsonl --output lineage.svg
    """
    from rldk.cards import terminal
    from rldk.cards.wire import dumps
    from rldk.tracking.lineage.chain import chosen, read_lineage
    from rldk.tracking.lineage.graph import lineage_graph, lineage_view

    folder = chosen_folder(run)
    records = chosen(read_lineage(folder))
    if output is not None:
        from rldk.cards.canvas import draw, measure
        from rldk.cards.graph import graph_picture

        form = output.suffix.lower().removeprefix(".")
        if form not in ("svg", "png"):
            raise UsageError(f"--output {output} is no .svg and no .png", hint="name the file lineage.svg")
        save(output, draw(graph_picture(lineage_graph(records, f"Lineage of {folder}"), measure), form))
        say(f"wrote {output}")
    if as_json:
        write(dumps({"schema_version": 1, "source": str(folder), "records": records}))
    elif output is None:
        settings = load_settings({"color": color_setting(colour)})
        view = lineage_view(records, str(folder))
        write(terminal.render(view, width=width(), everything=everything, colour=use_colour(settings["color"])))


@command.command("verify")
@click.argument("run")
@root_option
@click.option("--all", "everything", is_flag=True, help="Show every transformation.")
@json_option
@colour_option
def verify(run: str, root: Path | None, everything: bool, as_json: bool, colour: bool | None) -> int:
    """Hash again what the transformations of RUN read and wrote, and name the first broken link.

    A link is broken when a record was changed or taken out, when a file is gone or has another content, or when the
    function that made it has another source. The exit code is 1 then, and when nothing could be checked.

    \b
    Example:
      rldk lineage verify runs/exp1 --json
    """
    from rldk.cards import terminal
    from rldk.cards.wire import render
    from rldk.tracking.lineage.checking import verify_lineage

    with progress(1) as pieces:
        pieces.expect(99)
        report = verify_lineage(chosen_folder(run), root=root, begin=pieces.begin)
    if as_json:
        write(render(report))
    else:
        settings = load_settings({"color": color_setting(colour)})
        shown = terminal.render(report, width=width(), everything=everything, colour=use_colour(settings["color"]))
        write(shown)
    return int(not report.passed)
