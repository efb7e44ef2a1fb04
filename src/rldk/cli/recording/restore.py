"""`rldk restore RUN --to DIR`: the code and the configuration of an earlier state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rldk.cli.flags import FOLDER, color_setting, colour_option, json_option
from rldk.cli.output import progress, use_colour, width, write
from rldk.cli.recording.runs import chosen_folder
from rldk.cli.recording.verify import repo_option
from rldk.config import load_settings


@click.command("restore")
@click.argument("run")
@click.option(
    "--to",
    "folder",
    type=FOLDER,
    required=True,
    metavar="DIR",
    help="Where to write it: a folder that is empty or does not exist.",
)
@repo_option
@click.option("--all", "everything", is_flag=True, help="Show everything that is lacking.")
@json_option
@colour_option
def command(run: str, folder: Path, repository: Path | None, **flags: Any) -> int:
    """Bring back the code and the configuration of a run, in a new folder.

    RUN is a run directory, the name of a run in $RLDK_DIR or runs, or a bundle of `rldk export`. The folder gets the
    files of the commit with the changes that no commit had, untracked files that were kept, the configuration, and the
    digests of the data. Nothing that exists is overwritten, and no program of the repository is started. The exit code
    is 1 when something is lacking, such as a secret that was taken out of the record.

    \b
    Examples:
      rldk restore runs/exp1 --to /tmp/exp1
      rldk restore exp1.bundle.zip --to exp1 --json
    """
    from rldk.cards import terminal
    from rldk.cards.wire import dumps
    from rldk.core.codec import to_builtins
    from rldk.tracking.restored_view import restored_view
    from rldk.tracking.restoring import restore_run

    with progress(1) as pieces:
        pieces.begin(f"restoring {run}")
        found = restore_run(chosen_folder(run), folder, repository=repository)
    if flags["as_json"]:
        write(dumps({"schema_version": 1, **to_builtins(found)}))
    else:
        settings = load_settings({"color": color_setting(flags["colour"])})
        look = {"everything": flags["everything"], "colour": use_colour(settings["color"])}
        write(terminal.render(restored_view(found), width=width(), **look))
    return int(bool(found.lacking or found.redacted))
