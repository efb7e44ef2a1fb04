"""A folder whose files are the parts of one table, such as a dataset of Hugging Face on disk."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

KINDS = ((".arrow", ".feather"), (".parquet",), (".jsonl", ".ndjson", ".jsonl.gz", ".jsonl.zst"),
         (".csv", ".tsv", ".csv.gz"), (".json", ".json.gz"))  # fmt: skip
SPLITS = ("train", "training", "validation", "valid", "val", "eval", "test", "dev")
NO_ROWS = frozenset({"dataset_info.json", "state.json", "dataset_dict.json", "config.json"})
MOST_FILES = 10_000


def parts_of_table(folder: Path) -> list[tuple[str, Path]]:
    """The files of the table below a folder, each with the split that its name or its folder states ("" without one).

    All are of one kind: Arrow before Parquet before JSON lines before CSV before JSON. Empty where there are none."""
    files = [path for path in sorted(islice(folder.rglob("*"), MOST_FILES)) if path.is_file() and _may_hold_rows(path)]
    for endings in KINDS:
        found = [path for path in files if path.name.lower().endswith(endings)]
        if found:
            return [(_split_of(path, folder), path) for path in found]
    return []


def _may_hold_rows(path: Path) -> bool:
    return path.name not in NO_ROWS and not path.name.startswith((".", "cache-"))


def _split_of(path: Path, folder: Path) -> str:
    """The split in `train-00000-of-00002.parquet`, or in `train/data-00000-of-00001.arrow`."""
    inside = path.relative_to(folder)
    words = [path.name.replace(".", "-").replace("_", "-").split("-")[0], *reversed(inside.parts[:-1])]
    return next((word.lower() for word in words if word.lower() in SPLITS), "")
