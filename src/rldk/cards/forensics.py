"""The views of PPO forensics: the scan of a log, and the drift of its KL."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rldk.cards.chart import number
from rldk.cards.safe import clean
from rldk.cards.words import steps
from rldk.core.view import Bullets, Commands, Facts, Problem, Section, Table, Tone, View

WORDS = {"critical": "critical", "warn": "warning", "info": "minor"}
BADGES: dict[Tone, str] = {"critical": "CRITICAL", "warn": "WARNING", "info": "NOT CHECKED", "ok": "OK"}
HEADS = ("Level", "Anomaly", "Rule", "Steps", "What was seen")


def scan_view(scan: Mapping[str, Any]) -> View:
    """The view of a scan (`scan_logs`): verdict, anomalies under their names, numbers, and what was not looked for."""
    found, source = scan["anomalies"], str(scan["source"])
    sections = [Section(title=f"Anomalies ({len(found)})", parts=(_table(found),))] if found else []
    if scan["stats"]:
        pairs = tuple((name.replace("_", " "), _shown(value)) for name, value in scan["stats"].items())
        sections.append(Section(title="Numbers", parts=(Facts(pairs=pairs),)))
    if scan["not_checked"]:
        items = tuple(f"{why}: {', '.join(names)}" for why, names in _by_reason(scan["not_checked"]).items())
        title = "Documented anomalies that were not looked for"
        sections.append(Section(title=title, parts=(Bullets(items=items, plain=True),)))
    extent = steps(scan["first_step"], scan["last_step"]) if scan["first_step"] is not None else "no step"
    line = f"{source}: format {scan['format']}, {scan['rows']:,} rows, {extent}"
    code = [f"rldk explain {found[0]['code']}"] if found else []
    tone = _worst(found) or ("ok" if scan["passed"] else "critical")
    return View(
        kind="log_scan",
        title=source,
        tone=tone,
        badge=BADGES[tone],
        banner=scan["verdict"],
        source=source,
        sections=(*sections, *_end(source, [line], code)),
        problems=_problems(found, source),
    )


def drift_view(drift: Mapping[str, Any], source: str, *, files: Iterable[str] = ()) -> View:
    """The view of a KL drift analysis: the sentence, the two periods side by side, and where the files are."""
    tone: Tone = "warn" if drift["detected"] else "ok" if drift["status"] == "ok" else "info"
    found = drift["anomalies"]
    sections = [Section(title="Anomalies", parts=(_table(found),))] if found else []
    if drift["score"] is not None:
        apart = "" if drift["divergence"] is None else f", {number(drift['divergence'])} robust standard deviations"
        pairs = (
            *((name, _period(drift, name)) for name in ("reference", "current")),
            ("distance", f"{drift['score']:.2f} of 1 (Jensen-Shannon){apart}"),
            ("trend", drift["trend"] or "not known"),
        )
        sections.append(Section(title="Reference period and newest rows", parts=(Facts(pairs=pairs),)))
    line = f"{source}: KL on {drift['rows']:,} rows; decided by {', '.join(drift['decided_by'])}"
    return View(
        kind="kl_drift",
        title=source,
        tone=tone,
        badge=BADGES[tone],
        banner=drift_verdict(drift),
        source=source,
        sections=(*sections, *_end(source, [line, *(f"wrote {name}" for name in files)], [])),
        problems=_problems(found, source),
    )


def drift_verdict(drift: Mapping[str, Any]) -> str:
    """The sentence that opens the page."""
    match drift["status"]:
        case "detected":
            still = "and goes on" if drift["ongoing"] else f"until step {drift['drift_last_step']:,}"
            return f"The KL drifts from step {drift['drift_start_step']:,} on, {still}."
        case "no_data":
            return "No KL in this log, so nothing can be said of its drift."
        case "too_early":
            return f"Too early to say: {drift['rows']} rows have a KL; 40 make a reference and a window."
    moved = drift["score"] > drift["threshold"] if drift["score"] is not None else False
    return "No drift: the KL did not leave its course." + (
        " It is not where it began, as in any policy that learns." if moved else ""
    )


def _table(found: Sequence[Mapping[str, Any]]) -> Table:
    """The anomalies, a row each."""
    extents = [steps(a["first_step"], a["last_step"]) + ("" if a["ongoing"] else ", over") for a in found]
    return Table(
        heads=HEADS,
        rows=tuple(
            (WORDS[a["level"]], a["type"], f"`{a['code']}`", extent, a["message"])
            for a, extent in zip(found, extents, strict=True)
        ),
        tones=tuple(a["level"] for a in found),
        lines=tuple(
            f"{WORDS[a['level']]}: {a['type']} ({a['code']}), {extent}: {a['message']}"
            for a, extent in zip(found, extents, strict=True)
        ),
    )


def _problems(found: Iterable[Mapping[str, Any]], source: str) -> tuple[Problem, ...]:
    return tuple(
        Problem(
            code=a["code"],
            name=a["type"],
            severity=a["level"],
            message=a["message"],
            source=source,
            steps=(a["first_step"], a["last_step"]),
        )
        for a in found
    )


def _end(source: str, lines: Sequence[str], commands: Sequence[str]) -> tuple[Section, Section]:
    doctor = f"rldk doctor {shlex.quote(clean(source, 1000))}"
    return (
        Section(title="Source", parts=(Bullets(items=tuple(lines), plain=True),)),
        Section(title="Next", parts=(Commands(lines=(*commands, doctor)),)),
    )


def _period(drift: Mapping[str, Any], name: str) -> str:
    first, last = drift[f"{name}_steps"]
    spread = f"median {number(drift[f'{name}_median'])}, mean {number(drift[f'{name}_mean'])}"
    return f"{steps(first, last)}: {spread}, sd {number(drift[f'{name}_std'])}"


def _worst(found: Iterable[Mapping[str, Any]]) -> Tone:
    levels = {a["level"] for a in found}
    worst: tuple[Tone, ...] = ("critical", "warn")
    return next((level for level in worst if level in levels), "")


def _by_reason(checks: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {}
    for check in checks:
        reasons.setdefault(check["reason"], []).append(check["type"])
    return reasons


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else number(value)
