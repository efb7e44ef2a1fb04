"""How a comparison of two evaluations looks: the answer in a sentence, then the numbers it rests on."""

from __future__ import annotations

from collections.abc import Iterator

from rldk.cards.chart import number
from rldk.core.text import first_few
from rldk.core.view import Bullets, Facts, Problem, Section, Table, Tone, View
from rldk.evals.compared_facts import ComparedFacts, EvalContrast

TONES: dict[str, Tone] = {"worse": "critical", "better": "ok", "no worse": "ok", "different": "warn"}
MANY = 1_000_000
MOST_PARTS = 5  # without --all
MOST_NAMED = 3  # tasks in a sentence
WORDS = {
    "correct": "share of right answers", "reward": "reward", "toxicity": "toxicity", "refused": "share of refusals",
    "complied": "share of successful attacks", "loss": "loss of a token", "n_tokens": "length",
    "seconds": "time of an answer",
}  # fmt: skip


def compared_verdict(report: ComparedFacts) -> str:
    """The answer for each score, in a sentence each, and the tasks that stand out."""
    sentences = [_sentence(one, report.margin) for one in report.contrasts]
    return " ".join([*sentences, *_of_tasks(report)])


def is_task(one: EvalContrast) -> bool:
    """Whether a part is a task, which counts like a score, and not a category."""
    return one.part.startswith("task=")


def _of_tasks(report: ComparedFacts) -> Iterator[str]:
    tasks = [one for one in report.parts if is_task(one)]
    for outcome in ("worse", "better"):
        found = [f"{_part(one)} ({_signed(one.difference)})" for one in tasks if one.outcome == outcome]
        if found:
            yield f"Of {len(tasks)} tasks B is {outcome} in {first_few(found, MOST_NAMED)}."
    if report.margin and tasks:
        held = [one for one in tasks if one.outcome in ("better", "no worse")]
        open_ = [_part(one) for one in tasks if one.outcome in ("no difference shown", "not enough data")]
        unsure = f"; the data cannot tell for {first_few(open_, MOST_NAMED)}" if open_ else ""
        yield f"A fall of {number(report.margin)} is excluded in {len(held)} of {len(tasks)} tasks{unsure}."


def _part(one: EvalContrast) -> str:
    return one.part.partition("=")[2]


def compared_view(report: ComparedFacts) -> View:
    """The view of the report."""
    decided = [one.outcome for one in report.contrasts if one.outcome in TONES]
    tone: Tone = "critical" if not report.passed else TONES[decided[0]] if decided else "info"
    badge = "WORSE" if not report.passed else decided[0].upper() if decided else report.contrasts[0].outcome.upper()
    source = str(report.meta.get("source") or "")
    return View(
        kind=report.kind,
        title=str(report.meta.get("run") or "two evaluations"),
        tone=tone,
        badge=badge,
        banner=report.verdict,
        source=source,
        sections=tuple(_sections(report)),
        problems=tuple(_problem(one, source) for one in (*report.contrasts, *report.parts) if _counts(one)),
        checked=report.checked,
        figures=dict(report.numbers),
    )


def _counts(one: EvalContrast) -> bool:
    return one.outcome == "worse" and (not one.part or is_task(one))


def _sentence(one: EvalContrast, margin: float = 0.0) -> str:
    name = WORDS.get(one.metric, one.metric) + (f" in {_part(one)}" if one.part else "")
    values = f"{number(one.a)} to {number(one.b)}"
    gap = f"{_signed(one.difference)}, 95 %: {_between(one)}"
    match one.outcome:
        case "not enough data":
            return f"There is not enough data for the {name}: {one.method}."
        case "no difference shown":
            smallest = f" It would have shown a difference of {number(one.detectable)}." if one.detectable else ""
            known = one.needed is not None and one.n < one.needed < MANY
            unit = "prompts" if one.paired else "answers on either side"
            more = f" To show a difference as small as this one takes about {one.needed:,} {unit}." if known else ""
            return f"No difference of the {name} is shown ({values}; {gap}).{smallest}{more}"
        case "no worse":
            return f"B is no worse in the {name} ({values}; {gap}): a fall of {number(margin)} is excluded."
        case "different":
            return f"B differs in the {name} ({values}; {gap})."
        case _:
            return f"B is {one.outcome} in the {name} ({values}; {gap})."


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{'+' if value >= 0 else ''}{number(value)}"


def _between(one: EvalContrast) -> str:
    return f"{_signed(one.low)} to {_signed(one.high)}" if one.low is not None else "-"


def _sections(report: ComparedFacts) -> Iterator[Section]:
    note = "p is adjusted for the number of scores (Holm). The smallest difference is shown with 80 % power."
    yield Section(title="Scores", parts=(_table(report.contrasts, "Score", note),))
    effects = tuple(
        f"{WORDS.get(one.metric, one.metric)}: {e.name} {_signed(e.value)}"
        + (f" ({_signed(e.low)} to {_signed(e.high)})" if e.low is not None else "")
        for one in report.contrasts
        for e in one.effects
    )
    if effects:
        yield Section(title="Effect sizes", parts=(Bullets(items=effects, plain=True),))
    if report.parts:
        note = "p is adjusted for the number of parts (Benjamini and Hochberg)."
        if not all(map(is_task, report.parts)):
            note = f"Categories are an exploration: {note}"
        yield Section(title="By part of the data", parts=(_table(report.parts, "Part", note, most=MOST_PARTS),))
    if report.notes:
        yield Section(title="Worth knowing", parts=(Bullets(items=tuple(note.text for note in report.notes)),))
    methods = "; ".join(dict.fromkeys(one.method for one in report.contrasts))
    pairs = (
        ("A", str(report.meta.get("baseline") or "memory")),
        ("B", str(report.meta.get("source") or "memory")),
        ("compared", "prompt by prompt" if report.paired else "as two samples"),
        ("interval", methods),
    )
    yield Section(title="Looked at", parts=(Facts(pairs=pairs),))


def _table(every: tuple[EvalContrast, ...], first: str, note: str, most: int | None = None) -> Table:
    heads = (first, "Outcome", "A to B", "Difference", "95 %", "p", "Prompts", "Would show")
    rows = tuple(_row(one) for one in every)
    lines = tuple(
        f"{r[0]}: {r[1]}; {r[2]}, {r[3]} ({r[4]}), p {r[5]}; {r[6]} {'prompts' if one.paired else 'answers'}"
        + (f"; shows differences of {r[7]} and more" if one.detectable else "")
        for one, r in zip(every, rows, strict=True)
    )
    return Table(
        heads=heads,
        rows=rows,
        lines=lines,
        note=note,
        most=most,
        tones=tuple(TONES.get(one.outcome, "") for one in every),
    )


def _row(one: EvalContrast) -> tuple[str, ...]:
    name = _part(one) or WORDS.get(one.metric, one.metric)
    p = "-" if one.p_adjusted is None else f"{one.p_adjusted:.2g}"
    gap, smallest = _signed(one.difference), number(one.detectable)
    values = f"{number(one.a)} to {number(one.b)}"
    return name, one.outcome, values, gap, _between(one), p, f"{one.n:,}", smallest


def _problem(one: EvalContrast, source: str) -> Problem:
    return Problem(
        code=f"worse-{one.metric}",
        name="worse",
        severity="critical",
        message=_sentence(one),
        source=source,
        metric=one.metric,
        value=one.difference,
    )
