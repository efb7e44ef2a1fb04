"""Results of RewardBench (`_outputs.jsonl`, `_all.jsonl`, `eval-set-scores`): a chosen and a rejected answer each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rldk.core.samples import text_of
from rldk.evals.formats import Converter


def matches(record: Mapping[str, Any]) -> bool:
    """Whether a record has the scores of both answers under RewardBench's names.

    `--save_all` writes nothing but `chosen` and `rejected`, both numbers. RewardBench 2 has one list of scores, the
    right answers first."""
    named = "scores_chosen" in record and "scores_rejected" in record
    return named or _only_numbers(record) or _listed(record) is not None


def convert(record: Mapping[str, Any]) -> dict[str, Any]:
    """The pair in rldk's fields. `results` says whether the chosen answer scores higher; a tie counts as a half there,
    so the scores decide here. Of several rejected answers (RewardBench 2) the best one counts; of several chosen ones
    the worst, because every right answer must be above every wrong one."""
    if _only_numbers(record):
        return {"chosen_score": record["chosen"], "rejected_score": record["rejected"]}
    listed = _listed(record)
    chosen, rejected = listed or (record.get("scores_chosen"), record.get("scores_rejected"))
    made = {
        "prompt_id": record.get("id"),
        "prompt": text_of(record.get("prompt")),
        "category": record.get("subset"),
        "chosen_score": _extreme(chosen, min),
        "rejected_score": _extreme(rejected, max),
    }
    return {key: value for key, value in made.items() if value is not None}


def _only_numbers(record: Mapping[str, Any]) -> bool:
    return set(record) == {"chosen", "rejected"} and all(_is_number(value) for value in record.values())


def _listed(record: Mapping[str, Any]) -> tuple[list[Any], list[Any]] | None:
    """The scores of the right and of the wrong answers, from RewardBench 2's `scores` and `num_correct`."""
    scores, right = record.get("scores"), record.get("num_correct")
    if not isinstance(scores, list) or not isinstance(right, int) or not 0 < right < len(scores):
        return None
    return scores[:right], scores[right:]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _extreme(value: Any, which: Callable[[list[float]], float]) -> Any:
    """The lowest or highest of several scores; a score in a list of one is that score."""
    if isinstance(value, list):
        singles = [v[0] if isinstance(v, list) and v else v for v in value]
        numbers = [float(v) for v in singles if _is_number(v)]
        return which(numbers) if numbers else None
    return value


CONVERTER = Converter(form="rewardbench", matches=matches, convert=convert)
