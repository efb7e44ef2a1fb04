"""Samples of lm-evaluation-harness (`lm_eval --log_samples --output_path DIR`): samples_<task>_<time>.jsonl."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rldk.adapters.records import UnreadRecord, read_records
from rldk.evals.formats import Converter

SCORES = ("acc", "exact_match", "acc_norm", "pass@1", "prompt_level_strict_acc", "em", "f1", "mc2", "mc1", "bleu")
_NAME = re.compile(r"samples_(?P<task>.+?)_\d{4}-\d\d-\d\dT")
MOST_FILES = 1000


def matches(record: Mapping[str, Any]) -> bool:
    """Whether a record is a logged sample: `doc_id`, `doc` and the responses of the model."""
    return "doc_id" in record and "doc" in record and ("resps" in record or "filtered_resps" in record)


def convert(record: Mapping[str, Any]) -> dict[str, Any]:
    """The sample in rldk's fields. The score is the first known metric of the sample, else its first number."""
    made: dict[str, Any] = {
        "prompt_id": _id(record),
        "response": _first(record.get("filtered_resps") or record.get("resps")),
    }
    arguments = record.get("arguments")
    prompt = _first(arguments.get("gen_args_0", arguments) if isinstance(arguments, Mapping) else arguments)
    if isinstance(prompt, str):
        made["prompt"] = prompt
    score = score_of(record)
    if score is not None:
        made["reward"] = score
        if score in (0, 1):
            made["correct"] = score
    if isinstance(record.get("task"), str):
        made["task"] = record["task"]
    return {key: value for key, value in made.items() if value is not None}


def score_of(record: Mapping[str, Any]) -> float | None:
    """The score of one sample; None where it has none."""
    own = record.get("metrics")
    names = [*SCORES, *(own if isinstance(own, list) else ())]
    for name in names:
        value = record.get(name)
        if isinstance(value, bool | int | float):
            return float(value)
    return None


def sample_files(folder: Path) -> list[Path]:
    """The sample files below a folder, by name."""
    return sorted(path for path in folder.glob("**/samples_*.jsonl") if path.is_file())[:MOST_FILES]


def read_folder(files: Sequence[Path]) -> Iterator[dict[str, Any] | UnreadRecord]:
    """The samples of all tasks. A sample's id holds its task, so that equal numbers of two tasks are two prompts."""
    for path in files:
        found = _NAME.match(path.name)
        task = found.group("task") if found else path.stem.removeprefix("samples_")
        for record in read_records(path):
            yield record if isinstance(record, UnreadRecord) else {**record, "task": task}


def _id(record: Mapping[str, Any]) -> str:
    task = record.get("task")
    return f"{task}/{record['doc_id']}" if isinstance(task, str) else str(record["doc_id"])


def _first(value: Any) -> Any:
    """The first text of nested lists and of the mappings that newer versions write."""
    for _ in range(6):
        if isinstance(value, list) and value:
            value = value[0]
        elif isinstance(value, Mapping) and value:
            value = value.get("arg_0", next(iter(value.values())))
    return value if isinstance(value, str) else None if isinstance(value, list | dict) else str(value)


CONVERTER = Converter(form="lm-eval", matches=matches, convert=convert)
