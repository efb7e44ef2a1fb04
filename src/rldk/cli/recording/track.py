"""`rldk track`: record what a run stands on, once or with notes on the way."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rldk.cli.flags import folder_option, json_option
from rldk.cli.output import say, width, write

if TYPE_CHECKING:
    from rldk.tracking import ExperimentTracker


@click.command("track")
@click.argument("name")
@click.option("--interactive", is_flag=True, help="Open a prompt for notes, tags, metrics and snapshots.")
@folder_option("Where the directory of the run is made.  [default: $RLDK_DIR, or else runs]", metavar="DIR")
@click.option("--tags", default="", metavar="A,B", help="Tags of the run, separated by commas.")
@click.option("--notes", metavar="TEXT", help="A note on the run.")
@click.option("--wandb/--no-wandb", default=None, help="Also send the run to W&B.  [default: no-wandb]")
@click.option("--wandb-project", metavar="NAME", help="The project in W&B; switches --wandb on.")
@json_option
def command(
    name: str,
    *,
    interactive: bool,
    output_dir: Path | None,
    tags: str,
    notes: str | None,
    wandb: bool | None,
    wandb_project: str | None,
    as_json: bool,
) -> int:
    """Record what a run stands on: commit, packages, machine, seeds, with tags and notes.

    The command makes a run directory named NAME (with a number where that is taken) and writes run.json into it. With
    --interactive it stays open and takes note, tag, metric, snapshot, status, finish and help, from the keyboard or
    from a pipe; a mistake in a pipe gives exit code 2. In a script, rldk.ExperimentTracker does the same and adds
    datasets and models.

    \b
    Examples:
      rldk track lr-sweep-3 --tags sweep,baseline --notes "before the new reward model"
      rldk track annotation --interactive
    """
    from rldk.tracking import ExperimentTracker, TrackingConfig

    given = {} if output_dir is None else {"output_dir": os.fspath(output_dir)}
    given |= {} if wandb_project is None else {"wandb_project": wandb_project}
    tracker = ExperimentTracker(
        TrackingConfig(
            experiment_name=name,
            tags=[tag.strip() for tag in tags.split(",") if tag.strip()],
            notes=notes,
            enable_seed_tracking=False,  # the generators of this command draw nothing
            save_to_wandb=wandb_project is not None if wandb is None else wandb,
            **given,  # type: ignore[arg-type]
        )
    )
    failures = 0
    with tracker:
        if interactive:
            failures = _converse(tracker, quiet=as_json)
    _tell(tracker, as_json)
    return 2 if failures and not sys.stdin.isatty() else 0


def _converse(tracker: ExperimentTracker, *, quiet: bool) -> int:
    """Answers until the user ends it. Returns how many lines were mistakes."""
    from rldk.tracking.prompt import Prompt

    prompt = Prompt(tracker)
    answer = say if quiet else write
    answer(f"{tracker.experiment_id} is being recorded. `help` lists the commands.")
    with suppress(KeyboardInterrupt):
        for line in _lines(quiet=quiet):
            text = prompt.answer(line)
            if text:
                answer(text)
            if prompt.finished:
                break
    return prompt.failures


def _lines(*, quiet: bool) -> Iterator[str]:
    """The lines that the user types, or that a pipe has, until it ends or Ctrl-C is pressed."""
    typed = sys.stdin.isatty()
    if typed and not quiet:
        import readline  # noqa: F401 - gives `input` its history and its editing keys
    try:
        while True:
            if typed and not quiet:
                yield input("track> ")
                continue
            if typed:
                click.echo("track> ", nl=False, err=True)
            line = sys.stdin.readline()
            if not line:
                return
            yield line
    except (EOFError, KeyboardInterrupt):
        say("")  # the prompt has no end of line


def _tell(tracker: ExperimentTracker, as_json: bool) -> None:
    from rldk.cards import terminal
    from rldk.cards.runs import run_view, show_document
    from rldk.cards.wire import dumps
    from rldk.core.catalogue import chosen_run, outcome

    if tracker.dir is None:
        say("rldk: nothing was written, because RLDK_MODE is disabled")
        return
    say(f"rldk: run directory {tracker.dir}")
    found = chosen_run(str(tracker.dir), tracker.dir.parent)
    came_to = outcome(found.directory)
    if as_json:
        write(dumps(show_document(found, came_to)))
    else:
        write(terminal.render(run_view(found, came_to), width=width()))
