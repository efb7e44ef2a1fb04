"""A judge on pairs of answers: asked in both orders, several votes each, and compared with people."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from rldk.cards.words import plural
from rldk.core.stats.contrasts import cohen_kappa
from rldk.core.text import later
from rldk.errors import NoData, UsageError
from rldk.evals.facts import Measurement, lacking, measured
from rldk.evals.intervals import LEAST, average, smallest_difference
from rldk.evals.judges.server import JudgeServer
from rldk.evals.reading import read_table
from rldk.evals.registry import EvalOptions, evaluations
from rldk.evals.result import EvalResult
from rldk.evals.running import measure, result_of
from rldk.evals.suites import Suite
from rldk.evals.table import EvalTable

QUESTION = """Two assistants answered the same request. Say which answer is better: more correct, more helpful, and no \
longer than it needs to be. The order of the answers means nothing.

[Request]
{prompt}

[Answer 1]
{first}

[Answer 2]
{second}

Explain in one or two sentences. Then end with a line that holds exactly one of: [[1]], [[2]], [[tie]]."""
LONGEST = 24_000  # characters of a text that are sent
SUITE = Suite(name="judge", description="Pairs of answers, judged in both orders.", evaluations=("position_bias",))
_FIELDS = later(r"\{(prompt|first|second)\}")
_VERDICT = later(r"\[\[\s*(1|2|tie)\s*\]\]", re.IGNORECASE)


def judge_pairs(
    a: Any,
    b: Any,
    server: JudgeServer,
    *,
    votes: int = 1,
    question: str = QUESTION,
    seed: int = 42,
    human: str = "human",
    most: int | None = None,
    advance: Callable[[], None] | None = None,
) -> tuple[EvalResult, list[dict[str, Any]]]:
    """The share of prompts on which the judge prefers the answer of B, how often it changes its mind with the order,
    and its agreement with people; and a record for each prompt.

    `a`, `b`: evaluations with the same prompts, as for `rldk.evals.run`; of several answers to a prompt the first one
    counts. `votes`: questions in each order; the majority counts. `human`: a column of B that says "a", "b" or "tie".
    A prompt counts as a half where the orders disagree, so that a judge that always takes the first answer gives 50 %.
    `most`: judge so many prompts, drawn by `seed`. Raises `UsageError`, `NoData`, `UnreadableSource`."""
    if votes < 1:
        raise UsageError(f"votes is {votes}", hint="give 1 or more")
    rows = _rows(read_table(a), read_table(b), human)
    if most is not None and most < len(rows):
        kept = np.sort(np.random.default_rng(seed).choice(len(rows), most, replace=False))
        rows = [rows[i] for i in kept.tolist()]

    def judged(row: dict[str, Any]) -> dict[str, Any]:
        told = []
        for order in (("a", "b"), ("b", "a")):
            texts = (row["prompt"], row[order[0]], row[order[1]])
            numbers = _votes(server, question, texts, votes=votes, seed=seed)
            told.append([{1: order[0], 2: order[1], 0: "tie"}.get(number, "none") for number in numbers])
        if advance is not None:
            advance()
        return {**row, "choice": _majority(told[0]), "choice_swapped": _majority(told[1]), "votes": told}

    with ThreadPoolExecutor(max_workers=max(1, server.concurrency)) as pool:
        found = list(pool.map(judged, rows))
    return _result(found, server, seed), found


def _rows(first: EvalTable, second: EvalTable, human: str) -> list[dict[str, Any]]:
    """The pairs, by prompt, in the order of the first table."""
    sides = []
    for table in (first, second):
        keys, answers, prompts = table.keys(), table.texts("response"), table.texts("prompt")
        if keys is None or "response" not in table.cells:
            raise NoData(f"{table.source or 'memory'} lacks answers with prompts", hint="prompt or prompt_id, response")
        side: dict[str, tuple[str, str, int]] = {}
        for row, (key, answer, prompt) in enumerate(zip(keys, answers, prompts, strict=True)):
            if key and answer is not None:
                side.setdefault(key, (answer, prompt or "", row))
        sides.append(side)
    labels = second.texts("human") if human == "human" else [None] * second.rows
    made = []
    for key, (answer, prompt, _) in sides[0].items():
        if key in sides[1]:
            other, other_prompt, row = sides[1][key]
            made.append(
                {"prompt_id": key, "prompt": prompt or other_prompt, "a": answer, "b": other, "human": labels[row]}
            )
    if not made:
        raise NoData("the evaluations have no prompt in common", hint="are the ids those of the same questions?")
    return made


def _votes(server: JudgeServer, question: str, texts: tuple[str, str, str], *, votes: int, seed: int) -> list[int]:
    """Which answer each vote names: 1, 2, 0 for a tie, -1 where no verdict can be read. `texts`: prompt and answers."""
    parts = dict(zip(("prompt", "first", "second"), texts, strict=True))
    asked = _FIELDS.sub(lambda match: parts[match[1]][:LONGEST], question)
    told = []
    for vote in range(votes):
        found = _VERDICT.findall(server.ask(asked, seed=seed + vote))
        told.append({"1": 1, "2": 2, "tie": 0}.get(found[-1].lower() if found else "", -1))
    return told


def _majority(told: Sequence[str]) -> str | None:
    """The answer with the most votes; a tie where two have as many; None where no vote could be read."""
    counts = Counter(vote for vote in told if vote != "none").most_common()
    if not counts:
        return None
    return counts[0][0] if len(counts) == 1 or counts[0][1] > counts[1][1] else "tie"


def _result(found: list[dict[str, Any]], server: JudgeServer, seed: int) -> EvalResult:
    whole = [row for row in found if row["choice"] is not None and row["choice_swapped"] is not None]
    table = EvalTable(
        rows=len(found),
        cells={name: [row[name] for row in found] for name in ("prompt_id", "choice", "choice_swapped")},
        columns={},
        source=server.place,
        form=f"judge {server.model}",
        notes=(f"{plural(len(found) - len(whole), 'prompt')} got no verdict that can be read",)
        if len(found) > len(whole)
        else (),
    )
    options = EvalOptions(seed=seed)
    measures = {
        "win_rate": (_wins(whole, seed),),
        "position_bias": measure(evaluations.get("position_bias"), table, options),
        "judge_agreement": (_agreement(whole),),
    }
    suite = Suite(name=SUITE.name, description=SUITE.description, evaluations=tuple(measures))
    return result_of(table, suite, measures, seed=seed)


def _wins(whole: list[dict[str, Any]], seed: int) -> Measurement:
    worth = {"a": 0.0, "b": 1.0, "tie": 0.5}
    each = np.array([(worth[row["choice"]] + worth[row["choice_swapped"]]) / 2 for row in whole])
    title = "Prompts on which the judge prefers B"
    if len(each) < LEAST:
        return lacking("win_rate", title, f"needs {LEAST} judged prompts; there are {len(each)}")
    smallest = smallest_difference(each, None)
    return measured("win_rate", title, "info", average(each, None, seed=seed), share=True, detectable=smallest)


def _agreement(whole: list[dict[str, Any]]) -> Measurement:
    """Cohen's kappa of the judge, ties where the orders disagree, and people."""
    title = "Agreement of judge and people (kappa)"
    pairs = [
        (row["choice"] if row["choice"] == row["choice_swapped"] else "tie", str(row["human"]).strip().lower())
        for row in whole
        if row["human"] is not None
    ]
    pairs = [pair for pair in pairs if pair[1] in ("a", "b", "tie")]
    if len(pairs) < LEAST:
        reason = f"needs {LEAST} prompts with a human verdict (`human`: a, b or tie); there are {len(pairs)}"
        return lacking("judge_agreement", title, reason, ("human",))
    found = cohen_kappa([x for x, _ in pairs], [y for _, y in pairs])
    return measured("judge_agreement", title, "info", found)
