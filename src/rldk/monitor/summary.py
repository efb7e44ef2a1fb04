"""The report of a monitor: one document about all the runs it watched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct, field

from rldk.core.codec import to_builtins
from rldk.core.model import SEVERITIES, Rejected, Report, RunMeta
from rldk.engine.actions.dispatch import Outcome
from rldk.engine.report.verdict import headline_of
from rldk.monitor.session import RunSession

SCHEMA_VERSION = 1
# Worst first. "partly": the part of the log that was understood is fine. "unknown": that part shows nothing.
HEALTHS = ("critical", "warn", "unknown", "partly", "ok")
# for headlines; the others keep their name
_HEALTH = {"not_judged": "unknown", "not_checked": "unknown", "early": "ok"}


class SourceStats(Struct, frozen=True, kw_only=True):
    """Facts about a source: its files, lines, refused lines and the first of them, and changes of the file."""

    path: str
    format: str = "unknown"
    framework: str | None = None
    algorithm: str | None = None
    lines: int = 0
    rejected: int = 0
    first_rejected: tuple[Rejected, ...] = ()
    changes: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    clock: str = ""  # as in `RunMeta`


def source_stats(
    source: str,
    meta: RunMeta,
    lines: tuple[int, int, tuple[Rejected, ...]] = (0, 0, ()),
    changes: dict[str, int] | None = None,
) -> SourceStats:
    """The facts about a source that was read as `meta` says.

    `lines`: those read, those refused, and the first refused ones. `changes`: the changes of its files."""
    return SourceStats(
        path=source,
        format=meta.format,
        framework=meta.framework,
        algorithm=meta.algorithm,
        lines=lines[0],
        rejected=lines[1],
        first_rejected=lines[2][:5],
        changes=changes or {},
        notes=meta.notes,
        clock=meta.clock,
    )


def summary(
    runs: Sequence[tuple[RunSession | None, SourceStats]],
    *,
    ended: str,
    seconds: float,
    rules: str,
    alerts: dict[str, int],
    actions: Sequence[Outcome],
) -> dict[str, Any]:
    """The document, in plain JSON types. `ended`: why watching ended. `seconds`: how long it lasted."""
    listed = [_run(session, stats) for session, stats in runs]
    healths = [run["health"] for run in listed if run["rows"]]
    worst = min(healths, key=HEALTHS.index, default="unknown")
    steps = [run[end] for run in listed for end in ("first_step", "last_step") if run[end] is not None]
    lead = next((run for run in listed if run["health"] == worst and (run["rows"] or not healths)), None)
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "monitor",
        "health": worst,
        "verdict": lead["verdict"] if lead else "Nothing was watched.",
        "ended": ended,
        "seconds": round(max(seconds, 0.0), 3),
        "rules": rules,
        "first_step": min(steps, default=None),
        "last_step": max(steps, default=None),
        "alerts": {event: alerts.get(event, 0) for event in ("begin", "worse", "recovered")},
        "by_rule": _by_rule(listed),
        "source": {
            name: sum(run["source"][name] for run in listed) for name in ("lines", "rejected", "out_of_order", "gaps")
        },
        "actions": to_builtins(list(actions)),
        "runs": listed,
    }


def _run(session: RunSession | None, stats: SourceStats) -> dict[str, Any]:
    gaps = session.gaps if session else None
    report = session.report(meta={}, numbers={}) if session else Report(kind="diagnosis", passed=True)
    plain = report.to_dict()
    came_to = headline_of(report)
    return {
        "run": session.run if session else "",
        "health": _HEALTH.get(came_to, came_to),
        "verdict": report.verdict or _without_rows(stats),
        "rows": session.rows if session else 0,
        "first_step": gaps.first if gaps else None,
        "last_step": gaps.last if gaps else None,
        **{part: plain[part] for part in ("findings", "incidents", "checked", "skipped", "notes", "understanding")},
        "reward": session.reward.summary() if session else None,
        "source": {
            **to_builtins(stats),
            "out_of_order": gaps.turns if gaps else 0,
            "gaps": gaps.count() if gaps else 0,
        },
    }


def _without_rows(stats: SourceStats) -> str:
    """The verdict on a source without a row."""
    if not stats.first_rejected:
        return "Not checked: no row was read."
    first = stats.first_rejected[0]
    refused = "one line was refused" if stats.rejected == 1 else f"{stats.rejected:,} lines were refused"
    return f"Not checked: no row was read; {refused}, line {first.line}: {first.reason}."


def _by_rule(runs: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """For each rule that found something: how often, the gravest severity, the first and the last step."""
    found: dict[str, dict[str, Any]] = {}
    for finding in (f for run in runs for f in run["findings"]):
        entry = found.setdefault(
            finding["code"],
            {
                "name": finding["name"],
                "count": 0,
                "severity": finding["severity"],
                "first_step": finding["first_step"],
                "last_step": finding["last_step"],
            },
        )
        entry["count"] += 1
        entry["severity"] = max(entry["severity"], finding["severity"], key=SEVERITIES.index)
        for end, outer in (("first_step", min), ("last_step", max)):
            known = [step for step in (entry[end], finding[end]) if step is not None]
            entry[end] = outer(known, default=None)
    return dict(sorted(found.items()))
