"""Results of RewardBench (`rewardbench --save_all`): scores of a chosen and a rejected answer to each prompt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rldk.evals.formats import Converter


def matches(record: Mapping[str, Any]) -> bool:
    """Whether a record has the scores of both answers under RewardBench's names."""
    return "scores_chosen" in record and "scores_rejected" in record


def convert(record: Mapping[str, Any]) -> dict[str, Any]:
    """The pair in rldk's fields. `results` says whether the chosen answer scores higher; a tie counts as a half there,
    so the scores decide here. Of several rejected answers (RewardBench 2) the best one counts."""
    made = {
        "prompt_id": record.get("id"),
        "prompt": record.get("prompt"),
        "category": record.get("subset"),
        "chosen_score": _best(record["scores_chosen"]),
        "rejected_score": _best(record["scores_rejected"]),
    }
    return {key: value for key, value in made.items() if value is not None}


def _best(value: Any) -> Any:
    """The highest of several scores; a score in a list of one is that score."""
    if isinstance(value, list):
        singles = [v[0] if isinstance(v, list) and v else v for v in value]
        numbers = [float(v) for v in singles if isinstance(v, int | float)]
        return max(numbers) if numbers else None
    return value


CONVERTER = Converter(form="rewardbench", matches=matches, convert=convert)
