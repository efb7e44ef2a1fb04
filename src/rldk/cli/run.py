"""`rldk run`: start a training and watch it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rldk.cli.monitor import SHARED, options, output_files, reading_options
from rldk.cli.output import say
from rldk.core.files import write_whole
from rldk.errors import InputError, MissingExtra

if TYPE_CHECKING:
    from rldk.adapters.live.reader import ReadOptions
    from rldk.cli.hooks import HookFolder
    from rldk.core.manifest import Manifest
    from rldk.core.rundir import RunDirectory
    from rldk.engine.processes.child import Wrapped
    from rldk.rules.files.load import RuleFile


@click.command("run", context_settings={"ignore_unknown_options": False})
@click.option(
    "--stream",
    "streams",
    multiple=True,
    metavar="PATH|DIR",
    help="Also follow this file or directory, which the training writes; you may repeat the option.",
)
@click.option(
    "--run-dir",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Keep the log, the alerts and the reports in this directory; it may exist.  [default: runs/NAME-TIME]",
)
@click.option(
    "--hooks",
    "hooked",
    is_flag=True,
    help="Attach rldk's hooks to the trainer that the command loads: transformers and TRL, Stable-Baselines3, verl, "
    "OpenRLHF, RLlib, SummaryWriter, gymnasium. The script itself is not changed.",
)
@click.option(
    "--samples",
    type=click.IntRange(min=0),
    default=64,
    show_default=True,
    help="Number of per-sample records of one training step that the hooks keep, with prompt, response, reward and "
    "log-probabilities; 0 keeps none.",
)
@options(SHARED)
@click.argument("words", nargs=-1, required=True, metavar="-- COMMAND...")
def command(
    streams: tuple[str, ...],
    run_dir: Path | None,
    hooked: bool,
    samples: int,
    words: tuple[str, ...],
    **flags: Any,
) -> int:
    """Start a training and watch it.

    Write -- before COMMAND. rldk watches what the command prints and the files that --stream names. It passes the
    output of the command on to stdout and prints alerts to stderr. It passes signals on to the process group of the
    command, and the action `stop` ends that group. The exit code is that of the command (128 + N when signal N ended
    it). The run directory keeps the output, the alerts, the report and a page with charts.

    \b
    Examples:
      rldk run -- python train.py
      rldk run --stop-on critical --stream logs/progress.csv -- python train.py --lr 1e-4
      rldk run --hooks -- python train.py
    """
    from rldk.cli.watching import conduct, load_asked_rules
    from rldk.monitor.rundir import end
    from rldk.monitor.signals import Signals
    from rldk.monitor.sources import live_feeds

    how, settings = reading_options(flags)
    rules = load_asked_rules(flags)
    child, left, begun, hooks = _start(words, run_dir, samples=samples if hooked else None)
    followed = (*streams, str(hooks.stream)) if hooks else streams
    try:
        flags["alerts"] = flags["alerts"] or left.alerts
        flags["report"] = flags["report"] or left.report
        say(f"rldk: run directory {left.path}")
        with left.printed.open("ab", buffering=0) as log, Signals(child.relay) as signals:
            tee = (1, log.fileno())
            exclude = output_files(flags)
            own = followed[len(streams) :]
            feeds = live_feeds(
                ("-", *followed), how, warn=say, stdin=child.stdout, tee=tee, exclude=exclude, sampled=own
            )
            # the command answers a signal; the monitor ends after the command has ended
            code = conduct(
                feeds,
                rules,
                fail_on=settings["fail_on"],
                pid=child.pid,
                stdout=False,
                wait=signals.pause,
                **flags,
            )
    finally:
        child.close()
    kept = (*streams, str(hooks.path)) if hooks else streams
    _conclude(left, kept, rules, how, flags["reference"])
    if hooks:
        hooks.tell(Path(flags["report"]))
    end(left, begun, child.exit_code())
    return child.exit_code() or code


def _start(
    words: Sequence[str], run_dir: Path | None, *, samples: int | None
) -> tuple[Wrapped, RunDirectory, Manifest, HookFolder | None]:
    """The command, its run directory with a manifest, and the folder of the hooks, which are there with `samples`.
    Raises `UsageError` for a command that cannot be started."""
    from datetime import datetime

    from rldk.cli.hooks import HookFolder
    from rldk.engine.processes.child import Wrapped
    from rldk.monitor.rundir import begin, run_directory

    left = run_directory(run_dir, words, datetime.now()) if samples is not None else None
    hooks = HookFolder(left) if left is not None else None
    try:
        child = Wrapped(words, variables=hooks.variables(samples) if hooks and samples is not None else None)
    except BaseException:
        if hooks:
            hooks.remove()
        raise
    try:
        left = left or run_directory(run_dir, words, datetime.now())
        return child, left, begin(left, words), hooks
    except BaseException:
        child.abandon()
        raise


def _conclude(
    left: RunDirectory, streams: Sequence[str], rules: RuleFile, how: ReadOptions, reference: str | None
) -> None:
    """Writes the page and prints what to do next."""
    from rldk.cards.page import pages
    from rldk.diagnosis import diagnose_run, runs_in
    from rldk.engine.reference import baseline

    approved = None if reference is None else baseline(reference)
    readable, runs = [], []
    for source, shown in ((str(left.printed), str(left.path)), *((stream, stream) for stream in streams)):
        try:
            runs += runs_in(source, field_map=how.field_map)
        except (InputError, MissingExtra, OSError):
            continue
        readable.append(shown)
    if not readable:
        say(f"rldk: no log in what it printed, which is in {left.printed}; name a file that it writes with --stream")
        return
    reports = [diagnose_run(run, rules, reference=approved) for run in runs]
    try:
        write_whole(left.page, pages(reports))
    except OSError as error:
        say(f"rldk: cannot write {left.page}: {error.strerror}")
    say(f"next: rldk {shlex.join(os.fspath(path) for path in readable)}")
