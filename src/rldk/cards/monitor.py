"""The view of what a monitor saw: each run it watched, what was found, what was done about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rldk.cards import words
from rldk.cards.chart import number
from rldk.core.view import Facts, Paragraph, Part, Problem, Section, Table, Tone, View

TONES: Mapping[str, Tone] = {"critical": "critical", "warn": "warn", "ok": "ok"}
BADGES = {"critical": "CRITICAL", "warn": "WARNING", "ok": "OK", "partly": "PARTLY JUDGED", "unknown": "NOT JUDGED"}
HEADS = ("Severity", "Rule", "Steps", "What was seen", "Metric", "Value", "Limit")


def monitor_view(document: Mapping[str, Any]) -> View:
    """The report of `rldk monitor`, as `--report` writes it."""
    runs: Sequence[Mapping[str, Any]] = document["runs"]
    sources = ", ".join(str(run["source"]["path"]) for run in runs)
    health = str(document["health"])
    return View(
        kind="monitor",
        title=sources or "monitor",
        tone=TONES.get(health, "info"),
        badge=BADGES.get(health, health.upper()),
        banner=str(document["verdict"]),
        source=sources if len(runs) == 1 else "",
        sections=(
            *(_run(run, alone=len(runs) == 1) for run in runs),
            *_actions(document["actions"]),
            Section(title="Watching", parts=(Facts(pairs=tuple(_facts(document))),)),
        ),
        problems=tuple(_problem(finding, run) for run in runs for finding in run["findings"]),
        checked=tuple(sorted({code for run in runs for code in run["checked"]})),
        unchecked={check["code"]: check["reason"] for run in runs for check in run["skipped"]},
        figures={"first_step": document["first_step"], "last_step": document["last_step"], **document["alerts"]},
    )


def _run(run: Mapping[str, Any], *, alone: bool) -> Section:
    extent = "no step" if run["first_step"] is None else words.steps(run["first_step"], run["last_step"])
    parts: list[Part] = [Paragraph(text=str(run["verdict"]))] if not alone else []
    parts.append(Paragraph(text=f"{words.plural(run['rows'], 'row')}, {extent}"))
    if run["findings"]:
        rows = tuple(_cells(finding) for finding in run["findings"])
        tones = tuple(finding["severity"] for finding in run["findings"])
        lines = tuple(f"{severity}: {code} {message} ({where})" for severity, code, where, message, *_ in rows)
        parts.append(Table(heads=HEADS, rows=rows, tones=tones, lines=lines))
    return Section(title=str(run["run"] or run["source"]["path"]), parts=tuple(parts))


def _cells(finding: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        words.SEVERITY_WORDS[finding["severity"]],
        str(finding["code"]),
        words.steps(finding["first_step"], finding["last_step"]),
        str(finding["message"]),
        str(finding["metric"]),
        number(_number(finding["value"])),
        number(_number(finding["limit"])),
    )


def _number(value: Any) -> float | None:
    """A number of the document, in which one that is not finite is a text."""
    return None if value is None else float(value)


def _problem(finding: Mapping[str, Any], run: Mapping[str, Any]) -> Problem:
    first, last = finding["first_step"], finding["last_step"]
    return Problem(
        code=finding["code"],
        name=finding["name"],
        severity=finding["severity"],
        message=finding["message"],
        source=str(run["source"]["path"]),
        steps=None if first is None or last is None else (first, last),
        metric=finding["metric"],
        value=_number(finding["value"]),
        limit=_number(finding["limit"]),
        causes=tuple(finding["causes"]),
        fixes=tuple(finding["fixes"]),
    )


def _actions(outcomes: Sequence[Mapping[str, Any]]) -> tuple[Section, ...]:
    if not outcomes:
        return ()
    heads = tuple(dict.fromkeys(name for outcome in outcomes for name in outcome))
    rows = tuple(tuple("" if o.get(name) is None else str(o.get(name)) for name in heads) for o in outcomes)
    return (Section(title=f"Actions ({len(outcomes)})", parts=(Table(heads=heads, rows=rows),)),)


def _facts(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    alerts, source = document["alerts"], document["source"]
    return [
        ("ended", str(document["ended"])),
        ("lasted", f"{document['seconds']:.0f} s"),
        ("rules", str(document["rules"])),
        ("alerts", ", ".join(f"{count} {event}" for event, count in alerts.items())),
        ("lines", ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in source.items())),
    ]
