"""`rldk doctor PATH...` and `rldk PATH`."""

from __future__ import annotations

import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rldk.cards.safe import clean
from rldk.cli import flags
from rldk.cli.formats import drawn, emit, form_of
from rldk.cli.output import progress, say, use_colour, width
from rldk.config import Settings, load_settings
from rldk.errors import RldkError, UsageError

if TYPE_CHECKING:
    from rldk.core.model import Report
    from rldk.diagnosis.many import Judged

SLOW_S = 10.0  # a run that takes longer is named in the output


@click.command("doctor")
@click.argument("paths", nargs=-1, metavar="PATH...")
@click.option("--all", "everything", is_flag=True, help="Show every finding, and every rule that could not look.")
@flags.json_option
@flags.format_option()
@click.option(
    "--output",
    type=flags.FILE,
    help="Write to this file instead of the screen. Its suffix chooses the format, unless --format does.",
)
@click.option(
    "--html",
    type=flags.FILE,
    help="Also write the report, with curves, to this file.",
)
@click.option(
    "--self",
    "installation",
    is_flag=True,
    help="Check this installation instead of a run, as rldk version --self does.",
)
@flags.fail_on_option
@flags.select_option
@flags.ignore_option
@flags.reference_option
@flags.adapter_option("log")
@flags.field_map_option
@click.option(
    "--strict", is_flag=True, default=None, help="Stop with an error at a malformed line instead of counting it."
)
@click.option(
    "--max",
    "most",
    type=click.IntRange(1),
    default=5,
    show_default=True,
    help="Number of incidents to show.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1),
    help="Number of processes to use.  [default: one for each processor when there are many runs]",
)
@flags.colour_option
def command(paths: tuple[str, ...], everything: bool, as_json: bool, html: Path | None, most: int, **given: Any) -> int:
    """Say what went wrong in a run, at which step, why, and what to change.

    PATH is a log file, a directory, a glob, a URL, or - for stdin. For several runs the command prints a table, the
    worst run first, and the reports of the worst runs. With --json one run gives its report; several runs give
    {"summary": {...}, "reports": [...], "errors": [...]}. --format github prints annotations, and appends a summary to
    the file that GITHUB_STEP_SUMMARY names; junit and sarif suit any CI. Pictures (png, svg) need rldk[plot].

    \b
    Examples:
      rldk doctor train.log
      rldk doctor runs/ --html report.html --fail-on warn
      rldk doctor train.log --output report.png
      rldk doctor run.jsonl --field-map '{"avg_rew": "reward_mean"}'
    """
    if given.pop("installation"):
        from rldk.cli.version import check_self

        return check_self(as_json)
    if not paths:
        raise UsageError("no PATH was given", hint="name a log, a directory, a glob or a URL, or - for stdin")
    approved, jobs, output = given.pop("reference"), given.pop("jobs"), given.pop("output")
    form = form_of(given.pop("form"), output, as_json=as_json)
    settings = load_settings(_settings(given))
    curves = html is not None or form in ("html", "png", "svg")
    judged = _diagnose(paths, settings, approved, curves=curves, jobs=jobs)
    reports, errors = judged.reports, [(f.source, f.error) for f in judged.failures]
    fail_on = settings["fail_on"]
    if html is not None and reports:
        emit(drawn("html", reports, errors), html)
    if form != "text":
        emit(drawn(form, reports, errors, fail_on=fail_on, everything=everything), output)
    elif reports:
        colour = use_colour(settings["color"]) and output is None
        look: dict[str, Any] = {"colour": colour, "width": width(), "most": most}
        emit(_text(reports, errors, everything=everything, fail_on=fail_on, slow=_slowest(judged), **look), output)
    for path, error in errors:
        say(f"error: {clean(path)}: {clean(error.message, 1000)}\nhint: {clean(error.hint, 2000)}")
    return exit_code(reports, [e for _, e in errors], fail_on)


def exit_code(reports: list[Report], errors: list[RldkError], fail_on: str) -> int:
    """The exit code of the worst input."""
    return max([*(report_code(r, fail_on) for r in reports), *(e.exit_code for e in errors)], default=0)


def report_code(report: Report, fail_on: str) -> int:
    """The exit code: 1 when a finding is severe enough, else 3 when no rule could look or nothing that matters was
    understood."""
    if flags.fails([report.worst()], fail_on):
        return 1
    unread = report.understanding is not None and report.understanding.state == "not"
    return 3 if unread or not report.checked else 0


def _diagnose(paths: tuple[str, ...], settings: Settings, approved: str | None, **how: Any) -> Judged:
    """The reports of all runs under all paths, with the failures. When the only path cannot be read, its error is
    raised."""
    from rldk.diagnosis.many import Wanted, judge_paths
    from rldk.engine.reference import baseline

    chosen = {name: settings[name] for name in ("adapter", "field_map", "strict", "select", "ignore")}
    reference = None if approved is None else baseline(approved)
    jobs = how.pop("jobs")
    with progress(len(paths)) as pieces:
        judged = judge_paths(
            paths,
            Wanted(reference=reference, **how, **chosen),
            jobs,
            begin=lambda name: pieces.begin(clean(name, 60)),
            expect=pieces.expect,
        )
    if len(judged.failures) == 1 and not judged.reports and len(paths) == 1:
        raise judged.failures[0].error
    return judged


def _slowest(judged: Judged) -> str:
    """A line about the slowest run; "" when no run was slow."""
    seconds = max(judged.seconds, default=0.0)
    if seconds < SLOW_S:
        return ""
    run = str(judged.reports[judged.seconds.index(seconds)].meta["run"])
    return f"slowest: {clean(run, 60)} took {seconds:.0f} s"


def _settings(given: dict[str, Any]) -> dict[str, Any]:
    """The flags as settings."""
    colour = given.pop("colour")
    given["field_map"] = flags.field_map_flag(given["field_map"])
    return {**given, "color": flags.color_setting(colour)}


def _text(
    reports: list[Report],
    errors: list[tuple[str, RldkError]],
    *,
    everything: bool,
    fail_on: str,
    slow: str = "",
    **look: Any,
) -> str:
    """The text of one report; for several runs, a table and the reports of the worst runs."""
    from rldk.cards.overview import MAX_DETAILS, overview, overview_view
    from rldk.cards.words import unread_files
    from rldk.core.model import SEVERITIES
    from rldk.core.registry import renderers

    code = exit_code(reports, [e for _, e in errors], fail_on)
    worst = max((word for r in reports if (word := r.worst())), key=SEVERITIES.index, default=None)
    closing = flags.exit_line(code, worst, fail_on)
    render = partial(renderers.get("terminal"), everything=everything, **look)
    if len(reports) == 1 and not errors:
        return str(render(reports[0], closing=closing))
    lines = overview(reports, [(path, error.message) for path, error in errors])
    there = [line for line in lines if line.place is not None]
    shown = there if everything else [line for line in there if line.headline != "ok"][:MAX_DETAILS]
    beside = [*unread_files(reports), *([slow] if slow else [])]
    parts = [render(overview_view(lines, beside))]
    parts += [f"== {clean(x.run)} ({clean(x.source)})\n{render(reports[x.place or 0])}" for x in shown]
    left = [line for line in there if line not in shown]
    if left:
        parts.append(f"The report of another run: rldk doctor {shlex.quote(clean(left[0].source, 1000))}\n")
    return "\n".join([*parts, *([f"{closing}\n"] if closing else [])])
