"""Rows that hold several answers to one prompt, with a score for each: one row for each answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rldk.adapters.tables.cells import is_single
from rldk.core.samples import sample_words

# Lists of answers under the names of the tools that write them: RLHFlow (responses, rewards), SimPO
# (all_generated_responses, all_rm_scores), UltraFeedback (completions), Qwen2.5-Math (code, pred, score)
ANSWERS = ("responses", "completions", "outputs", "generations", "all_generated_responses", "generated_responses",
           "all_responses", "generated_texts", "model_outputs", "candidates", "predictions", "samples", "response",
           "completion", "output", "generation", "code")  # fmt: skip
PARTS = ("response", "completion", "output", "text", "content", "generation", "answer")  # keys of an answer's text
SHORT = {"all_rm_scores": "rm_score", "predictions": "prediction", "preds": "pred"}
PROMPTS = ("prompt", "prompt_id", "id", "idx")


def answers_of(row: Mapping[Any, Any], number: int) -> Sequence[Mapping[Any, Any]]:
    """The rows of the single answers; the row itself where it holds one. `number` of the row: it is the `prompt_id`
    where nothing else tells its prompt.

    A list of answers is a list of texts, of conversations, or of objects with a text, under a usual name. Lists of the
    same length are shared out, under their names in the singular (`rewards` becomes `reward`)."""
    if is_single(row):
        return (row,)
    lists = {key: made for key, value in row.items() if (made := _listed(value)) is not None}
    name = next((name for name in ANSWERS if name in lists and _are_answers(lists[name])), None)
    if name is None:
        return (row,)
    count = len(lists[name])
    objects = all(isinstance(part, Mapping) and not _is_message(part) for part in lists[name])
    shared = {
        key: values for key, values in lists.items()
        if key != name and len(values) == count and not _are_messages(values)
    }  # fmt: skip
    if not (shared or objects or count == 1) or ("response" in row and name != "response" and not objects):
        return (row,)
    rest = {key: value for key, value in row.items() if key != name and key not in shared}
    if not _tells_its_prompt(rest):
        rest["prompt_id"] = str(number)
    names = {key: _singular(str(key), rest) for key in shared}
    made = []
    for place, answer in enumerate(lists[name]):
        own = {names[key]: values[place] for key, values in shared.items()}
        made.append({**rest, **own, **(answer if objects else {"response": answer})})
    return made


def holds_several(row: Mapping[Any, Any]) -> bool:
    """Whether a row holds a list of answers."""
    return answers_of(row, 0)[0] is not row


def _listed(value: Any) -> list[Any] | None:
    """A list that is not empty; arrays of numpy are lists, too."""
    if hasattr(value, "tolist") and getattr(value, "ndim", 0) == 1:
        value = value.tolist()
    return value if isinstance(value, list) and value else None


def _are_answers(values: list[Any]) -> bool:
    if _are_messages(values):
        return False
    if all(isinstance(value, Mapping) for value in values):
        return all(any(part in value for part in PARTS) for value in values)
    return all(isinstance(value, str) or (isinstance(value, list) and _are_messages(value)) for value in values)


def _are_messages(values: list[Any]) -> bool:
    return bool(values) and all(map(_is_message, values))


def _is_message(value: Any) -> bool:
    return isinstance(value, Mapping) and ("role" in value or "from" in value or value.keys() == {"content"})


def _tells_its_prompt(row: Mapping[Any, Any]) -> bool:
    fields = sample_words().fields
    return any(name in row for name in (*PROMPTS, *fields["prompt"], *fields["prompt_id"]))


def _singular(name: str, there: Mapping[Any, Any]) -> str:
    short = SHORT.get(name, name.removeprefix("all_"))
    if short.endswith("s") and not short.endswith("ss") and short[:-1] not in there and not short.startswith("is_"):
        short = short[:-1]
    return name if short in there else short
