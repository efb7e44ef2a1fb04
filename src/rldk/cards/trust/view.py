"""How a trust card looks: the verdict, the checks, the curves, and what was not checked, on one page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from rldk.cards.chart import number
from rldk.cards.safe import clean
from rldk.cards.trust.facts import CardCheck, CardFacts, CardPlot, CardSubject, CardTable
from rldk.cards.trust.room import CardRoom, fitting
from rldk.cards.trust.status import WORST_FIRST, CardWord
from rldk.cards.words import plural, steps
from rldk.core.model import Severity
from rldk.core.text import later
from rldk.core.view import Bullets, Charts, Commands, Curve, Facts, Points, Problem, Section, Table, Tone, View

VERDICT = 400  # characters of a verdict
TONES: dict[CardWord, Tone] = {"fail": "critical", "warn": "warn", "pass": "ok", "not checked": "info"}
GRAVE: dict[CardWord, Severity] = {"fail": "critical", "warn": "warn"}
TITLES = {
    "determinism_card": "Determinism card",
    "drift_card": "Drift card",
    "reward_card": "Reward card",
    "kl_drift_card": "KL drift card",
}
RULE = later(r"[A-Z]{2,5}[0-9]{3}")
LIMITS = "times the limit"  # a value in this unit says its limit itself
HEADS = ("Verdict", "Check", "What was seen", "Rests on", "How")


def card_view(card: CardFacts, plots: Sequence[CardPlot] = ()) -> View:
    """The view of the card, with `plots` below its curves. Its length is bounded, so that it prints on one page; the
    JSON has everything."""
    title = TITLES.get(card.kind, card.kind.replace("_", " "))
    return View(
        kind=card.kind,
        title=f"{title} \N{MIDDLE DOT} {card.meta.get('run') or card.meta.get('source') or ''}",
        tone=TONES[card.status],
        badge=card.status.upper(),
        banner=clean(card.verdict, VERDICT),
        reserve=_reserve(card),
        sections=fitting(partial(_sections, card, plots)),
        problems=tuple(_problem(card, one) for one in _judged(card) if one.status in GRAVE),
        checked=tuple(one.code for one in card.checks if one.status != "not checked"),
        unchecked={one.code: one.reason for one in card.checks if one.status == "not checked"},
        figures=dict(card.numbers),
        one_page=True,
    )


def _reserve(card: CardFacts) -> str:
    missing = [one.name for one in card.checks if one.status == "not checked"]
    more = f" and {len(missing) - 4} more" if len(missing) > 4 else ""
    return f"Not checked: {', '.join(missing[:4])}{more}." if missing else ""


def _judged(card: CardFacts) -> list[CardCheck]:
    """The checks that have an answer, the main one of a status first and the worst status before the others."""
    there = [one for one in card.checks if one.status != "not checked"]
    return sorted(there, key=lambda one: (WORST_FIRST.index(one.status), not one.main))


def _sections(card: CardFacts, plots: Sequence[CardPlot], room: CardRoom) -> Iterator[Section]:
    judged = _judged(card)
    if judged:
        yield Section(title="Checks", parts=(_checks(judged, room),))
    if card.curves:
        yield Section(title="Curves", parts=(Charts(curves=tuple(_curves(card, room))),), wide=True)
    if plots:
        yield Section(
            title="Single answers", parts=(Charts(points=tuple(map(_points, plots[: room.plots]))),), wide=True
        )
    for table in card.tables[: room.tables]:
        yield Section(title=table.title, parts=(_table(table, room),))
    if advice := tuple(_advice(card, room)):
        yield Section(title="What to try", parts=(Bullets(items=advice),))
    missing = [one for one in card.checks if one.status == "not checked"]
    if missing:
        items = [f"{one.name}: {clean(one.reason, room.line)}" for one in missing]
        yield Section(title="Not checked", parts=(Bullets(items=_capped(items, room.missing), plain=True),))
    if card.notes:
        items = [clean(note.text, 2 * room.line) for note in card.notes]
        yield Section(title="Worth knowing", parts=(Bullets(items=_capped(items, room.items)),))
    yield Section(title="What it is about", parts=(Facts(pairs=tuple(_about(card, room))),))
    if commands := tuple(_next(card)):
        yield Section(title="Next", parts=(Commands(lines=commands),))


def _next(card: CardFacts) -> Iterator[str]:
    codes = [one.code for one in _judged(card) if one.status in GRAVE and RULE.fullmatch(one.code)]
    yield from (f"rldk explain {code}" for code in codes[:1])


def _checks(judged: list[CardCheck], room: CardRoom) -> Table:
    shown = judged[: room.checks]
    methods = {one.method for one in judged}
    same = len(methods) == 1 and len(judged) > 1  # one method for all is said once, below the table
    kept = len(HEADS) - same
    rows = tuple(
        (one.status.upper(), one.name, clean(one.result, room.cell), _basis(one), clean(one.method, room.cell))[:kept]
        for one in shown
    )
    lines = tuple(f"{row[0]}  {row[1]}: {row[2]}{f' ({row[3]})' if row[3] else ''}" for row in rows)
    left = judged[room.checks :]
    worst = f", {left[0].status} at worst" if left else ""
    said = [f"How: {clean(methods.pop(), room.cell)}."] if same and methods != {""} else []
    said += [f"{plural(len(left), 'more check')}{worst}: the JSON has them all."] if left else []
    tones = tuple(TONES[one.status] for one in shown)
    return Table(heads=HEADS[:kept], rows=rows, tones=tones, lines=lines, note=" ".join(said))


def _basis(one: CardCheck) -> str:
    """How much data an answer rests on, with its interval and limit."""
    said = [f"{one.n:,} {one.of}"] if one.n is not None else []
    if one.value is not None:
        unit = f" {one.unit}" if one.unit else ""
        what = f"{clean(one.metric, 40)} " if one.metric and not one.unit else ""
        between = f" ({number(one.low)} to {number(one.high)})" if one.low is not None and one.high is not None else ""
        limit = f", limit {number(one.limit)}" if one.limit is not None and one.unit != LIMITS else ""
        said.append(f"{what}{number(one.value)}{unit}{between}{limit}")
    said += [f"p {number(one.p)}"] if one.p is not None else []
    return "; ".join(said)


def _curves(card: CardFacts, room: CardRoom) -> Iterator[Curve]:
    for one in card.curves[: room.curves]:
        yield Curve(
            name=one.name,
            step=one.step,
            value=one.value,
            gaps=one.gaps,
            bands=one.bands,
            limits=one.limits,
            beside=one.beside,
            log=one.log,
        )


def _points(plot: CardPlot) -> Points:
    return Points(
        name=plot.name, x=plot.x, y=plot.y, x_name=plot.x_name, y_name=plot.y_name, joined=plot.joined, bars=plot.bars,
        ideal=plot.ideal,
    )  # fmt: skip


def _table(table: CardTable, room: CardRoom) -> Table:
    rows = tuple(tuple(clean(cell, room.cell) for cell in row) for row in table.rows[: room.rows])
    left = len(table.rows) - len(rows)
    note = f"{plural(left, 'more row')} in the JSON." if left > 0 else ""
    return Table(heads=table.heads, rows=rows, note=note)


def _advice(card: CardFacts, room: CardRoom) -> Iterator[str]:
    fixes = dict.fromkeys(fix for one in _judged(card) if one.status in GRAVE for fix in one.fixes)
    yield from (clean(fix, room.line) for fix in list(fixes)[: room.items])


def _about(card: CardFacts, room: CardRoom) -> Iterator[tuple[str, str]]:
    for one in card.subjects[: room.subjects]:
        yield one.role, "; ".join(_facts(one))
    left = card.subjects[room.subjects :]
    if left:
        yield "and", plural(len(left), "more run")
    if card.made_by:
        yield "made by", card.made_by
    if card.command:
        yield "again with", f"`{clean(card.command, 300).replace('`', '')}`"


def _facts(one: CardSubject) -> Iterator[str]:
    yield clean(one.source, 120)
    if one.role == "command":
        return
    who = " ".join(word for word in (one.framework, one.algorithm) if word)
    if who:
        yield who
    if one.rows is not None and one.last_step is not None:
        yield f"{plural(one.rows, 'row')}, {steps(one.first_step, one.last_step)}"
    yield f"seed {one.seed}" if one.seed is not None else "seed not recorded"
    dirty = " with changes" if one.changed_code else ""
    yield f"commit {clean(one.commit, 12).rstrip('.')}{dirty}" if one.commit else "commit not recorded"
    if one.data:
        yield ", ".join(f"data {clean(name, 40)} {clean(value, 24)}" for name, value in list(one.data.items())[:2])


def _capped(items: list[str], most: int) -> tuple[str, ...]:
    left = len(items) - most
    return (*items[:most], f"and {left:,} more in the JSON") if left > 0 else tuple(items)


def _problem(card: CardFacts, one: CardCheck) -> Problem:
    return Problem(
        code=one.code,
        name=clean(one.name, 60),
        severity=GRAVE[one.status],
        message=one.result,
        source=str(card.meta.get("source") or ""),
        steps=one.steps,
        metric=one.metric,
        value=one.value,
        limit=one.limit,
        causes=one.causes[:3],
        fixes=one.fixes[:3],
    )
