"""The parts of a comparison that are not its verdict: learning curves, settings, cost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rldk.cards.chart import number
from rldk.core.view import Charts, Curve, Paragraph, Section, SideLine, Table

if TYPE_CHECKING:
    from rldk.comparison.facts import ComparisonFacts, GroupCost, GroupCurve, SettingEffect

SHOWN_GROUPS = 6  # curves of the goal that a terminal shows
COST_HEADS = {
    "steps": "Steps",
    "env_steps": "Environment steps",
    "tokens": "Tokens",
    "seconds": "Time",
    "operations": "Operations",
}


def curve_sections(report: ComparisonFacts) -> Iterator[Section]:
    """The learning curves: those of the goal, and in a medium with room to draw those of the other metrics."""
    goal = [one for one in report.curves if one.metric == report.metrics[0]]
    others = [one for one in report.curves if one.metric != report.metrics[0]]
    if goal:
        text = "Interquartile mean over the runs of a group, as far as all of them go, with its pointwise 95 % range."
        note = Paragraph(text=text, soft=True)
        shown = tuple(_curve(report, one) for one in goal)
        title = f"Learning curves of {report.metrics[0]}"
        yield Section(title=title, parts=(note, *shown[:SHOWN_GROUPS]))
        others = [*goal[SHOWN_GROUPS:], *others]
    if others:
        drawn = Charts(curves=tuple(_curve(report, one) for one in others))
        yield Section(title="Learning curves of the other metrics", parts=(drawn,), wide=True)


def setting_sections(report: ComparisonFacts) -> Iterator[Section]:
    """The settings that differ among the runs, the clearest first."""
    if not report.settings:
        return
    heads = ("Setting", "Values", "Mean score of each", "Goes with the score", "95 %", "p", "Outcome")
    rows = tuple(_setting(one) for one in report.settings)
    lines = tuple(f"{r[0]}: {r[6]}; {r[3]} ({r[4]}), p {r[5]}; scores {r[2]}" for r in rows)
    tones = tuple("warn" if one.outcome == "goes with the score" else "" for one in report.settings)
    note = (
        "Numbers: rank correlation with the score, -1 to 1. Other values: share of the variance of ranks between them. "
        "p: permutation test, adjusted for the number of settings. It shows what goes together, not what causes what."
    )
    table = Table(heads=heads, rows=rows, lines=lines, tones=tones, note=note, most=8)  # type: ignore[arg-type]
    yield Section(title=f"Settings and {report.metrics[0]}", parts=(table,))


def cost_sections(report: ComparisonFacts) -> Iterator[Section]:
    """What the runs of each group took."""
    known = [name for name in COST_HEADS if all(getattr(one, name) is not None for one in report.costs)]
    if not known or not report.costs:
        return
    heads = ("Group", *(COST_HEADS[name] for name in known))
    rows = tuple((one.group, *(_cost(one, name) for name in known)) for one in report.costs)
    lines = tuple(
        f"{row[0]}: {', '.join(f'{value} {head.lower()}' for head, value in zip(heads[1:], row[1:], strict=True))}"
        for row in rows
    )
    note = "The median over the runs. Time: from the first row of the log to the last."
    yield Section(title="Compute", parts=(Table(heads=heads, rows=rows, lines=lines, note=note),))


def _curve(report: ComparisonFacts, one: GroupCurve) -> Curve:
    beside = [
        SideLine(name=report.baseline, step=base.step, value=base.middle)
        for base in report.curves
        if base.metric == one.metric and base.group == report.baseline != one.group
    ]
    if any(value is not None for value in one.low):
        beside.append(SideLine(name="low", step=one.step, value=one.low, kind="low"))
        beside.append(SideLine(name="high", step=one.step, value=one.high, kind="high"))
    name = short_name(one.group, report.baseline)
    if one.metric != report.metrics[0]:
        name = f"{one.metric}, {name}"
    return Curve(name=name, step=one.step, value=one.middle, beside=tuple(beside))


def short_name(group: str, baseline: str) -> str:
    """The name of a group without the settings that the baseline has, too."""
    usual = baseline.split(", ") if group != baseline else []
    return ", ".join(part for part in group.split(", ") if part not in usual) or group


def _setting(one: SettingEffect) -> tuple[str, ...]:
    values = ", ".join(value for value, _, _ in one.values[:8])
    scores = ", ".join(f"{value}: {number(score)} ({runs})" for value, runs, score in one.values[:8])
    between = f"{number(one.low)} to {number(one.high)}" if one.low is not None else "-"
    twins = f", as does {', '.join(one.together_with[:3])}" if one.together_with else ""
    outcome = {"not enough runs": f"not enough runs ({one.runs})"}.get(one.outcome, one.outcome)
    p = "-" if one.p is None else number(one.p)
    return f"{one.key}{twins}", values, scores, number(one.strength), between, p, outcome


def _cost(one: GroupCost, name: str) -> str:
    value = getattr(one, name)
    return _duration(value) if name == "seconds" else f"{value:,.0f}" if value < 1e9 else f"{value:.3g}"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 7200 else f"{seconds / 3600:.3g} h"
