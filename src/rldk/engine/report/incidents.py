"""Turns findings into incidents: which severity the evidence supports, and what moved first."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from rldk.core.model import SEVERITIES, Finding, Incident
from rldk.engine.report.story import latest_recovery, recovered

TOGETHER_ROWS = 20  # findings that begin this close are "close together" (DESIGN: two independent warnings)
SAME_MOMENT = 2  # rows within which one rule's findings on several metrics count as one
MAX_TEXTS = 4  # causes and fixes of the first mover that are shown for an incident

# family -> the families its failures drive. Read: a broken optimiser moves the policy, which moves everything else.
DRIVES: dict[str, frozenset[str]] = {
    "OPT": frozenset({"CLIP", "KL", "ENT", "GRAD", "REW", "LEN", "ADV", "VAL", "OFF", "PREF", "RM"}),
    "CFG": frozenset({"OPT", "CLIP", "KL", "ENT", "GRAD", "REW", "LEN", "ADV", "VAL", "OFF", "PREF", "RM"}),
    "DATA": frozenset({"REW", "ADV", "LEN", "KL", "ENT", "GRAD", "PREF"}),
    "OFF": frozenset({"CLIP", "KL", "GRAD", "REW", "ENT", "LEN", "ADV"}),
    "CLIP": frozenset({"KL", "GRAD", "REW", "ENT", "LEN"}),
    "REW": frozenset({"ADV", "GRAD", "VAL", "LEN", "ENT", "KL", "OPT"}),
    "ADV": frozenset({"GRAD", "OPT", "VAL", "ENT", "REW"}),
    "LEN": frozenset({"REW", "ENT", "KL", "ADV", "GRAD"}),
    "VAL": frozenset({"ADV", "GRAD", "REW"}),
    "GRAD": frozenset({"KL", "CLIP", "ENT", "REW", "LEN", "VAL", "OPT", "MET"}),
    "KL": frozenset({"REW", "ENT", "LEN", "GRAD", "CLIP", "ADV", "OFF"}),
    "ENT": frozenset({"REW", "LEN", "ADV", "KL", "GRAD"}),
    "PREF": frozenset({"GRAD", "ENT", "KL", "OPT"}),
    "RM": frozenset({"GRAD", "OPT"}),
    "CKPT": frozenset({"OPT", "CLIP", "KL", "ENT", "GRAD", "REW", "LEN", "ADV", "VAL"}),
    "DET": frozenset(),
    "MET": frozenset(),
    "SYS": frozenset(),
}


class Placed(Struct, frozen=True):
    """A finding with the row numbers its steps have. `back_at`: the step at which its metric was seen to be back.
    `regained`: what was lost is the goal itself, and it is there again. `unknown`: the metric is a column of the log
    whose meaning rldk does not know."""

    finding: Finding
    first_row: int
    last_row: int
    back_at: int | None = None
    regained: bool = False
    unknown: bool = False


def lower_unsupported(placed: Sequence[Placed]) -> list[Placed]:
    """The findings, where a critical of tier 1 or 2 becomes a warning unless an independent finding begins close by.

    A finding is independent when it is a warning or critical and of another family, within `TOGETHER_ROWS` rows."""

    def has_support(p: Placed) -> bool:
        return any(
            q.finding.family != p.finding.family
            and q.finding.severity != "info"
            and abs(q.first_row - p.first_row) <= TOGETHER_ROWS
            for q in placed
        )

    return [
        replace(p, finding=replace(p.finding, severity="warn"))
        if p.finding.severity == "critical" and p.finding.tier in (1, 2) and not has_support(p)
        else p
        for p in placed
    ]


def join_simultaneous(placed: Sequence[Placed]) -> list[Placed]:
    """The findings, where those of one rule that began together on several metrics are one, named by the first metric.

    A dead loss takes a dozen metrics with it, which is one thing to read. `evidence["also"]` has the other metrics."""
    kept: list[Placed] = []
    for p in sorted(placed, key=_order):
        twin = next(
            (
                i
                for i, q in enumerate(kept)
                if q.finding.code == p.finding.code
                and q.finding.metric != p.finding.metric
                and p.first_row - q.first_row <= SAME_MOMENT
            ),
            None,
        )
        if twin is None:
            kept.append(p)
        else:
            kept[twin] = _one(kept[twin], p)
    return kept


def _latest(findings: Sequence[Finding]) -> int | None:
    """The last step of all findings; None where no finding has steps."""
    return max((f.last_step for f in findings if f.last_step is not None), default=None)


def _one(first: Placed, other: Placed) -> Placed:
    a, b = first.finding, other.finding
    also = [*a.evidence.get("also", []), b.metric]
    finding = replace(
        a,
        severity=max(a.severity, b.severity, key=SEVERITIES.index),
        last_step=_latest([a, b]),
        rows=max(a.rows, b.rows),
        ongoing=a.ongoing or b.ongoing,
        evidence={**a.evidence, "also": also},
    )
    back = None if first.back_at is None or other.back_at is None else max(first.back_at, other.back_at)
    regained = first.regained and other.regained
    last_row = max(first.last_row, other.last_row)
    return replace(first, finding=finding, last_row=last_row, back_at=back, regained=regained)


def group(placed: Sequence[Placed]) -> tuple[tuple[Finding, ...], tuple[Incident, ...]]:
    """The findings in order of their first row, each with the number of its incident, and the incidents, worst first.

    A finding joins the first incident that is still going on (or ended within `TOGETHER_ROWS`) and holds a finding of
    its own family or of a family that drives it. An information never brings a graver finding into its incident. When
    an incident begins again with the same rule on the same metric, it is the same incident; its title counts how
    often. An incident that is over is at most a warning, unless it holds an identity (`lower_recovered`). Of equally
    grave incidents, one that begins with a column of unknown meaning comes after the others: nobody can say whether the
    run suffers from it, and a goal that is lost is known to matter."""
    ordered = sorted(placed, key=_order)
    groups: list[list[Placed]] = []
    for p in ordered:
        home = next((g for g in groups if any(_leads(q, p) for q in g)), None)
        if home is None:
            groups.append([p])
        else:
            home.append(p)
    groups = [lower_recovered(g) for g in _again(groups)]
    groups.sort(key=lambda g: (-max(SEVERITIES.index(p.finding.severity) for p in g), _lead(g).unknown, g[0].first_row))
    findings: list[tuple[Placed, int]] = [(p, i + 1) for i, g in enumerate(groups) for p in g]
    findings.sort(key=lambda pair: (pair[0].first_row, pair[1]))
    return (
        tuple(replace(p.finding, incident=i) for p, i in findings),
        tuple(_incident(i + 1, g) for i, g in enumerate(groups)),
    )


def lower_recovered(members: Sequence[Placed]) -> list[Placed]:
    """The findings of an incident, where criticals become warnings once all of it is over. The run has outlived it.
    The warning that a part of the goal was lost becomes information: agents forget and learn again.

    All of it is over when no warning or critical goes on and the metric of every critical was seen to be back at its
    level; a rule that only fell silent proves nothing. A critical of tier 0 stays, and so do those beside it: what must
    hold exactly was broken. The evidence keeps the step (`recovered_at`) and the severity (`was`)."""
    grave = [p for p in members if p.finding.severity == "critical"]
    goes_on = any(p.finding.ongoing and p.finding.severity != "info" for p in members)
    if goes_on or any(p.back_at is None or p.finding.tier == 0 for p in grave):
        return list(members)
    return [_lowered(p) for p in members]


def _lowered(p: Placed) -> Placed:
    was = p.finding.severity
    if was == "info" or (was == "warn" and not p.regained):
        return p
    evidence = {**p.finding.evidence, "recovered_at": p.back_at, "was": was}
    message = p.finding.message + recovered(evidence)
    lower = SEVERITIES[SEVERITIES.index(was) - 1]
    return replace(p, finding=replace(p.finding, severity=lower, message=message, evidence=evidence))


def _again(groups: Sequence[list[Placed]]) -> list[list[Placed]]:
    """The groups in the order of their first rows, where groups that begin alike are one."""
    known: dict[tuple[str, str], list[Placed]] = {}
    for members in groups:
        lead = _lead(members).finding
        known.setdefault((lead.code, lead.metric), []).extend(members)
    return list(known.values())


def _lead(members: Sequence[Placed]) -> Placed:
    """The first finding that is a warning or critical; the very first one where none is."""
    loudest = max(SEVERITIES.index(p.finding.severity) for p in members)
    return next(p for p in members if SEVERITIES.index(p.finding.severity) >= min(1, loudest))


def _order(p: Placed) -> tuple[int, str, str]:
    """The sort key: the row, then the names, so that the order in which metrics were first met does not matter."""
    return p.first_row, p.finding.code, p.finding.metric


def _leads(cause: Placed, effect: Placed) -> bool:
    a, b = cause.finding, effect.finding
    if effect.first_row > cause.last_row + TOGETHER_ROWS:
        return False
    if SEVERITIES.index(a.severity) < min(1, SEVERITIES.index(b.severity)):
        return False
    together = effect.first_row - cause.first_row <= TOGETHER_ROWS
    return (
        a.family == b.family
        or b.family in DRIVES.get(a.family, ())
        or (together and a.family in DRIVES.get(b.family, ()))
    )


def sole_incident(f: Finding) -> Incident:
    """The incident of a finding that no other follows from, with the number that the finding states, or 0."""
    return Incident(
        id=f.incident or 0,
        title=f.message,
        severity=f.severity,
        first_step=None,
        last_step=None,
        first_mover=f.metric,
        codes=(f.code,),
        causes=f.causes,
        fixes=f.fixes,
    )


def more_findings(count: int) -> str:
    """ " 2 more findings.": the end of a verdict that names the first finding, with a blank before it; "" for none."""
    return f" {count} more finding{'s' if count > 1 else ''}." if count else ""


def _incident(number: int, members: list[Placed]) -> Incident:
    loudest = max(SEVERITIES.index(p.finding.severity) for p in members)
    lead = _lead(members).finding
    findings = [lead, *(p.finding for p in members if p.finding is not lead)]
    over = latest_recovery(findings)
    said = lead.message.removesuffix(recovered(lead.evidence))
    times = sum(f.code == lead.code and f.metric == lead.metric for f in findings)
    again = "" if times == 1 else f", and {times - 1} more time{'s' if times > 2 else ''}"
    return Incident(
        id=number,
        title=said + again + recovered(over),
        severity=SEVERITIES[loudest],
        first_step=lead.first_step,
        last_step=_latest(findings),
        first_mover=lead.metric,
        codes=tuple(dict.fromkeys(f.code for f in findings)),
        causes=lead.causes[:MAX_TEXTS],
        fixes=lead.fixes[:MAX_TEXTS],
    )
