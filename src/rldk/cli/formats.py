"""The formats that reports are printed or written in, for every command that has reports."""

from __future__ import annotations

import os
from collections.abc import Sequence
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rldk.cli.output import say, use_colour, width, write
from rldk.core.files import save
from rldk.core.model import Report
from rldk.errors import RldkError, UsageError

if TYPE_CHECKING:
    from rldk.core.view import View

SHORT = {"md": "markdown"}
SUFFIXES = {
    ".txt": "text",
    ".json": "json",
    ".md": "markdown",
    ".html": "html",
    ".htm": "html",
    ".xml": "junit",
    ".sarif": "sarif",
    ".png": "png",
    ".svg": "svg",
}
READ = frozenset({"markdown", "png", "svg"})  # a person reads these from the top: what is worst comes first
BINARY = frozenset({"png"})

Errors = Sequence[tuple[str, RldkError]]  # the sources that could not be read


def form_of(name: str | None, output: Path | None, *, as_json: bool) -> str:
    """The name of the output format: the one that was asked for, else the one of the file's suffix, else text.

    Raises `UnknownName` and `UsageError`."""
    from rldk.core.registry import renderers

    if as_json and name not in (None, "json"):
        raise UsageError(f"--json and --format {name} ask for two things", hint="give one of them")
    if name is None and output is not None and not as_json:
        suffix = output.suffix.lower()
        if suffix not in SUFFIXES:
            hint = f"give --format, or a file that ends in {', '.join(SUFFIXES)}"
            raise UsageError(f"--output {output} does not say which format it is", hint=hint)
        return SUFFIXES[suffix]
    form = SHORT.get(name or "", name) or ("json" if as_json else "text")
    if form not in ("text", "json", "html"):
        renderers.get(form)
    if form in BINARY and output is None:
        raise UsageError(f"a {form} is no text for the screen", hint=f"name its file: --output report.{form}")
    return form


def emit(drawn: str | bytes, output: Path | None) -> None:
    """Prints what was drawn, or writes it to the file, whole or not at all. Raises `OutputError`."""
    if output is not None:
        save(output, f"{drawn}\n" if isinstance(drawn, str) and not drawn.endswith("\n") else drawn)
        say(f"wrote {output}")
    elif isinstance(drawn, str):
        write(drawn)


def print_report(
    report: Report,
    form: str,
    output: Path | None,
    *,
    color: str,
    html: Path | None = None,
    fail_on: str = "critical",
    everything: bool = False,
    **text: Any,
) -> None:
    """Prints one report, or writes it to `output`, and also as a page to `html`. `color`: the setting. `text`: further
    arguments of the renderer for the terminal. Raises `OutputError`, and `MissingExtra` for a picture."""
    if html is not None:
        emit(drawn("html", [report], []), html)
    if form != "text":
        emit(drawn(form, [report], [], fail_on=fail_on, everything=everything), output)
        return
    from rldk.cards import terminal

    colour = output is None and use_colour(color)
    emit(terminal.render(report, everything=everything, colour=colour, width=width(), **text), output)


def drawn(
    form: str, reports: Sequence[Report], errors: Errors, *, fail_on: str = "critical", everything: bool = False
) -> str | bytes:
    """All reports and failures in that format, which is not "text". Raises `MissingExtra` for a picture."""
    match form:
        case "json":
            return _document(reports, errors)
        case "html":
            from rldk.cards.page import pages

            return pages(reports, [(source, error.message) for source, error in errors])
        case _:
            return _by_view(form, reports, errors, fail_on=fail_on, everything=everything)


def _document(reports: Sequence[Report], errors: Errors) -> str:
    from rldk.cards.wire import document, documents, dumps

    if len(reports) == 1 and not errors:
        return dumps(document(reports[0]))
    failed = [{"source": p, "kind": type(e).__name__, "message": e.message, "hint": e.hint} for p, e in errors]
    return dumps(documents(reports, failed))


def _by_view(form: str, reports: Sequence[Report], errors: Errors, **how: object) -> str | bytes:
    """All reports and failures, drawn by the renderer of that format, which knows views only."""
    from rldk.cards.github import summary
    from rldk.cards.report_view import failure_view, view_of
    from rldk.core.registry import renderers

    views = [*map(view_of, reports), *(failure_view(source, e.message, e.hint) for source, e in errors)]
    where = os.environ.get("GITHUB_STEP_SUMMARY")
    if form == "github" and where:
        with Path(where).open("a", encoding="utf-8") as page:
            page.write(summary(_for_readers(reports, errors)))
    if form in READ:
        views = _for_readers(reports, errors)
    render = renderers.get(form)
    known = signature(render).parameters
    made: str | bytes = render(views, **{name: value for name, value in how.items() if name in known})
    return made


def _for_readers(reports: Sequence[Report], errors: Errors) -> list[View]:
    """The view of one report; of several, the table of them all and then each, the worst first."""
    from rldk.cards.overview import overview, overview_view
    from rldk.cards.report_view import failure_view, view_of

    failures = {source: failure_view(source, error.message, error.hint) for source, error in errors}
    lines = overview(reports, [(source, error.message) for source, error in errors])
    each = [failures[line.source] if line.place is None else view_of(reports[line.place]) for line in lines]
    return each if len(each) == 1 else [overview_view(lines), *each]
