"""The rows of a data set that preflight looks at: which columns hold prompt and answer, and what is wrong with them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from rldk.errors import UsageError
from rldk.rules.setup import DataFacts

MOST_ROWS = 20_000
PROMPTS = ("prompt", "question", "query", "problem", "instruction", "input", "messages", "text")
ANSWERS = (
    "answer",
    "solution",
    "ground_truth",
    "final_answer",
    "gold",
    "target",
    "label",
    "reference",
    "reward_model.ground_truth",
)
_SHOWN = 80  # characters of an example

Row = Mapping[str, Any]


class RowSet:
    """The first rows of a data set, with its size and its columns. `size` counts all rows, where that is known.

    Raises `UsageError` for what holds no rows, or for a column that is not there."""

    def __init__(self, dataset: Any, *, prompt: str | None = None, answer: str | None = None) -> None:
        self.rows = list(_rows(dataset, MOST_ROWS))
        try:
            self.size = len(dataset)
        except TypeError:  # an iterable data set does not know its length
            self.size = len(self.rows)
        names = list(self.rows[0]) if self.rows else []
        self.prompt = _column(prompt, PROMPTS, names, self.rows)
        self.answer = _column(answer, ANSWERS, names, self.rows)

    def prompts(self) -> list[Any]:
        return [value(row, self.prompt) for row in self.rows] if self.prompt else []

    def answers(self) -> list[Any]:
        return [value(row, self.answer) for row in self.rows] if self.answer else []


def data_facts(
    rows: RowSet,
    *,
    lengths: Sequence[int] = (),
    limit: int | None = None,
    needed: int | None = None,
    others: RowSet | None = None,
) -> DataFacts:
    """What the rows say. `lengths`: tokens of the first prompts, as they are rendered. `needed`: prompts of one step.

    `others`: the evaluation set."""
    texts = [plain_text(prompt) for prompt in rows.prompts()]
    answers = rows.answers()
    examples: dict[str, str] = {}
    by_prompt: dict[str, set[str]] = defaultdict(set)
    for text, answer in zip(texts, answers, strict=False):
        if text and not is_empty(answer):
            by_prompt[text].add(plain_text(answer))
    split = [text for text, known in by_prompt.items() if len(known) > 1]
    if split:
        examples["split"] = split[0][:_SHOWN]
    overlap = None
    if others is not None and others.prompt and rows.prompt:
        known, seen = set(texts), [plain_text(prompt) for prompt in others.prompts()]
        shared = [text for text in seen if text and text in known]
        overlap = len(shared)
        if shared:
            examples["overlap"] = shared[0][:_SHOWN]
    return DataFacts(
        rows=rows.size,
        seen=len(lengths) or len(rows.rows),
        prompt=rows.prompt,
        answer=rows.answer,
        no_prompt=sum(map(is_empty, rows.prompts())) if rows.prompt else None,
        no_answer=sum(map(is_empty, answers)) if rows.answer else None,
        repeated=len(texts) - len(set(texts)) if texts else None,
        split=len(split) if rows.answer and rows.prompt else None,
        longest=max(lengths, default=None),
        limit=limit,
        over_limit=None if limit is None or not lengths else sum(n > limit for n in lengths),
        eval_rows=None if others is None else len(others.rows),
        overlap=overlap,
        form=form_of(rows.prompts()),
        eval_form="" if others is None else form_of(others.prompts()),
        needed=needed,
        examples=examples,
    )


def value(row: Row, column: str) -> Any:
    """The value of a column, which may be nested (`reward_model.ground_truth`)."""
    if column in row:
        return row[column]
    here: Any = row
    for word in column.split("."):
        here = here.get(word) if isinstance(here, Mapping) else None
    return here


def is_messages(prompt: Any) -> bool:
    """Whether a prompt is a list of messages."""
    return isinstance(prompt, list | tuple) and bool(prompt) and all(_is_message(part) for part in prompt)


def is_empty(found: Any) -> bool:
    """Whether there is nothing in it: None, blanks, an empty list, or messages without content."""
    if found is None:
        return True
    if isinstance(found, str):
        return not found.strip()
    if is_messages(found):
        return not any(str(part.get("content") or "").strip() for part in found)
    return isinstance(found, list | tuple | dict) and not found


def plain_text(found: Any) -> str:
    """The text of a prompt or an answer, with every run of white space as one blank."""
    if is_messages(found):
        found = "\n".join(f"{part.get('role')}: {part.get('content')}" for part in found)
    return " ".join(str("" if found is None else found).split())


def form_of(prompts: Iterable[Any]) -> str:
    """How the first hundred prompts look: text, messages, or messages with a system prompt; "" where they differ."""
    forms = {_form(prompt) for prompt in islice(prompts, 100) if not is_empty(prompt)}
    return forms.pop() if len(forms) == 1 else ""


def _form(prompt: Any) -> str:
    if not is_messages(prompt):
        return "text"
    system = any(part.get("role") == "system" for part in prompt)
    return "messages with a system prompt" if system else "messages"


def _is_message(part: Any) -> bool:
    return isinstance(part, Mapping) and "role" in part and "content" in part


def _rows(dataset: Any, most: int) -> Iterable[Row]:
    if isinstance(dataset, str | bytes) or not hasattr(dataset, "__iter__"):
        raise UsageError("the data set has no rows", hint="give a list of dictionaries or a datasets.Dataset")
    if isinstance(dataset, Mapping):
        names = ", ".join(map(str, list(dataset)[:5]))
        raise UsageError(f"the data set is a mapping of {names}", hint="give one split, as dataset['train']")
    for row in islice(dataset, most):
        if not isinstance(row, Mapping):
            raise UsageError("a row of the data set is no mapping", hint="give rows as dictionaries, by column")
        yield row


def _column(asked: str | None, usual: Sequence[str], names: Sequence[str], rows: Sequence[Row]) -> str:
    """The column that was asked for, or the first of the usual names that the rows have; "" where none is there."""
    if asked is not None:
        if rows and asked not in names and value(rows[0], asked) is None:
            hint = f"its columns are {', '.join(names)}"
            raise UsageError(f"the data set has no column {asked!r}", hint=hint)
        return asked
    return next((name for name in usual if rows and (name in names or value(rows[0], name) is not None)), "")
