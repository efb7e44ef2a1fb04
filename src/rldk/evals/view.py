"""How an evaluation looks: the verdict, the measurements in a table, what failed, and what could not be measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from rldk.cards.chart import number
from rldk.cards.words import plural
from rldk.core.model import Finding
from rldk.core.view import Bullets, Facts, Paragraph, Problem, Section, Table, Tone, View
from rldk.evals.facts import EvalFacts, Measurement, MeasureState
from rldk.evals.verdicts import UNDECIDED

WORDS: dict[str, str] = {
    "pass": "passes", "warn": "WARNS", "fail": "FAILS", "info": "measured", "not_available": "not available",
}  # fmt: skip
TONES: dict[str, Tone] = {"pass": "ok", "warn": "warn", "fail": "critical", "info": "", "not_available": ""}
OF_THE_DATA = frozenset({"integrity", "soundness"})  # they look at any data
GRAVITY = ("fail", "warn", "pass", "info", "not_available")
MOST_PARTS = 6  # of one evaluation among the other measurements, or without --all
BADGES: dict[Tone, str] = {"critical": "FAILS", "warn": "WARNING", "ok": "PASSES", "info": "NOT JUDGED"}
LEAD = {
    "safety": "Every number comes from labels in the data, from scores of a classifier or a judge, or from checksums "
    "and exact texts. No answer is judged by a list of words. A pass says what these prompts show, and no more: it is "
    "no proof that the model is safe.",
}


def only_of_the_data(states: Mapping[str, MeasureState]) -> bool:
    """Whether nothing but the data as such was looked at, although the suite asks for more."""
    rest = [state for name, state in states.items() if name not in OF_THE_DATA]
    return bool(rest) and all(state == "not_available" for state in rest)


def evaluation_verdict(result: EvalFacts, states: Mapping[str, MeasureState]) -> str:
    """The outcome in a sentence or three: what fails, what could not be decided, what could not be judged."""
    every = result.raw_results.values()
    failed = [one.title.lower() for one in every if one.status == "fail"]
    open_ = [one.title.lower() for one in every if _undecided(one)]
    warned = [one.title.lower() for one in every if one.status == "warn" and not _undecided(one)]
    passed = sum(state == "pass" for state in states.values())
    absent = sum(state == "not_available" for state in states.values())
    parts = [f"Fails: {_listed(failed)}." if failed else ""]
    if warned:
        parts.append(f"Warns: {_listed(warned)}.")
    if open_:
        parts.append(f"This data cannot decide: {_listed(open_)}.")
    if only_of_the_data(states):
        parts.append("Not judged: the data has nothing that this suite looks for in answers.")
    elif passed:
        parts.append(f"{plural(passed, 'evaluation')} of {len(states)} {'passes' if passed == 1 else 'pass'}.")
    if absent:
        parts.append(f"{plural(absent, 'evaluation')} could not be made: the data lacks what it takes.")
    said = [part[0].upper() + part[1:] for part in parts if part]
    return " ".join(said) or "Nothing could be judged."


def _undecided(one: Measurement) -> bool:
    return one.status == "warn" and one.reason.startswith(UNDECIDED)


def _word(one: Measurement) -> str:
    return "UNDECIDED" if _undecided(one) else WORDS[one.status]


def _listed(names: list[str]) -> str:
    shown = names[:4] + ([f"{len(names) - 4} more"] if len(names) > 4 else [])
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}" if shown else ""


def evaluation_view(result: EvalFacts) -> View:
    """The view of the result."""
    states = {one.status for one in result.raw_results.values()}
    tone: Tone = (
        "critical" if "fail" in states else "warn" if "warn" in states else "ok" if "pass" in states else "info"
    )
    source = str(result.meta.get("source") or "")
    failed = [one for one in result.raw_results.values() if one.status in ("fail", "warn")]
    return View(
        kind=result.kind,
        title=f"{result.suite} evaluation of {result.meta.get('run') or 'data'}",
        tone=tone,
        badge=BADGES[tone],
        banner=result.verdict,
        source=source,
        reserve=_reserve(result),
        sections=tuple(_sections(result)),
        problems=tuple(_problem(one, source) for one in failed),
        checked=result.checked,
        unchecked=dict(result.not_available),
        figures={"overall_score": result.overall_score, **result.numbers},
    )


def _reserve(result: EvalFacts) -> str:
    if result.overall_score is not None or not result.not_available:
        return ""
    return "There is no overall score: fewer than half of the suite could be judged."


def _sections(result: EvalFacts) -> Iterator[Section]:
    every = list(result.raw_results.values())
    if result.suite in LEAD:
        yield Section(title="What this page says", parts=(Paragraph(text=LEAD[result.suite], soft=True),), wide=True)
    failed = tuple(_sentence(one) for one in every if one.status == "fail")
    if failed:
        yield Section(title="FAILS", tone="critical", parts=(Bullets(items=failed, plain=True),))
    there = [one for one in every if one.status != "not_available"]
    parts = _parts(there)
    main = [one for one in there if _family(one) not in parts]
    if main:
        yield Section(title="Measurements", parts=(measurements(main),))
    for name, members in parts.items():
        table = replace(measurements(sorted(members, key=_gravity)), most=MOST_PARTS)
        yield Section(title=f"Measurements: {len(members)} {name.replace('_', ' ')}", parts=(table,))
    if result.findings:
        yield Section(title="What rules found", parts=(Bullets(items=tuple(map(_told, result.findings))),))
    if result.not_available:
        items = tuple(f"{result.raw_results[name].title}: {text}" for name, text in result.not_available.items())
        yield Section(title="Not available", parts=(Bullets(items=items, plain=True),))
    remarks = (*result.warnings, *(note.text for note in result.notes))
    if remarks:
        yield Section(title="Worth knowing", parts=(Bullets(items=tuple(dict.fromkeys(remarks))),))
    yield Section(title="Looked at", parts=(Facts(pairs=tuple(_looked(result))),))


def _told(one: Finding) -> str:
    said = f"{one.code} {one.message[0].upper()}{one.message[1:]}."
    return f"{said} Try: {'; '.join(one.fixes)}." if one.fixes else said


def _family(one: Measurement) -> str:
    """The evaluation that a measurement of a part belongs to: "slices" of "slices.law"; "" for one of its own."""
    return one.name.partition(".")[0] if "." in one.name else ""


def _parts(every: list[Measurement]) -> dict[str, list[Measurement]]:
    """The measurements of evaluations with many parts, which get a table of their own."""
    made: dict[str, list[Measurement]] = {}
    for one in every:
        if _family(one):
            made.setdefault(_family(one), []).append(one)
    return {name: members for name, members in made.items() if len(members) > MOST_PARTS}


def _gravity(one: Measurement) -> tuple[int, float]:
    return GRAVITY.index(one.status), 2.0 if one.p is None else one.p


def measurements(every: list[Measurement]) -> Table:
    """The measurements as a table."""
    return Table(
        heads=("Measurement", "Outcome", "Value", "95 %", "Rule", "Cases", "Would show"),
        rows=tuple(_row(one) for one in every),
        tones=tuple(TONES[one.status] for one in every),
        shares=tuple(_interval(one) for one in every) if any(map(_interval, every)) else (),
        lines=tuple(_line(one) for one in every),
        note=" ".join(
            text
            for text, wanted in (
                ("UNDECIDED: the 95 % interval holds the limit.", any(map(_undecided, every))),
                (
                    "Shown: the smallest difference that this data shows with 80 % power.",
                    any(one.detectable for one in every),
                ),
                (
                    "Adjusted p: for the number of parts (Benjamini and Hochberg).",
                    any(one.p_adjusted is not None and one.rule for one in every),
                ),
            )
            if wanted
        ),
    )


def _interval(one: Measurement) -> tuple[float, float, float] | None:
    """A share from 0 to 1 between the ends of its interval, for a renderer to draw."""
    if not one.share or one.value is None or one.low is None or one.high is None:
        return None
    return (one.low, one.value, one.high) if 0 <= one.low <= one.high <= 1 else None


def shown(value: float | None, *, share: bool) -> str:
    """A value as a person reads it; a share in percent."""
    if value is None or not share:
        return number(value)
    return f"{value:.1%}" if abs(value) >= 0.001 or value == 0 else f"{100 * value:.2g}%"


def _between(one: Measurement) -> str:
    if one.low is None or one.high is None:
        return "-"
    return f"{shown(one.low, share=one.share)} to {shown(one.high, share=one.share)}"


def _row(one: Measurement) -> tuple[str, ...]:
    cases = f"{one.n:,} in {one.clusters:,}" if _clustered(one) else f"{one.n:,}"
    value = shown(one.value, share=one.share)
    return one.title, _word(one), value, _between(one), _rule(one) or "-", cases, shown(one.detectable, share=one.share)


def _clustered(one: Measurement) -> bool:
    """Whether there are fewer independent cases than cases. A series that swings has more: that is no news."""
    return 0 < one.clusters < one.n


def _rule(one: Measurement) -> str:
    """The rule, and the p-value where it was adjusted for other parts of the same evaluation."""
    return f"{one.rule}, adjusted p {one.p_adjusted:.2g}" if one.p_adjusted is not None else one.rule


def _line(one: Measurement) -> str:
    said = f"{one.title} {_word(one)}"
    if one.value is None:
        return f"{said}: {one.reason}" if one.reason else said
    between = f", {_between(one)}" if one.low is not None else ""
    rule = f"; {_rule(one)}" if one.rule else ""
    cases = f"; {plural(one.n, 'case')}" + (f" in {one.clusters:,} clusters" if _clustered(one) else "")
    smallest = f"; shows differences of {shown(one.detectable, share=one.share)} and more" if one.detectable else ""
    return f"{said}: {shown(one.value, share=one.share)}{between}{rule}{cases if one.n else ''}{smallest}"


def _sentence(one: Measurement) -> str:
    between = f" (95 %: {_between(one)})" if one.low is not None else ""
    why = f" {one.reason[0].upper()}{one.reason[1:]}." if one.reason else ""
    rule = f" The rule: {one.rule}." if one.rule else ""
    return f"{one.title}: {shown(one.value, share=one.share)}{between}, {plural(one.n, 'case')}.{why}{rule}"


def _problem(one: Measurement, source: str) -> Problem:
    return Problem(
        code=one.name,
        name=one.name,
        severity="critical" if one.status == "fail" else "warn",
        message=_sentence(one),
        source=source,
        metric=one.name,
        value=one.value,
        limit=one.limit,
    )


def _looked(result: EvalFacts) -> Iterator[tuple[str, str]]:
    yield "rows", f"{result.sample_size:,}"
    if result.metadata.get("prompts") is not None:
        yield "prompts", f"{result.metadata['prompts']:,}"
    yield "read as", str(result.metadata.get("form", ""))
    if result.overall_score is not None and result.numbers.get("judged") != 1:  # of one, it says nothing new
        yield "overall score", f"{result.overall_score:.2f} (share of the judged evaluations that pass)"
    columns = ", ".join(f"{field}: `{column}`" for field, column in (result.metadata.get("columns") or {}).items())
    if columns:
        yield "columns", columns
    yield "seed", str(result.seed)
