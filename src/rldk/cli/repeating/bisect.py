"""`rldk bisect --good A --bad B --cmd CMD`: the first commit, or version of a package, at which a command is bad."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rldk.cli.flags import color_setting, colour_option, json_option
from rldk.cli.formats import drawn, emit, form_of
from rldk.cli.output import progress, say, use_colour, width
from rldk.config import load_settings
from rldk.errors import UsageError

if TYPE_CHECKING:
    from rldk.bisect import BisectResult
    from rldk.cli.output import Progress

_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command("bisect")
@click.option("--good", metavar="COMMIT", help="A commit at which all is well.")
@click.option("--bad", default="HEAD", show_default=True, metavar="COMMIT", help="A later one at which it is not.")
@click.option("--cmd", metavar="COMMAND", help="The training, as you would type it; no shell runs it.")
@click.option("--metric", metavar="NAME", help="The metric that decides; without it the exit code does.")
@click.option("--cmp", metavar="COMPARISON", help='When the metric is bad: "> 0.2", "<= 1e-3", "nan".')
@click.option("--window", default=100, show_default=True, help="How many of the last values are averaged.")
@click.option("--shell-predicate", metavar="COMMAND", help="A shell command that decides: 0 good, 125 skip, else bad.")
@click.option("--repeats", default=1, show_default=True, help="Trust each run (1), or let runs be wrong by chance (5).")
@click.option("--jobs", default=1, show_default=True, help="How many commits are run at a time.")
@click.option("--package", metavar="NAME", help="Look for a version of this package instead of a commit.")
@click.option("--versions", metavar="A..B", help="Its versions from the good A to the bad B, or a list with commas.")
@click.option("--repo", "repository", type=_FOLDER, metavar="DIR", help="The repository.  [default: the current one]")
@click.option("--first-parent", is_flag=True, help="Look at the main line only, and at merges as one commit.")
@click.option("--link", multiple=True, metavar="PATH", help="A file or folder of no commit that every tree needs.")
@click.option("--timeout", type=float, metavar="SECONDS", help="Time limit of one run; later it is skipped.")
@click.option("--max-runs", type=int, help="At most so many runs.  [default: 300]")
@click.option("--max-output", default=20.0, show_default=True, metavar="GIB", help="What one run may write.")
@click.option("--output-dir", type=_FOLDER, metavar="DIR", help="Keep outcomes here.  [default: in the cache]")
@click.option("--fresh", is_flag=True, help="Forget the runs of an earlier call.")
@click.option("--gate", is_flag=True, help="Exit with 0 also where several commits cannot be told apart.")
@click.option("--all", "everything", is_flag=True, help="Show every run.")
@json_option
@click.option("--format", "form", metavar="NAME", help="Print in this format: text, json, md, html, github, junit.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file instead.")
@colour_option
def command(**flags: Any) -> int:
    """Find the first bad commit, or version of a package, also where the outcome is noisy.

    Both ends are run first. Every run has a detached work tree of its own; your work tree, index, stash and repository
    are only read. A run that fails to build, to end in time or to log the metric is skipped, never bad. With --repeats
    a run may be wrong by chance: commits are run until one has 95 % of the probability, and where that cannot be
    reached the commits that remain are named. An interrupted bisection goes on when the same command is given again.
    The exit code is 0 when one commit was found, 1 when several remain, and 3 when the ends are not good and bad.

    \b
    Examples:
      rldk bisect --good v1.2 --bad HEAD --cmd "python train.py --out {out}" --metric loss --cmp nan
      rldk bisect --good v1.2 --cmd "python train.py --seed {seed}" --metric reward_mean --cmp "< 1" --repeats 5
      rldk bisect --good v1.2 --shell-predicate "make && python -m pytest -q tests/test_loss.py" --jobs 4
      rldk bisect --package trl --versions 0.23.0..0.25.1 --cmd "python train.py" --metric loss --cmp nan
    """
    output, look = flags.pop("output"), {"everything": flags.pop("everything")}
    form = form_of(flags.pop("form"), output, as_json=flags.pop("as_json"))
    settings = load_settings({"color": color_setting(flags.pop("colour"))})
    gate = flags.pop("gate")
    flags["max_output_gib"] = flags.pop("max_output")
    try:
        with progress(1) as pieces:
            report = _bisected(flags, pieces)
    except KeyboardInterrupt:
        say("interrupted; the runs that have ended are kept, and the same command goes on from them")
        raise
    if form != "text":
        emit(drawn(form, [report], [], **look), output)
    else:
        from rldk.cards import terminal

        colour = output is None and use_colour(settings["color"])
        emit(terminal.render(report, width=width(), colour=colour, **look), output)
    return int(not report.passed and not gate)


def _bisected(flags: dict[str, Any], pieces: Progress) -> BisectResult:
    """The library call that the flags stand for. Raises `UsageError`."""
    from rldk.bisect import bisect_commits, bisect_versions

    good, bad, package, versions = (flags.pop(name) for name in ("good", "bad", "package", "versions"))
    flags |= {"begin": pieces.begin, "expect": pieces.expect}
    if package is None:
        if good is None or versions is not None:
            hint = "give --good COMMIT, or --package NAME with --versions A..B"
            raise UsageError("a bisection needs an end that is good", hint=hint)
        return bisect_commits(good, bad, **flags)
    if good is not None or versions is None or flags["cmd"] is None:
        hint = '--package NAME --versions A..B --cmd "python train.py"'
        raise UsageError("versions of a package have no commits; they need --versions and --cmd", hint=hint)
    for name in ("repository", "first_parent", "link"):
        flags.pop(name)
    return bisect_versions(package, versions, **flags)
