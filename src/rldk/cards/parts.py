"""Parts that the views of several kinds of reports share: a finding, a problem, the rules that gave no verdict."""

from __future__ import annotations

from collections.abc import Iterator

from rldk.cards import words
from rldk.core.model import Finding, Report
from rldk.core.view import Bullets, Paragraph, Part, Problem, Section, Table


def finding_section(f: Finding, *beside: Part, detail: bool = False) -> Section:
    """The section of one finding: its message, the parts `beside` it, likely causes, and what to try."""
    parts: list[Part] = [Paragraph(text=words.sentence(f.message)), *beside]
    if f.causes:
        parts.append(Bullets(title="Likely causes", items=f.causes, ranked=True))
    if f.fixes:
        parts.append(Bullets(title="What to try", items=f.fixes))
    title = words.SEVERITY_WORDS[f.severity]
    return Section(title=title, tone=f.severity, code=f.code, name=f.name, parts=tuple(parts), detail=detail)


def problem_of(
    f: Finding,
    source: str,
    *,
    message: str | None = None,
    line: int | None = None,
    steps: tuple[int, int] | None = None,
) -> Problem:
    """The finding as a problem of `source`, for reviewers and continuous integration; `message` in place of its own."""
    return Problem(
        code=f.code,
        name=f.name,
        severity=f.severity,
        message=f.message if message is None else message,
        source=source,
        line=line,
        steps=steps,
        metric=f.metric,
        value=f.value,
        limit=f.limit,
        causes=f.causes,
        fixes=f.fixes,
    )


def unchecked_sections(report: Report, missing: str = "something") -> Iterator[Section]:
    """The rules that gave no verdict, by reason: where something was missing, and where they do not apply. `missing`:
    the word for what was missing."""
    skipped, foreign = words.unchecked_rules(report)
    brief = words.unchecked_line(report)
    for title, reasons in (
        (f"Not checked, because {missing} is missing", skipped),
        ("Does not apply here", foreign),
    ):
        if reasons:
            rows = tuple((reason, ", ".join(codes)) for reason, codes in reasons.items())
            lines = tuple(f"{reason}: {codes}" for reason, codes in rows)
            table = Table(heads=("Why", "Rules"), rows=rows, lines=lines)
            yield Section(title=title, parts=(table,), detail=True, brief=brief)
            brief = ""
