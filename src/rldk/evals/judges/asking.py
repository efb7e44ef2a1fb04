"""Asks a judge about pairs of answers, in both orders, for what is not known yet."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from threading import Lock
from typing import Any

from msgspec import Struct

from rldk.core.text import later
from rldk.errors import UnreadableSource
from rldk.evals.judges.kept import KeptAnswers, key_of
from rldk.evals.judges.server import JudgeAnswer, JudgeServer

LONGEST = 24_000  # characters of a text that are sent
KEPT = 400  # characters at the end of what the judge said that a record keeps
GIVEN_UP = 20  # questions in a row without an answer, after which nothing more is asked: our own choice
ORDERS = (("a", "b"), ("b", "a"))
_FIELDS = later(r"\{(prompt|first|second)\}")
# [[A]], [[B]] and [[C]] for a tie are the form of MT-bench. Source: fastchat/llm_judge/data/judge_prompts.jsonl
_VERDICT = later(r"\[\[\s*(1|2|tie|a|b|c)\s*\]\]", re.IGNORECASE)
# a judge that says nothing but its verdict may leave the brackets out
_ALONE = later(r"[\s*_.]*(1|2|tie)[\s*_.]*", re.IGNORECASE)
MEANS = {"1": 1, "a": 1, "2": 2, "b": 2, "tie": 0, "c": 0}
UNREAD = -1

Row = Mapping[str, Any]


class Question(Struct, frozen=True, kw_only=True):
    """One question about a pair. `order`: which answer is shown first. `copy`: earlier pairs with the same texts."""

    text: str
    seed: int
    order: tuple[str, str]
    vote: int
    copy: int = 0


class Asking:
    """Asks, and counts what came of it. Several threads share it. `kept`: where answers are looked for and kept."""

    def __init__(
        self, server: JudgeServer, question: str, *, votes: int, seed: int, kept: KeptAnswers | None = None
    ) -> None:
        self._server, self._question, self._votes, self._seed = server, question, votes, seed
        self._kept = kept
        self._lock = Lock()
        self._in_vain = 0  # questions since the last answer of the server
        self._stopped = False
        self.answered = self.lost = self.cut = self.unread = 0
        self.first_error: UnreadableSource | None = None

    def stop(self) -> None:
        """Asks nothing more: a pair that is being asked about raises `CancelledError` after the answer it waits for."""
        self._stopped = True

    def known(self, rows: Sequence[Row], copies: Sequence[int]) -> int:
        """How many questions about the rows have an answer that was kept. `copies`: as for `pair`, of each row."""
        each = zip(rows, copies, strict=True)
        every = (question for row, copy in each for question in self._questions(row, copy))
        return sum(self._kept is not None and self._kept.get(self._key(question)) is not None for question in every)

    def pair(self, row: Row, copy: int = 0) -> dict[str, Any]:
        """The row with the verdict in each order, the votes, and the end of what the judge said. `copy`: how many
        earlier rows have the same texts."""
        told: list[list[str]] = [[], []]
        said: list[list[str]] = [[], []]
        for question in self._questions(row, copy):
            place = ORDERS.index(question.order)
            text = self._answer(question, row)
            names = {1: question.order[0], 2: question.order[1], 0: "tie", UNREAD: "none"}
            told[place].append(names[verdict_of(text)])
            said[place].append(text[-KEPT:])
        return {**row, "choice": _majority(told[0]), "choice_swapped": _majority(told[1]), "votes": told, "said": said}

    def _questions(self, row: Row, copy: int) -> Iterator[Question]:
        for order in ORDERS:
            parts = {"prompt": row["prompt"], "first": row[order[0]], "second": row[order[1]]}
            text = _FIELDS.sub(lambda match, parts=parts: parts[match[1]][:LONGEST], self._question)  # type: ignore[misc]
            for vote in range(self._votes):
                yield Question(text=text, seed=self._seed + vote, order=order, vote=vote, copy=copy)

    def _key(self, question: Question) -> str:
        own = {"order": "".join(question.order), "vote": question.vote, "copy": question.copy}
        return key_of(self._server, question.text, seed=question.seed, **own)

    def _answer(self, question: Question, row: Row) -> str:
        """What the judge says, now or earlier; "" where it does not answer."""
        key = self._key(question) if self._kept is not None else ""
        answer = self._kept.get(key) if self._kept is not None else None
        if answer is None:
            answer = self._asked(question)
            if answer is None:
                return ""
            if self._kept is not None:
                about = {"prompt_id": row["prompt_id"], "order": "".join(question.order), "vote": question.vote}
                self._kept.add(key, answer, **about)
        unread = verdict_of(answer.text) == UNREAD
        with self._lock:
            self.answered += 1
            self.cut += answer.cut and unread
            self.unread += unread
        return answer.text

    def _asked(self, question: Question) -> JudgeAnswer | None:
        if self._stopped:
            raise CancelledError
        with self._lock:
            if self._in_vain >= GIVEN_UP:
                self.lost += 1
                return None
        try:
            answer = self._server.ask(question.text, seed=question.seed)
        except UnreadableSource as error:
            with self._lock:
                self.lost += 1
                self._in_vain += 1
                self.first_error = self.first_error or error
            return None
        with self._lock:
            self._in_vain = 0
        return answer


def unread_example(rows: Sequence[Row]) -> str:
    """The end of the first answer without a verdict; "" where there is none, or where all of them are empty."""
    orders = (order for row in rows for order in zip(row["votes"], row["said"], strict=True))
    every = (one for votes, said in orders for one in zip(votes, said, strict=True))
    return next((text for vote, text in every if vote == "none" and text), "")


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
