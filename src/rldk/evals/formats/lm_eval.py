"""Samples of lm-evaluation-harness (`lm_eval --log_samples --output_path DIR`): samples_<task>_<time>.jsonl."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rldk.adapters.records import UnreadRecord, read_records
from rldk.core.records import to_number
from rldk.core.samples import text_of
from rldk.evals.formats import Converter

SCORES = ("acc", "exact_match", "acc_norm", "pass@1", "prompt_level_strict_acc", "em", "f1", "mc2", "mc1", "bleu")
NOT_PARSED = frozenset({"[invalid]", "<invalid>"})  # lm_eval/filters/extraction.py: the fallback of its filters
ROLLING = {"word_perplexity": "n_words", "byte_perplexity": "n_bytes", "bits_per_byte": "n_bytes"}
_NAME = re.compile(r"samples_(?P<task>.+?)_\d{4}-\d\d-\d\dT")
MOST_FILES = 1000


def matches(record: Mapping[str, Any]) -> bool:
    """Whether a record is a logged sample: `doc_id`, `doc` and the responses of the model."""
    return "doc_id" in record and "doc" in record and ("resps" in record or "filtered_resps" in record)


def convert(record: Mapping[str, Any]) -> dict[str, Any]:
    """The sample in rldk's fields. `grades` has its metrics, the known ones first: which one counts is chosen for the
    whole task.

    Of a choice among options the response is the option with the highest log-probability."""
    made: dict[str, Any] = {"prompt_id": _id(record), "gold": text_of(record.get("target"))}
    options = _options(record.get("arguments"))
    if options:
        made["prompt"] = options[0][0]
    scored = _log_probabilities(record, len(options))
    if scored is None:
        made["response"] = _first(record.get("resps") or record.get("filtered_resps"))
        parsed = _first(record.get("filtered_resps"))
        made["parsed"] = "" if parsed in NOT_PARSED else parsed
    else:
        made |= _of_choices(record, options, scored)
    made["grades"] = {name: [score, None] for name, score in scores_of(record).items()} or None
    rolling = _rolling(record)
    if rolling:
        made = {"prompt_id": made["prompt_id"], "prompt": made.get("prompt"), **rolling}
    for name in ("task", "filter"):
        if isinstance(record.get(name), str):
            made[name] = record[name]
    return {key: value for key, value in made.items() if value is not None}


def _options(arguments: Any) -> list[tuple[str, str]]:
    """Prompt and continuation of each request; the continuation of a generation is ""."""
    each = list(arguments.values()) if isinstance(arguments, Mapping) else arguments
    made: list[tuple[str, str]] = []
    for one in each if isinstance(each, list) else ():
        parts = [one.get("arg_0"), one.get("arg_1")] if isinstance(one, Mapping) else list(one)[:2]
        if isinstance(parts[0], str):
            after = parts[1] if len(parts) > 1 and isinstance(parts[1], str) else ""
            made.append((parts[0], after))
    return made


def _log_probabilities(record: Mapping[str, Any], options: int) -> list[float] | None:
    """The log-probability of each option; None for a sample whose answer was generated.

    Each is a pair of the number and whether the option is what greedy decoding says; versions before 0.4.4 wrote both
    as text."""
    found = record.get("filtered_resps")
    if not isinstance(found, list) or not options or len(found) < options:
        return None
    made = []
    for one in found[:options]:
        if not (isinstance(one, list) and len(one) == 2 and str(one[1]) in ("True", "False")):
            return None
        number = to_number(one[0])
        if number is None:
            return None
        made.append(number)
    return made


def _of_choices(record: Mapping[str, Any], options: list[tuple[str, str]], scored: list[float]) -> dict[str, Any]:
    if len(scored) == 1:
        return {"expected_logprob": scored[0], "response": None}
    chosen = max(range(len(scored)), key=scored.__getitem__)
    made: dict[str, Any] = {"response": options[chosen][1].strip() or None, "n_choices": len(scored)}
    target = to_number(record.get("target"))
    if target is not None and target == int(target) and 0 <= target < len(scored):
        made["expected_logprob"] = scored[int(target)]
        made["gold"] = options[int(target)][1].strip()
    else:
        made["gold"] = None
    return made


def _rolling(record: Mapping[str, Any]) -> dict[str, Any]:
    """The log-likelihood of a whole text with its length in words or bytes (`loglikelihood_rolling`)."""
    made: dict[str, Any] = {}
    for name, unit in ROLLING.items():
        pair = record.get(name)
        if isinstance(pair, list) and len(pair) == 2:
            made["loglikelihood"], made[unit] = pair
    return made


def scores_of(record: Mapping[str, Any]) -> dict[str, float]:
    """The metrics of one sample that are numbers, the known ones first."""
    own = record.get("metrics")
    names = dict.fromkeys([*SCORES, *(own if isinstance(own, list) else ())])
    return {name: float(record[name]) for name in names if isinstance(name, str) and _is_number(record.get(name))}


def _is_number(value: Any) -> bool:
    return isinstance(value, bool | int | float)


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
