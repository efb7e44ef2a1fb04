"""Views as GitHub shows them in a workflow: one annotation for each problem, and a summary of the job."""

from __future__ import annotations

from collections.abc import Sequence

from rldk.cards import markdown
from rldk.cards.safe import clean
from rldk.core.registry import renderers
from rldk.core.view import Problem, View

LEVELS = {"critical": "error", "warn": "warning", "info": "notice"}
MOST = 10  # annotations of a level that GitHub shows for a step; it silently drops the rest
SUMMARY_BYTES = 1_000_000  # GitHub refuses a summary above 1 MiB


def render(views: View | Sequence[View]) -> str:
    """The workflow commands, the gravest problems first, and one line that says how many more there are."""
    many = [views] if isinstance(views, View) else list(views)
    lines: list[str] = []
    for severity, level in LEVELS.items():
        found = [problem for view in many for problem in view.problems if problem.severity == severity]
        lines += [_command(level, problem) for problem in found[:MOST]]
        if len(found) > MOST:
            lines.append(f"{len(found) - MOST} more of level {level} are in the summary.")
    lines += [_harmless(f"{view.title}: {view.banner}") for view in many]
    return "".join(f"{line}\n" for line in lines)


def summary(views: Sequence[View]) -> str:
    """The job's summary in Markdown, cut where GitHub would refuse it."""
    text = markdown.render(views)
    raw = text.encode()
    return text if len(raw) <= SUMMARY_BYTES else raw[:SUMMARY_BYTES].decode(errors="ignore") + "\n\n(cut)\n"


def _command(level: str, problem: Problem) -> str:
    steps = problem.steps
    where = f" (steps {steps[0]:,}-{steps[1]:,})" if steps and steps[0] != steps[1] else ""
    where = f" (step {steps[0]:,})" if steps and not where else where
    line = "" if problem.line is None else str(problem.line)
    properties = {"file": problem.source, "line": line, "title": f"{problem.code} {problem.name}{where}"}
    told = ",".join(f"{name}={_property(value)}" for name, value in properties.items() if value)
    return f"::{level} {told}::{_data(problem.message + _advice(problem.fixes))}"


def _advice(fixes: Sequence[str]) -> str:
    return f" - what to try: {fixes[0]}" if fixes else ""


def _data(text: str) -> str:
    return clean(text, 1000).replace("%", "%25")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _harmless(text: str) -> str:
    """Text of a log that cannot act as a command, wherever it stands."""
    return clean(text, 1000).replace("::", ": :").replace("##[", "## [")


renderers.register("github", render)
