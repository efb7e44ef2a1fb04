"""The words that all renderers share: step ranges, severities, grouped reasons, statistics of the source."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from rldk.cards.safe import clean
from rldk.core.model import COUNTED, Check, Finding, Incident, Report
from rldk.core.text import first_few
from rldk.engine.report.verdict import field_map_option, headline_of, shortfall

MAX_NAMES = 6  # files in one line
UNKNOWN_SHOWN = 6  # columns that rldk does not know, without --all
SEVERITY_WORDS = {"critical": "CRITICAL", "warn": "WARNING", "info": "INFO"}
HEADLINE_WORDS: dict[str, str] = {
    "critical": "CRITICAL",
    "warn": "WARNING",
    "not_judged": "NOT JUDGED",
    "not_checked": "NOT CHECKED",
    "partly": "PARTLY JUDGED",
    "early": "TOO EARLY TO SAY",
    "ok": "NO PROBLEM FOUND",
}

SHORT_NAMES = frozenset({"kl", "lr", "mfu"})  # metrics that would look like no word with a capital


def steps(first: int | None, last: int | None) -> str:
    """ "step 7" or "steps 7-90". "before step 1" for a finding without a step, "from the start" where only the end is
    known."""
    if first is None:
        return "before the first step" if last is None else f"from the start to step {last:,}"
    if last is None:
        return f"step {first:,}"
    return f"step {first:,}" if first == last else f"steps {first:,}-{last:,}"


def plural(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def sentence(clause: str) -> str:
    """A clause with a capital and a full stop. A metric's name at its start stays as it is written."""
    first = clause.split(" ", 1)[0].rstrip(",;:")
    head = clause[:1].upper() if first.isalpha() and first not in SHORT_NAMES else clause[:1]
    return head + clause[1:] + ("" if clause.endswith((".", "!", "?")) else ".")


def lead(report: Report, incident: Incident) -> Finding | None:
    """The finding that moved first in the incident."""
    own = members(report, incident)
    return next(
        (f for f in own if f.metric == incident.first_mover and f.code == incident.codes[0]), own[0] if own else None
    )


def members(report: Report, incident: Incident) -> list[Finding]:
    return [f for f in report.findings if f.incident == incident.id]


def followers(report: Report, incident: Incident) -> list[Finding]:
    """The findings of the incident besides its lead, one for each code and metric: the earliest."""
    first = lead(report, incident)
    seen: dict[tuple[str, str], Finding] = {}
    for f in members(report, incident):
        if f is not first and (first is None or (f.code, f.metric) != (first.code, first.metric)):
            seen.setdefault((f.code, f.metric), f)
    return list(seen.values())


def brief(f: Finding) -> str:
    """A finding as a sentence."""
    kind = f"{SEVERITY_WORDS[f.severity].lower()}, {steps(f.first_step, f.last_step)}"
    return f"{f.code} {f.name} ({kind}): {f.message}"


def quiet(incidents: Sequence[Incident]) -> list[Incident]:
    return [i for i in incidents if i.severity == "info"]


def loud(incidents: Sequence[Incident]) -> list[Incident]:
    return [i for i in incidents if i.severity != "info"]


def unchecked_rules(report: Report) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Codes of skipped rules by reason, most codes first, and the same for rules that do not apply."""
    return _by_reason(report.skipped, "skipped"), _by_reason(report.skipped, "not_applicable")


def _by_reason(checks: Sequence[Check], status: str) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {}
    for check in checks:
        if check.status == status:
            reasons.setdefault(check.reason, []).append(check.code)
    return dict(sorted(reasons.items(), key=lambda item: (-len(item[1]), item[0])))


def tone(headline: str) -> str:
    """The colour of a headline: that of a severity, or "ok"."""
    return headline if headline in ("critical", "ok") else "warn"


def reservation(report: Report) -> str:
    """What the findings of a report do not cover, where its log was not understood well enough. "" where it was."""
    understood = report.understanding
    if understood is None or understood.state == "judged" or headline_of(report) not in ("critical", "warn"):
        return ""
    return f"{'Partly' if understood.state == 'partly' else 'Otherwise not'} judged. {shortfall(understood)}."


def quiet_heading(report: Report) -> str:
    """The heading of informational findings. It reassures only where the run's goal was checked."""
    known = report.understanding is None or report.understanding.goal
    return "Also seen, and no reason to worry by itself" if known else "Also seen"


