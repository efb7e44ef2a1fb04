"""The view of an audit of code and environment: findings with places, what is worth knowing, what was read."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rldk.cards import words
from rldk.cards.parts import finding_section, problem_of, unchecked_sections
from rldk.core.model import Finding, Report
from rldk.core.view import Bullets, Commands, Part, Problem, Section, Table, Tone, View

BADGES: Mapping[Tone, str] = {"critical": "CRITICAL", "warn": "WARNING", "info": "NOT CHECKED", "ok": "NOTHING FOUND"}
SHOWN = 5  # places of a finding, and fixes, unless everything is asked for


def view_of_env_audit(report: Report) -> View:
    """Everything that a renderer may show of the report."""
    worst = report.worst()
    tone: Tone = (
        "info" if not report.numbers.get("files") and worst is None else "ok" if worst in (None, "info") else worst
    )
    return View(
        kind=report.kind,
        title=str(report.meta.get("run") or "code"),
        tone=tone,
        badge=BADGES[tone],
        banner=report.verdict,
        source=str(report.meta.get("source") or ""),
        sections=tuple(_sections(report)),
        problems=tuple(problem for f in report.findings for problem in _problems(f, report)),
        checked=report.checked,
        unchecked={check.code: check.reason for check in report.skipped if check.status == "skipped"},
        figures=dict(report.numbers),
    )


def _sections(report: Report) -> Iterable[Section]:
    loud = [f for f in report.findings if f.severity != "info"]
    quiet = [f for f in report.findings if f.severity == "info"]
    yield from (_finding(f) for f in loud)
    yield from (_finding(f, detail=True) for f in quiet)
    if quiet:
        rows = tuple((f.code, words.sentence(f.message), f.fixes[0] if f.fixes else "") for f in quiet)
        lines = tuple(f"`{code}` {said}" for code, said, _ in rows)
        table = Table(heads=("Rule", "What was seen", "What to try"), rows=rows, lines=lines)
        yield Section(title=f"Worth knowing ({len(quiet)})", parts=(table,))
    if report.notes:
        items = tuple(note.text for note in report.notes)
        yield Section(title="About the code that was read", parts=(Bullets(items=items),))
    yield from unchecked_sections(report)
    yield Section(title="Looked at", parts=(Bullets(items=tuple(_looked(report)), plain=True),))
    yield Section(title="Next", parts=(Commands(lines=tuple(_next(report, bool(quiet)))),))


def _finding(f: Finding, *, detail: bool = False) -> Section:
    beside: list[Part] = []
    if places := tuple(_places(f)):
        beside.append(Bullets(title="Where", items=places, plain=True, most=SHOWN))
    if differences := f.evidence.get("differences"):
        items = tuple(f"{d['name']}: {_value(d['locked'])} -> {_value(d['now'])}" for d in differences)
        beside.append(Bullets(title="What differs", items=items, plain=True, most=SHOWN))
    return finding_section(f, *beside, detail=detail)


def _value(value: object) -> str:
    return "none" if value is None else str(value)


def _places(f: Finding) -> Iterable[str]:
    for place in f.evidence.get("places", ()):
        yield f"{_place(place)}  `{place['text']}`"


def _place(place: Mapping[str, Any]) -> str:
    cell = place.get("cell")
    return f"{place['file']}:{place['line']}" if cell is None else f"{place['file']}, cell {cell}, line {place['line']}"


def _problems(f: Finding, report: Report) -> Iterable[Problem]:
    """One problem for each place, so that a reviewer sees it at its line; one for a finding without places."""
    root = str(report.meta.get("code") or report.meta.get("source") or "")
    places = f.evidence.get("places", ())
    for place in places or (None,):
        one = f.message if place is None or len(places) == 1 else _message(f, place)
        yield problem_of(
            f,
            root if place is None else _path(root, str(place["file"])),
            message=one,
            line=None if place is None or place.get("cell") is not None else int(place["line"]),
        )


def _message(f: Finding, place: Mapping[str, Any]) -> str:
    return f"{_place(place)}: {f.name.replace('-', ' ')} ({place['detail']})"


def _path(root: str, name: str) -> str:
    """The path of a file from the current folder, as a code host wants it; absolute where it lies elsewhere."""
    path = Path(root) if Path(root).name == name and not Path(root).is_dir() else Path(root) / name
    try:
        return Path(os.path.realpath(path)).relative_to(os.path.realpath(Path())).as_posix()
    except ValueError:
        return path.as_posix()


def _looked(report: Report) -> Iterable[str]:
    numbers, meta = report.numbers, report.meta
    programs = meta.get("programs") or []
    named = f": {', '.join(programs[:3])}{' ...' if len(programs) > 3 else ''}" if programs else ""
    files = words.plural(int(numbers.get("files") or 0), "file")
    yield f"code: {files}, {words.plural(len(programs), 'program')}{named}"
    yield f"environment: Python {meta.get('python')}, {meta.get('platform')}"
    if meta.get("lock"):
        yield f"lock: {meta['lock']}, {words.plural(int(numbers.get('lock_differences') or 0), 'difference')}"
    yield f"{words.plural(len(report.checked), 'rule')} looked"


def _next(report: Report, quiet: bool) -> Iterable[str]:
    if report.findings:
        yield f"rldk explain {report.findings[0].code}"
    if quiet:
        yield f"rldk env-audit {shlex.quote(str(report.meta.get('source') or '.'))} --all"
    yield "rldk seed exec --seed 0 -- python train.py"
