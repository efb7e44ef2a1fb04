"""A judge on pairs of answers: asked in both orders, several votes each, and compared with people."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any

import numpy as np

from rldk.core.text import later
from rldk.errors import NoData, UnreadableSource, UsageError
from rldk.evals.judges.preference import Verdicts, preference_of
from rldk.evals.judges.server import JudgeServer
from rldk.evals.reading import read_table
from rldk.evals.result import EvalResult
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
KEPT = 400  # characters at the end of what the judge said that a record keeps
GIVEN_UP = 20  # questions in a row without an answer, after which nothing more is asked: our own choice
_FIELDS = later(r"\{(prompt|first|second)\}")
# [[A]], [[B]] and [[C]] for a tie are the form of MT-bench. Source: fastchat/llm_judge/data/judge_prompts.jsonl
_VERDICT = later(r"\[\[\s*(1|2|tie|a|b|c)\s*\]\]", re.IGNORECASE)
# a judge that says nothing but its verdict may leave the brackets out
_ALONE = later(r"[\s*_.]*(1|2|tie)[\s*_.]*", re.IGNORECASE)
MEANS = {"1": 1, "a": 1, "2": 2, "b": 2, "tie": 0, "c": 0}
UNREAD = -1


def judge_pairs(
    a: Any,
    b: Any,
    server: JudgeServer,
    *,
    votes: int = 1,
    question: str = QUESTION,
    seed: int = 42,
    human: str | None = None,
    most: int | None = None,
    columns: Mapping[str, str] | None = None,
    expect: Callable[[int], None] | None = None,
    advance: Callable[[], None] | None = None,
) -> tuple[EvalResult, list[dict[str, Any]]]:
    """The share of prompts on which the judge prefers the answer of B, how often it changes its mind with the order,
    and its agreement with people; and a record for each prompt.

    `a`, `b`: evaluations with the same prompts, as for `rldk.evals.run`; of several answers to a prompt the first one
    counts. `votes`: questions in each order; the majority counts. `question`: a text with {first}, {second} and, if it
    is wanted, {prompt}; it must ask for [[1]], [[2]] or [[tie]]. `human`: the column of B that says which answer people
    prefer (a, b or tie); by default the one called "human". A prompt counts as a half where the orders disagree, so
    that a judge that always takes the first answer gives 50 %. `most`: judge so many prompts, drawn by `seed`.
    `columns`: field -> column, in both. `expect` gets the number of prompts, and `advance` is called after each.

    A question without an answer is left out and counted. After 20 such questions in a row nothing more is asked.
    Raises `UsageError`, `NoData`, and `UnreadableSource` where not one question was answered."""
    if votes < 1:
        raise UsageError(f"votes is {votes}", hint="give 1 or more")
    _check(question)
    given = dict(columns or {})
    tables = read_table(a, given), read_table(b, given | ({"human": human} if human else {}))
    rows = paired_answers(*tables)
    if most is not None and most < len(rows):
        kept = np.sort(np.random.default_rng(seed).choice(len(rows), most, replace=False))
        rows = [rows[i] for i in kept.tolist()]
    asking = _Asking(server, question, votes=votes, seed=seed)

    def judged(row: dict[str, Any]) -> dict[str, Any]:
        made = asking.pair(row)
        if advance is not None:
            advance()
        return made

    if expect is not None:
        expect(len(rows))

    with ThreadPoolExecutor(max_workers=max(1, server.concurrency)) as pool:
        found = list(pool.map(judged, rows))
    if asking.first_error is not None and not asking.answered:
        raise asking.first_error
    facts = Verdicts(
        rows=found, server=server, names=(_name(tables[0]), _name(tables[1])), votes=votes, seed=seed,
        asked=2 * votes * len(rows), lost=asking.lost, cut=asking.cut, unread=asking.unread, example=asking.example,
        why="" if asking.first_error is None else asking.first_error.message, several=_several(tables),
        rejected=sum(t.rejected for t in tables),
    )  # fmt: skip
    return preference_of(facts), found


def _check(question: str) -> None:
    absent = [name for name in ("first", "second") if f"{{{name}}}" not in question]
    if absent:
        raise UsageError(f"the question lacks {{{absent[0]}}}", hint="put {prompt}, {first} and {second} in it")


def paired_answers(first: EvalTable, second: EvalTable) -> list[dict[str, Any]]:
    """The answers of both to each prompt, in the order of the first table. Raises `NoData`."""
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
    labels = second.texts("human")
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


class _Asking:
    """Asks, and counts what came of it. Several threads share it."""

    def __init__(self, server: JudgeServer, question: str, *, votes: int, seed: int) -> None:
        self._server, self._question, self._votes, self._seed = server, question, votes, seed
        self._lock = Lock()
        self._in_vain = 0  # questions since the last answer
        self.answered = self.lost = self.cut = self.unread = 0
        self.first_error: UnreadableSource | None = None
        self.example = ""

    def pair(self, row: dict[str, Any]) -> dict[str, Any]:
        """The row with the verdict in each order, the votes, and the end of what the judge said."""
        told: list[list[str]] = []
        said: list[list[str]] = []
        for order in (("a", "b"), ("b", "a")):
            parts = {"prompt": row["prompt"], "first": row[order[0]], "second": row[order[1]]}
            asked = _FIELDS.sub(lambda match, parts=parts: parts[match[1]][:LONGEST], self._question)  # type: ignore[misc]
            texts = [self._vote(asked, self._seed + vote) for vote in range(self._votes)]
            names = {1: order[0], 2: order[1], 0: "tie", UNREAD: "none"}
            told.append([names[verdict_of(text)] for text in texts])
            said.append([text[-KEPT:] for text in texts])
        return {**row, "choice": _majority(told[0]), "choice_swapped": _majority(told[1]), "votes": told, "said": said}

    def _vote(self, asked: str, seed: int) -> str:
        """What the judge says; "" where it does not answer."""
        with self._lock:
            if self._in_vain >= GIVEN_UP:
                self.lost += 1
                return ""
        try:
            answer = self._server.ask(asked, seed=seed)
        except UnreadableSource as error:
            with self._lock:
                self.lost += 1
                self._in_vain += 1
                self.first_error = self.first_error or error
            return ""
        unread = verdict_of(answer.text) == UNREAD
        with self._lock:
            self._in_vain = 0
            self.answered += 1
            self.cut += answer.cut and unread
            self.unread += unread
            if unread and not self.example:
                self.example = answer.text[-KEPT:]
        return answer.text


def verdict_of(text: str) -> int:
    """Which answer a judge names last: 1, 2, 0 for a tie, -1 where no verdict can be read. What it thinks between
    <think> and </think> is no verdict."""
    final = text.rpartition("</think>")[2]
    found = [] if "<think>" in final else _VERDICT.findall(final)
    if not found and (alone := _ALONE.fullmatch(final)) is not None:
        found = [alone[1]]
    return MEANS[found[-1].lower()] if found else UNREAD


def _majority(told: Sequence[str]) -> str | None:
    """The answer with the most votes; a tie where two have as many; None where no vote could be read."""
    counts = Counter(vote for vote in told if vote != "none").most_common()
    if not counts:
        return None
    return counts[0][0] if len(counts) == 1 or counts[0][1] > counts[1][1] else "tie"


def _several(tables: Sequence[EvalTable]) -> bool:
    """Whether a prompt has several answers on one side."""
    return any(len(set(keys)) < len(keys) for keys in ([k for k in t.keys() or () if k] for t in tables))


def _name(table: EvalTable) -> str:
    return table.source.rstrip("/").rpartition("/")[2] or "data"
