"""`rldk doctor PATH...` and `rldk PATH`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rldk.cards.safe import clean
from rldk.cli.output import colour_option, coloured, field_map_flag, json_option, progress, say, width, write
from rldk.config import Settings, load_settings
from rldk.config.settings import FAIL_ON
from rldk.core.files import save
from rldk.errors import RldkError, UsageError

if TYPE_CHECKING:
    from rldk.core.model import Report


@click.command("doctor")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--all", "everything", is_flag=True, help="Every finding, and every rule that was not checked.")
@json_option
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Also write the report to this file.")
@click.option("--fail-on", type=click.Choice(FAIL_ON), help="Exit 1 from this severity on.  [default: critical]")
@click.option("--select", metavar="CODES", help="Only these rules: codes, families or names, with commas.")
@click.option("--ignore", metavar="CODES", help="Not these rules.")
@click.option("--reference", metavar="RUN", help="An approved run: what differs from it materially is a finding.")
@click.option("--adapter", metavar="NAME", help="The log format, instead of looking at the content.")
@click.option("--field-map", metavar="JSON|FILE", help="Your metric names -> rldk's.")
@click.option("--strict", is_flag=True, default=None, help="A malformed line is an error.")
@click.option("--max", "most", type=click.IntRange(1), default=5, show_default=True, help="Incidents shown.")
@colour_option
def command(paths: tuple[str, ...], everything: bool, as_json: bool, html: Path | None, most: int, **flags: Any) -> int:
    """Say what went wrong in a run, at which step, why, and what to change.

    PATH is a log file, a directory, a glob, a URL, or - for stdin. With --json one run is its report, several are
    {"reports": [...], "errors": [...]}."""
    approved = flags.pop("reference")
    settings = load_settings(_flags(flags))
    reports, errors = _diagnose(paths, settings, approved)
    if html is not None and reports:
        _save(html, reports)
    if as_json:
        write(_document(reports, errors))
    elif reports:
        colour = coloured(settings["color"])
        write(_text(reports, everything=everything, colour=colour, width=width(), most=most))
    for path, error in errors:
        say(f"error: {clean(path)}: {clean(error.message, 1000)}\nhint: {clean(error.hint, 2000)}")
    return exit_code(reports, [e for _, e in errors], settings["fail_on"])


def exit_code(reports: list[Report], errors: list[RldkError], fail_on: str) -> int:
    """The worst of all inputs. A run that no rule could look at was not analysed: 3."""
    loud = {"warn": {"warn", "critical"}, "critical": {"critical"}, "never": set()}[fail_on]
    codes = [3 if not r.checked else int(r.worst() in loud) for r in reports]
    return max([*codes, *(e.exit_code for e in errors)], default=0)


def _diagnose(
    paths: tuple[str, ...], settings: Settings, approved: str | None
) -> tuple[list[Report], list[tuple[str, RldkError]]]:
    """The reports of all runs under all paths, and what could not be read: raised when it is the only path."""
    from rldk.diagnosis import diagnose_run, runs_in
    from rldk.engine.baseline import baseline

    reference = None if approved is None else baseline(approved)
    chosen = {"select": settings["select"], "ignore": settings["ignore"], "reference": reference}
    reports: list[Report] = []
    errors: list[tuple[str, RldkError]] = []
    reading = {"adapter": settings["adapter"], "field_map": settings["field_map"], "strict": settings["strict"]}
    with progress(len(paths)) as begin:
        for path in paths:
            begin(f"reading {clean(path, 60)}")
            try:
                runs = runs_in(path, **reading)
                reports += [diagnose_run(r, **chosen) for r in runs]
            except UsageError:
                raise
            except RldkError as error:
                if len(paths) == 1:
                    raise
                errors.append((path, error))
    return reports, errors


def _flags(flags: dict[str, Any]) -> dict[str, Any]:
    colour = flags.pop("colour")
    flags["field_map"] = field_map_flag(flags["field_map"])
    return {**flags, "color": None if colour is None else ("always" if colour else "never")}


def _text(reports: list[Report], *, most: int, **options: Any) -> str:
    from rldk.core.registry import renderers

    render = renderers.get("terminal")
    parts = [render(r, most=most, **options) for r in reports]
    if len(parts) > 1:
        parts = [
            f"== {clean(r.meta.get('run', ''))} ({clean(r.meta.get('source', ''))})\n{p}"
            for r, p in zip(reports, parts, strict=True)
        ]
    return "\n".join(parts)


def _document(reports: list[Report], errors: list[tuple[str, RldkError]]) -> str:
    from rldk.cards.wire import document, dumps

    if len(reports) == 1 and not errors:
        return dumps(document(reports[0]))
    failed = [{"source": p, "kind": type(e).__name__, "message": e.message, "hint": e.hint} for p, e in errors]
    return dumps({"schema_version": 1, "reports": [document(r) for r in reports], "errors": failed})


def _save(path: Path, reports: list[Report]) -> None:
    from rldk.cards.page import pages

    save(path, pages(reports))
    say(f"wrote {path}")
