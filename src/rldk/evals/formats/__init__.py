"""The outputs of evaluation tools, as records in rldk's fields."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

Record = Mapping[str, Any]
GRADED = ("lm-eval", "inspect_ai")  # a score of theirs is right or wrong where it is 0 or 1 throughout a task
# what a user may choose among their scores; the last one is what `grades` is by
CHOICES: Mapping[str, tuple[str, ...]] = {"lm-eval": ("filter", "metric"), "inspect_ai": ("scorer",)}


class Converter(Struct, frozen=True, kw_only=True):
    """A tool's records. `form`: its name. `matches`: whether a record is one. `convert`: the record in rldk's fields;
    what a record lacks is left out."""

    form: str
    matches: Callable[[Record], bool]
    convert: Callable[[Record], dict[str, Any]]


def converter_of(records: Sequence[Record]) -> Converter | None:
    """The converter that fits the first record; None for records under plain names."""
    from rldk.evals.formats import lm_eval, rewardbench

    if not records:
        return None
    known = (lm_eval.CONVERTER, rewardbench.CONVERTER)
    return next((each for each in known if each.matches(records[0])), None)


def records_of_tool(path: Path) -> tuple[str, Iterable[Any]] | None:
    """The name of the tool and the records of its folder or archive; None for anything else."""
    from rldk.evals.formats import inspect_ai, lm_eval

    if path.is_dir():
        samples = lm_eval.sample_files(path)
        return ("lm-eval", lm_eval.read_folder(samples)) if samples else None
    if path.is_file() and inspect_ai.is_log(path):
        return "inspect_ai", inspect_ai.read_log(path)
    return None