def unknown_lines(report: Report, *, everything: bool = False) -> list[str]:
    """The columns that rldk does not know, and the field map to paste where they may be metrics."""
    understood = report.understanding
    if understood is None or not understood.unknown:
        return []
    most = len(understood.unknown) if everything else UNKNOWN_SHOWN
    named = first_few([clean(name, 60) for name in understood.unknown], most)
    said = [f"{named} with --all" if len(understood.unknown) > most else named]
    return said + ([f"if these are right: {field_map_option(understood)}"] if understood.field_map else [])


def unchecked_line(report: Report) -> str:
    """How many rules gave no verdict; "" where all did."""
    skipped = sum(check.status == "skipped" for check in report.skipped)
    foreign = len(report.skipped) - skipped
    said = [f"{plural(skipped, 'rule')} with missing data"] if skipped else []
    said += [f"{plural(foreign, 'rule')} not meant for this run"] if foreign else []
    return f"Not checked: {', '.join(said)} (--all shows which, and why)" if said else ""


def source_lines(report: Report) -> list[str]:
    """What was read, in sentences: format, rows, steps, refused lines with the first reasons, files left out."""
    meta, numbers = report.meta, report.numbers
    said = [_origin(meta), _extent(numbers, meta.get("total_steps")), *_clock(meta)]
    rejected = int(numbers.get("rejected") or 0)
    if rejected:
        said.append(
            f"{plural(rejected, 'line')} of {int(numbers.get('lines') or 0):,} could not be read and were skipped"
        )
        said += [f"  line {r['line']}: {r['reason']}" for r in meta.get("rejected", ())]
    said += [str(note) for note in meta.get("notes", ())]
    return said + _files(meta)


def health_line(report: Report) -> str:
    """How likely the run is healthy and how calm its newest rows were; "" where neither is known."""
    overall, stability = report.numbers.get("health"), report.numbers.get("stability")
    if overall is None:
        return ""
    said = f"Health {overall:.2f}: the probability that such a run is healthy"
    return said if stability is None else f"{said}. {stability:.0%} of its newest rows are outside of any warning"


def unread_files(reports: Sequence[Report]) -> list[str]:
    """The files beside several runs that were not read, by reason."""
    read = [name for report in reports for name in report.meta.get("files", ())]
    left = {name: why for report in reports for name, why in report.meta.get("left_out", {}).items()}
    return _unread(left, _home([*read, *left]))


def _files(meta: Mapping[str, Any]) -> list[str]:
    """The files that were read, and those that were not, by reason."""
    read, left = list(meta.get("files", ())), dict(meta.get("left_out", {}))
    root = _home([*read, *left])
    return ([f"read: {_names(read, root)}"] if read else []) + _unread(left, root)


def _unread(left: Mapping[str, Any], root: str) -> list[str]:
    reasons: dict[str, list[str]] = {}
    for name, why in left.items():
        reasons.setdefault(str(why), []).append(name)
    return [f"not read: {_names(names, root)} ({why})" for why, names in reasons.items()]


def _home(paths: Sequence[str]) -> str:
    """The directory that holds them all. Their names are relative to it."""
    return os.path.commonpath([os.path.dirname(os.path.abspath(p)) for p in paths]) if paths else ""  # noqa: PTH120, PTH100 - text, maybe of another machine


def _names(paths: Sequence[str], root: str) -> str:
    return first_few([os.path.relpath(p, root) for p in paths[:MAX_NAMES]], MAX_NAMES, count=len(paths))


