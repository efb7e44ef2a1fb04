"""A judge on pairs of answers: asked in both orders, several votes each, and compared with people."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

import numpy as np

from rldk.errors import NoData, UsageError
from rldk.evals.judges.asking import Asking, unread_example
from rldk.evals.judges.kept import KeptAnswers
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


def judge_pairs(  # noqa: PLR0913 - documented options, by name
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
    state: str | os.PathLike[str] | None = None,
    expect: Callable[[int], None] | None = None,
    advance: Callable[[], None] | None = None,
    tell: Callable[[str], None] | None = None,
) -> tuple[EvalResult, list[dict[str, Any]]]:
    """The share of prompts on which the judge prefers the answer of B, how often it changes its mind with the order,
    and its agreement with people; and a record for each prompt.

    `a`, `b`: evaluations with the same prompts, as for `rldk.evals.run`; of several answers to a prompt the first one
    counts. `votes`: questions in each order; the majority counts. `question`: a text with {first}, {second} and, if it
    is wanted, {prompt}; it must ask for [[1]], [[2]] or [[tie]]. `human`: the column of B that says which answer people
    prefer (a, b or tie); by default the one called "human". A prompt counts as a half where the orders disagree, so
    that a judge that always takes the first answer gives 50 %. `most`: judge so many prompts, drawn by `seed`.
    `columns`: field -> column, in both. `expect` gets the number of prompts, and `advance` is called after each.

    `state`: a file in which every answer is kept as it comes. Answers that are there are not asked for again, so that
    the same call goes on where an earlier one ended, however it ended, and comes to the same result. An answer counts
    for the same question to the same model at the same address with the same settings, in the same order and vote;
    `tell` gets a sentence that says how many there are.

    A question without an answer is left out and counted. After 20 such questions in a row nothing more is asked.
    Raises `UsageError`, `NoData`, `OutputError`, and `UnreadableSource` where not one question was answered."""
    if votes < 1:
        raise UsageError(f"votes is {votes}", hint="give 1 or more")
    _check(question)
    given = dict(columns or {})
    tables = read_table(a, given), read_table(b, given | ({"human": human} if human else {}))
    rows = _drawn(paired_answers(*tables), most, seed)
    with KeptAnswers(state) if state is not None else nullcontext() as kept:
        asking = Asking(server, question, votes=votes, seed=seed, kept=kept)
        copies = copies_of(rows)
        if kept is not None and len(kept) and tell is not None:
            tell(f"{asking.known(rows, copies):,} of {2 * votes * len(rows):,} answers are taken from {kept.path}")
        if expect is not None:
            expect(len(rows))
        found = _judged(asking, rows, copies, server.concurrency, advance or _nothing)
    if asking.first_error is not None and not asking.answered:
        raise asking.first_error
    facts = Verdicts(
        rows=found, server=server, names=(_name(tables[0]), _name(tables[1])), votes=votes, seed=seed,
        asked=2 * votes * len(rows), lost=asking.lost, cut=asking.cut, unread=asking.unread,
        example=unread_example(found),
        why="" if asking.first_error is None else asking.first_error.message, several=_several(tables),
        rejected=sum(t.rejected for t in tables),
    )  # fmt: skip
    return preference_of(facts), found


def _judged(
    asking: Asking, rows: list[dict[str, Any]], copies: list[int], workers: int, advance: Callable[[], None]
) -> list[dict[str, Any]]:
    """The rows with their verdicts, in order. On an interruption answers that are on their way are waited for and
    kept."""

    def one(row: dict[str, Any], copy: int) -> dict[str, Any]:
        made = asking.pair(row, copy)
        advance()
        return made

    with ThreadPoolExecutor(max_workers=max(1, workers)) as pool:
        try:
            return list(pool.map(one, rows, copies))
        except BaseException:
            asking.stop()
            raise


def _nothing() -> None:
    """Stands in for a callback that was not given."""


def _drawn(rows: list[dict[str, Any]], most: int | None, seed: int) -> list[dict[str, Any]]:
    if most is None or most >= len(rows):
        return rows
    kept = np.sort(np.random.default_rng(seed).choice(len(rows), most, replace=False))
    return [rows[i] for i in kept.tolist()]


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


def copies_of(rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """How many earlier rows have the same prompt and answers as each row."""
    seen: Counter[tuple[str, str, str]] = Counter()
    made = []
    for row in rows:
        texts = row["prompt"], row["a"], row["b"]
        made.append(seen[texts])
        seen[texts] += 1
    return made


def _several(tables: Sequence[EvalTable]) -> bool:
    """Whether a prompt has several answers on one side."""
    return any(len(set(keys)) < len(keys) for keys in ([k for k in t.keys() or () if k] for t in tables))


def _name(table: EvalTable) -> str:
    return table.source.rstrip("/").rpartition("/")[2] or "data"
