"""What the verdicts of a judge come to: which answers it prefers, whether the order decides, whether people agree."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from rldk.cards.words import plural
from rldk.core.model import Note
from rldk.core.stats.contrasts import cohen_kappa
from rldk.core.text import legible
from rldk.evals.facts import Measurement, lacking, measured
from rldk.evals.intervals import LEAST, rate, smallest_difference
from rldk.evals.judges.server import JudgeServer
from rldk.evals.registry import EvalOptions, evaluations
from rldk.evals.result import EvalResult
from rldk.evals.running import measure, result_of
from rldk.evals.suites import Suite
from rldk.evals.table import EvalTable

SUITE = Suite(
    name="judge",
    description="Pairs of answers, judged in both orders.",
    evaluations=("win_rate", "position_bias", "judge_agreement"),
)
WINS, AGREEMENT = "Preference of the judge for B", "Agreement of judge and people (kappa)"
CHANCE = 0.5
# What people's verdicts are called; model_a, model_b and tie (bothbad) by Chatbot Arena.
PEOPLE = {
    "a": "a", "model_a": "a", "answer_a": "a", "b": "b", "model_b": "b", "answer_b": "b",
    "tie": "tie", "tie (bothbad)": "tie", "both": "tie", "equal": "tie", "draw": "tie", "same": "tie",
}  # fmt: skip


class Verdicts(Struct, frozen=True, kw_only=True):
    """The verdicts, one row a prompt (`choice`, `choice_swapped`: a, b, tie or None), and what came of asking.

    `names`: of A and B. `asked`: questions; `lost`: those without an answer, and `why` of the first one. `unread`:
    answers without a verdict, `cut`: how many of them ended at the limit of tokens, `example`: the end of one.
    `several`: a prompt has several answers, and the first one was judged. `rejected`: records that cannot be read."""

    rows: list[dict[str, Any]]
    server: JudgeServer
    names: tuple[str, str]
    votes: int
    seed: int
    asked: int
    lost: int = 0
    why: str = ""
    unread: int = 0
    cut: int = 0
    example: str = ""
    several: bool = False
    rejected: int = 0


def preference_of(facts: Verdicts) -> EvalResult:
    """The result of a judge: win_rate, position_bias and judge_agreement."""
    whole = [row for row in facts.rows if row["choice"] is not None and row["choice_swapped"] is not None]
    table = EvalTable(
        rows=len(facts.rows),
        cells={name: [row[name] for row in facts.rows] for name in ("prompt_id", "choice", "choice_swapped")},
        columns={},
        source=facts.names[1],
        form=f"pairs, judged by {facts.server.model} at {facts.server.place}",
        rejected=facts.rejected,
    )
    agreement, agreed = _agreement(whole)
    measures = {
        "win_rate": (_wins(whole),),
        "position_bias": measure(evaluations.get("position_bias"), table, EvalOptions(seed=facts.seed)),
        "judge_agreement": (agreement,),
    }
    result = result_of(table, SUITE, measures, seed=facts.seed)
    notes = tuple(Note(topic="data", text=text) for text in (*_notes(facts, whole), *agreed))
    return replace(
        result,
        verdict=f"{_preference(result.raw_results)} {_trust(result.raw_results)}".strip(),
        notes=notes,
        meta={**result.meta, "run": f"{facts.names[1]} against {facts.names[0]}"},
        numbers={**result.numbers, "questions": facts.asked, "questions_lost": facts.lost},
    )


def _preference(found: dict[str, Measurement]) -> str:
    wins, order = found["win_rate"], found["position_bias"]
    if wins.value is None or wins.low is None or wins.high is None:
        return f"Nothing can be said about a preference: it {wins.reason}."
    share = f"{wins.value:.1%} of {wins.clusters:,} prompts, 95 %: {wins.low:.1%} to {wins.high:.1%}"
    if order.status == "fail":
        return f"The judge goes by the order of the answers, so that its preference says little (for B in {share})."
    if wins.low <= CHANCE <= wins.high:
        return f"The judge shows no preference: for B in {share}."
    return f"The judge prefers {'B' if wins.value > CHANCE else 'A'}: for B in {share}."


def _trust(found: dict[str, Measurement]) -> str:
    order, people = found["position_bias"], found["judge_agreement"]
    parts = []
    if order.status == "warn":
        parts.append("Whether the order of the answers decides too often is open: judge more prompts.")
    if people.value is None:
        parts.append("Whether people would agree with it is not known.")
    elif people.low is not None and people.low <= 0:
        parts.append("Its agreement with people may be chance.")
    return " ".join(parts)


def _notes(facts: Verdicts, whole: Sequence[dict[str, Any]]) -> list[str]:
    made = []
    if facts.lost:
        made.append(f"{plural(facts.lost, 'question')} of {facts.asked:,} got no answer: {facts.why}")
    without = len(facts.rows) - len(whole)
    if without:
        verbs = ("lacks", "was") if without == 1 else ("lack", "were")
        made.append(f"{plural(without, 'prompt')} {verbs[0]} a verdict in one order or both, and {verbs[1]} left out")
    if facts.unread:
        ends = " ".join(facts.example.split())[-100:]
        text = f"{plural(facts.unread, 'answer')} of the judge named none of [[1]], [[2]], [[tie]]"
        made.append(f"{text}; one ended with {legible(ends)!r}" if ends else f"{text}; one was empty")
    if facts.cut:
        text = f"{plural(facts.cut, 'such answer')} ended at the limit of {facts.server.max_tokens:,} tokens"
        made.append(f"{text}: raise --max-tokens")
    if not any(row["prompt"] for row in facts.rows):
        made.append("the data has no prompts as text, so that the judge saw the answers alone: add a column `prompt`")
    if facts.several:
        made.append("of several answers to a prompt the first one was judged")
    if facts.votes > 1 and facts.server.temperature == 0:
        made.append("at temperature 0 the votes in one order are mostly copies of each other")
    return [*made, *_of_order(whole)]


def _of_order(whole: Sequence[dict[str, Any]]) -> list[str]:
    """Which place the judge took where the order changed its choice between A and B."""
    first = sum(row["choice"] == "a" and row["choice_swapped"] == "b" for row in whole)
    second = sum(row["choice"] == "b" and row["choice_swapped"] == "a" for row in whole)
    if first + second < 2:
        return []
    more, place = (first, "first") if first >= second else (second, "second")
    return [f"on {first + second:,} prompts the judge took the same place in both orders, {more:,} times the {place}"]


def _wins(whole: Sequence[dict[str, Any]]) -> Measurement:
    """The share of verdicts for B, ties as halves. Both orders of a prompt are one cluster."""
    worth = {"a": 0.0, "b": 1.0, "tie": 0.5}
    each = np.array([(worth[row["choice"]], worth[row["choice_swapped"]]) for row in whole]).reshape(-1, 2)
    if len(each) < LEAST:
        return lacking("win_rate", WINS, f"needs {LEAST} judged prompts; there {_are(len(each))}")
    found = rate(each.ravel(), np.repeat(np.arange(len(each)), 2))
    smallest = smallest_difference(each.mean(axis=1), None)
    return measured("win_rate", WINS, "info", replace(found, n=len(each)), share=True, detectable=smallest)


def _are(count: int) -> str:
    return f"{'is' if count == 1 else 'are'} {count:,}"


def _agreement(whole: Sequence[dict[str, Any]]) -> tuple[Measurement, list[str]]:
    """Cohen's kappa of the judge, ties where the orders disagree, and people; and what is worth knowing about it."""
    labelled = [row for row in whole if row["human"] is not None and str(row["human"]).strip()]
    people = [PEOPLE.get(str(row["human"]).strip().lower()) for row in labelled]
    pairs = [
        (row["choice"] if row["choice"] == row["choice_swapped"] else "tie", human)
        for row, human in zip(labelled, people, strict=True)
        if human is not None
    ]
    odd = sorted({str(row["human"]) for row, human in zip(labelled, people, strict=True) if human is None})
    notes = []
    if odd:
        shown = ", ".join(legible(repr(text[:30])) for text in odd[:3])
        notes.append(f"{people.count(None):,} verdicts of people are none of a, b and tie ({shown})")
    if len(pairs) < LEAST:
        reason = f"needs {LEAST} prompts with a verdict of people (`human`: a, b or tie); there {_are(len(pairs))}"
        return lacking("judge_agreement", AGREEMENT, reason, ("human",)), notes
    agreed = sum(judge == human for judge, human in pairs)
    notes.append(
        f"judge and people agree on {agreed:,} of {len(pairs):,} prompts; a kappa of 0 is chance, 1 full agreement"
    )
    for who, place in (("the judge", 0), ("people", 1)):
        verdicts = {pair[place] for pair in pairs}
        if len(verdicts) < 2:
            reason = f"{who} gave one verdict throughout ({verdicts.pop()}), so that agreement beyond chance is unknown"
            return lacking("judge_agreement", AGREEMENT, reason), notes
    found = cohen_kappa([judge for judge, _ in pairs], [human for _, human in pairs])
    if math.isnan(found.value):
        return lacking("judge_agreement", AGREEMENT, found.method), notes
    return measured("judge_agreement", AGREEMENT, "info", found), notes
