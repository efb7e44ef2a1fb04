"""How a comparison of groups looks: the verdict, the contrasts, the scores, the profiles."""

from __future__ import annotations

from collections.abc import Iterator

from rldk.cards.chart import number
from rldk.cards.words import plural
from rldk.comparison.facts import ComparisonFacts, GroupContrast, GroupScore
from rldk.core.view import Bullets, Problem, Section, Table, Tone, View

MANY = 1000  # seeds beyond which the number is of no use
TONES: dict[str, Tone] = {"worse": "critical", "better": "ok", "different": "warn"}


def comparison_verdict(report: ComparisonFacts) -> str:
    """The answer for the first metric, in a sentence for each group."""
    goal = [one for one in report.contrasts if one.metric == report.metrics[0]]
    if not goal:
        only = next(one for one in report.scores if one.metric == report.metrics[0])
        return f"There is one group of {plural(len(only.scores), 'run')}: {report.metrics[0]} {_value(only)}."
    return " ".join(_sentence(report, one) for one in goal)


def comparison_view(report: ComparisonFacts) -> View:
    """The view of the report."""
    goal = [one for one in report.contrasts if one.metric == report.metrics[0]]
    decided = [one.outcome for one in goal if one.outcome in TONES]
    tone: Tone = "critical" if not report.passed else TONES[decided[0]] if decided else "info"
    open_badge = "NOT ENOUGH EVIDENCE" if goal else "ONE GROUP"
    badge = "WORSE" if not report.passed else decided[0].upper() if decided else open_badge
    return View(
        kind=report.kind,
        title=f"{plural(len(report.groups), 'group')} of runs",
        tone=tone,
        badge=badge,
        banner=report.verdict,
        source=str(report.meta.get("source") or ""),
        sections=tuple(_sections(report)),
        problems=tuple(_problem(report, one) for one in goal if one.outcome == "worse"),
        checked=report.checked,
        unchecked={check.code: check.reason for check in report.skipped},
        figures=dict(report.numbers),
    )


def _sentence(report: ComparisonFacts, one: GroupContrast) -> str:
    known = one.seeds is not None and one.seeds < MANY
    about = f" You need about {one.seeds:,} runs of each to show it." if known else ""
    gap = f"{one.metric} {'+' if one.gap >= 0 else ''}{number(one.gap)}"
    match one.outcome:
        case "too few seeds":
            return f"{one.group} and {report.baseline} cannot be compared: give three or more seeds of each ({gap})."
        case "not enough evidence":
            return f"{one.group} against {report.baseline}: not enough evidence for a difference ({gap}).{about}"
        case "different":
            return f"{one.group} differs from {report.baseline} ({gap})."
        case _:
            return f"{one.group} is {one.outcome} than {report.baseline} ({gap})."


def _sections(report: ComparisonFacts) -> Iterator[Section]:
    if report.contrasts:
        gap = f"Gap to {report.baseline}"
        heads = ("Metric", "Group", "Outcome", gap, "95 %", "Chance of improvement", "Seeds needed")
        rows = tuple(_contrast(one) for one in report.contrasts)
        tones = tuple(TONES.get(one.outcome, "") for one in report.contrasts)
        lines = tuple(f"{r[0]}, {r[1]}: {r[2]}; gap {r[3]} ({r[4]}), improves in {r[5]}, seeds {r[6]}" for r in rows)
        yield Section(title="Groups compared", parts=(Table(heads=heads, rows=rows, tones=tones, lines=lines),))
    heads = ("Metric", "Group", "Runs", "IQM", "95 %", "Spread of seeds", "Steps to the level")
    rows = tuple(_score(one) for one in report.scores)
    lines = tuple(f"{r[0]}, {r[1]} ({r[2]} runs): {r[3]} ({r[4]}), spread {r[5]}, level at step {r[6]}" for r in rows)
    note = "IQM: mean of the middle half of the runs' last tenths. Level: 90 % of the baseline's gain."
    yield Section(title="Scores", parts=(Table(heads=heads, rows=rows, lines=lines, note=note),))
    yield _profiles(report)
    members = tuple(f"{group}: {', '.join(names)}" for group, names in report.groups.items())
    yield Section(title="Groups", parts=(Bullets(items=members, plain=True),))
    if report.skipped or report.notes:
        items = (*(check.reason for check in report.skipped), *(note.text for note in report.notes))
        yield Section(title="Notes", parts=(Bullets(items=items),))


def _profiles(report: ComparisonFacts) -> Section:
    each = [one for one in report.scores if one.metric == report.metrics[0] and one.profile]
    heads = ("Group", *(f"> {number(level)}" for level in (each[0].levels if each else ())))
    rows = tuple((one.group, *(f"{share:.0%}" for share in one.profile)) for one in each)
    lines = tuple(f"{r[0]}: {', '.join(f'{h} {v}' for h, v in zip(heads[1:], r[1:], strict=True))}" for r in rows)
    title = f"Share of runs with a higher {report.metrics[0]}"
    return Section(title=title, parts=(Table(heads=heads, rows=rows, lines=lines),), detail=True)


def _contrast(one: GroupContrast) -> tuple[str, ...]:
    between = f"{number(one.low)} to {number(one.high)}" if one.low is not None else "-"
    chance = f"{one.improvement:.0%}" if one.improvement is not None else "-"
    seeds = "-" if one.seeds is None else f"{one.seeds:,}" if one.seeds < MANY else "1,000 or more"
    return one.metric, one.group, one.outcome, number(one.gap), between, chance, seeds


def _score(one: GroupScore) -> tuple[str, ...]:
    between = f"{number(one.low)} to {number(one.high)}" if one.low is not None else "-"
    few = f"not reached by most ({one.reached})"
    when = f"{one.steps:,.0f} ({one.reached} of {len(one.scores)})" if one.steps is not None else few
    return one.metric, one.group, str(len(one.scores)), number(one.iqm), between, number(one.spread), when


def _value(one: GroupScore) -> str:
    return f"{number(one.iqm)} ({number(one.low)} to {number(one.high)})"


def _problem(report: ComparisonFacts, one: GroupContrast) -> Problem:
    return Problem(
        code=f"worse-{one.metric}",
        name="worse",
        severity="critical",
        message=_sentence(report, one),
        source=str(report.meta.get("source") or ""),
        metric=one.metric,
        value=one.gap,
    )
