"""How a comparison of groups looks: the verdict, the contrasts, the scores, the profiles."""

from __future__ import annotations

from collections.abc import Iterator

from rldk.cards.chart import number
from rldk.cards.words import plural
from rldk.comparison.facts import ComparisonFacts, GroupContrast, GroupScore
from rldk.comparison.parts import cost_sections, curve_sections, setting_sections
from rldk.core.view import Bullets, Paragraph, Problem, Section, Table, Tone, View

MANY = 1000  # seeds beyond which the number is of no use
NOT_COMPARED = "not checked: needs two groups of three or more seeds each"
TOLD = 2  # groups with too few seeds, each of which the verdict names
TONES: dict[str, Tone] = {"worse": "critical", "better": "ok", "different": "warn"}


def comparison_verdict(report: ComparisonFacts) -> str:
    """The answer for the first metric, in a sentence for each group."""
    goal = [one for one in report.contrasts if one.metric == report.metrics[0]]
    if not goal:
        only = next(one for one in report.scores if one.metric == report.metrics[0])
        return f"There is one group of {plural(len(only.scores), 'run')}: {report.metrics[0]} {_value(only)}."
    few = [one for one in goal if one.outcome == "too few seeds"]
    said = [_sentence(report, one) for one in goal if len(few) <= TOLD or one not in few]
    if len(few) > TOLD:
        said.append(f"{len(few)} groups cannot be compared with {report.baseline}: give three or more seeds of each.")
    return " ".join(said)


def comparison_view(report: ComparisonFacts) -> View:
    """The view of the report."""
    goal = [one for one in report.contrasts if one.metric == report.metrics[0]]
    decided = [one.outcome for one in goal if one.outcome in TONES]
    tone: Tone = "critical" if not report.passed else TONES[decided[0]] if decided else "info"
    open_badge = "NOT ENOUGH EVIDENCE" if goal else "ONE GROUP"
    badge = "WORSE" if not report.passed else decided[0].upper() if decided else open_badge
    few = {} if any(one.outcome != "too few seeds" for one in goal) else {_code(report.metrics[0]): NOT_COMPARED}
    return View(
        kind=report.kind,
        title=f"{plural(len(report.groups), 'group')} of runs",
        tone=tone,
        badge=badge,
        banner=report.verdict,
        source=str(report.meta.get("source") or ""),
        sections=tuple(_sections(report)),
        problems=tuple(_problem(report, one) for one in goal if one.outcome == "worse"),
        checked=() if few else (_code(report.metrics[0]),),
        unchecked={check.code: check.reason for check in report.skipped} | few,
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
        yield _compared(report)
    yield from curve_sections(report)
    heads = ("Metric", "Group", "Runs", "IQM", "95 %", "Spread of seeds", "Its 95 %", "Steps to the level")
    rows = tuple(_score(one) for one in report.scores)
    lines = tuple(
        f"{r[0]}, {r[1]} ({plural(int(r[2]), 'run')}): {r[3]}{_between(r[4])}, spread {r[5]}{_between(r[6])}, "
        f"level {'at step ' if r[7][:1].isdigit() else ''}{r[7]}"
        for r in rows
    )
    note = "IQM: mean of the middle half of the runs' last tenths. Level: 90 % of the baseline's gain."
    table = Table(heads=heads, rows=rows, lines=lines, note=note)
    yield Section(title="Scores", parts=(table, *_seed_share(report)))
    yield from setting_sections(report)
    yield from cost_sections(report)
    yield _profiles(report)
    members = tuple(f"{group}: {', '.join(names)}" for group, names in report.groups.items())
    yield Section(title="Groups", parts=(Bullets(items=members, plain=True),))
    if report.skipped or report.notes:
        skipped = (f"{check.name}: not checked: {check.reason}" for check in report.skipped)
        items = (*skipped, *(note.text for note in report.notes))
        yield Section(title="Notes", parts=(Bullets(items=items),))


def _compared(report: ComparisonFacts) -> Section:
    gap = f"Gap to {report.baseline}"
    heads = ("Metric", "Group", "Outcome", gap, "95 %", "Chance of improvement", "Seeds needed")
    rows = tuple(_contrast(one) for one in report.contrasts)
    tones = tuple(TONES.get(one.outcome, "") for one in report.contrasts)
    lines = tuple(
        f"{r[0]}, {r[1]}: {r[2]}; gap {r[3]}{_between(r[4])}"
        + (f", chance of improvement {r[5]}" if r[5] != "-" else "")
        + (f", seeds needed {r[6]}" if r[6] != "-" else "")
        for r in rows
    )
    return Section(title="Groups compared", parts=(Table(heads=heads, rows=rows, tones=tones, lines=lines),))


def _seed_share(report: ComparisonFacts) -> Iterator[Paragraph]:
    if report.seed_share is not None:
        share = f"{report.seed_share:.0%} of the variance of {report.metrics[0]} among these runs"
        yield Paragraph(text=f"The seed decides {share}, and the group the rest.")


def _profiles(report: ComparisonFacts) -> Section:
    each = [one for one in report.scores if one.metric == report.metrics[0] and one.profile]
    points = [
        (one.group, len(one.scores), *point)
        for one in each
        for point in zip(one.levels, one.profile_low, one.profile, one.profile_high, strict=True)
    ]
    heads = ("Group", "Level", "Runs above", "95 %")
    rows = tuple(
        (group, number(level), f"{share:.0%} of {runs}", f"{low:.0%} to {high:.0%}")
        for group, runs, level, low, share, high in points
    )
    shares = tuple((low, share, high) for _, _, _, low, share, high in points)
    lines = tuple(
        f"{one.group}: {', '.join(f'> {number(a)} {b:.0%}' for a, b in zip(one.levels, one.profile, strict=True))}"
        for one in each
    )
    title = f"Performance profile: share of runs with a higher {report.metrics[0]}"
    return Section(title=title, parts=(Table(heads=heads, rows=rows, lines=lines, shares=shares),), detail=True)


def _contrast(one: GroupContrast) -> tuple[str, ...]:
    between = f"{number(one.low)} to {number(one.high)}" if one.low is not None else "-"
    chance = f"{one.improvement:.0%}" if one.improvement is not None else "-"
    seeds = "-" if one.seeds is None else f"{one.seeds:,}" if one.seeds < MANY else "1,000 or more"
    return one.metric, one.group, one.outcome, number(one.gap), between, chance, seeds


def _score(one: GroupScore) -> tuple[str, ...]:
    between = f"{number(one.low)} to {number(one.high)}" if one.low is not None else "-"
    few = f"not reached by most ({one.reached} of {len(one.scores)})"
    when = f"{one.steps:,.0f} ({one.reached} of {len(one.scores)})" if one.steps is not None else few
    spread = f"{number(one.spread_low)} to {number(one.spread_high)}" if one.spread_low is not None else "-"
    return one.metric, one.group, str(len(one.scores)), number(one.iqm), between, number(one.spread), spread, when


def _between(interval: str) -> str:
    return "" if interval == "-" else f" ({interval})"


def _value(one: GroupScore) -> str:
    return f"{number(one.iqm)} ({number(one.low)} to {number(one.high)})"


def _problem(report: ComparisonFacts, one: GroupContrast) -> Problem:
    return Problem(
        code=_code(one.metric),
        name="worse",
        severity="critical",
        message=_sentence(report, one),
        source=str(report.meta.get("source") or ""),
        metric=one.metric,
        value=one.gap,
    )


def _code(metric: str) -> str:
    return f"worse-{metric}"