def _origin(meta: Mapping[str, Any]) -> str:
    who = " ".join(str(meta[k]) for k in ("framework", "framework_version") if meta.get(k))
    what = [f"format {meta.get('format', 'unknown')}"]
    what += [f"written by {who}"] if who else []
    what += [f"algorithm {meta['algorithm']}"] if meta.get("algorithm") else ["algorithm not known"]
    return ", ".join(what)


def _extent(numbers: Mapping[str, float | int | None], planned: int | None) -> str:
    said = [plural(int(numbers.get("rows") or 0), "row")]
    if numbers.get("first_step") is not None and numbers.get("last_step") is not None:
        last = int(numbers["last_step"] or 0)
        more = f" of {planned:,}" if planned and planned > last else ""
        said.append(steps(int(numbers["first_step"] or 0), last) + more)
    if numbers.get("metrics"):
        said.append(plural(int(numbers["metrics"] or 0), "metric"))
    return ", ".join(said)


def _clock(meta: Mapping[str, Any]) -> list[str]:
    """The column of the steps, unless the format defines it."""
    clock = meta.get("clock")
    if not clock:
        return []
    return ["rows are counted: no step column" if clock == COUNTED else f"step: taken from {clock}"]


def outlook_line(report: Report) -> str:
    """The expected course of the run, in one sentence; "" where nothing is known."""
    told = report.meta.get("outlook")
    outlook: Mapping[str, Any] = told if isinstance(told, Mapping) else {}
    numbers = outlook.get("numbers") or {}
    said = [_heading(outlook, numbers)]
    if outlook.get("schedule"):
        declared = outlook.get("declared")
        said.append(f"learning rate {outlook['schedule']}" + (f" (configured: {declared})" if declared else ""))
    change = numbers.get("throughput_change")
    if change is not None and abs(change) >= 0.1:
        said.append(f"throughput {change:+.0%} since the first quarter")
    if numbers.get("memory_full_in_steps") is not None:
        said.append(f"memory full in about {numbers['memory_full_in_steps']:,.0f} steps")
    if numbers.get("seconds_left") is not None:
        said.append(f"about {_duration(numbers['seconds_left'])} left")
    known = [part for part in said if part]
    return f"Outlook: {'; '.join(known)}." if known else ""


def _heading(outlook: Mapping[str, Any], numbers: Mapping[str, float]) -> str:
    metric, probability = outlook.get("metric"), outlook.get("probability")
    if not metric or "gain" not in numbers:
        return ""
    if probability is None:
        return f"whether {metric} still improves is not known"
    words = {"converged": "has settled", "improving": "still improves", "degrading": "is getting worse"}
    if numbers.get("lost", 0.0) > 0.0 and outlook.get("convergence") == "degrading":
        words["degrading"] = f"has lost {min(numbers['lost'], 1.0):.0%} of its gain"
    change = f"{numbers['gain']:+.3g} over the last quarter, up is better"
    return f"{metric} {words.get(str(outlook.get('convergence')), 'goes on')} (p {probability:.2f}, {change})"


def _duration(seconds: float) -> str:
    for unit, size in (("days", 172_800.0), ("hours", 7200.0), ("minutes", 120.0)):
        if seconds >= size:
            return f"{seconds / {'days': 86_400.0, 'hours': 3600.0, 'minutes': 60.0}[unit]:.0f} {unit}"
    return f"{seconds:.0f} seconds"


def severity_reason(report: Report, incident: Incident) -> str:
    """What made the incident louder than the finding that leads it, as a clause; "" where nothing did."""
    first = lead(report, incident)
    if first is None or first.severity == incident.severity:
        return ""
    loud = next((f.code for f in followers(report, incident) if f.severity == incident.severity), "")
    return f"{SEVERITY_WORDS[incident.severity].lower()} because {loud} came with it" if loud else ""
