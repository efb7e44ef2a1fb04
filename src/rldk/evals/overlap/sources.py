"""The texts of training data, one by one, from whatever holds them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rldk.adapters.frame import is_frame
from rldk.adapters.records import read_records
from rldk.core.samples import text_of
from rldk.errors import UnreadableSource
from rldk.evals.reading import rows_in_memory

SUFFIXES = (".jsonl", ".json", ".csv", ".tsv", ".parquet", ".jsonl.gz", ".ndjson")
LONGEST_NUMBER = 32  # characters


def texts_of_training(train: Any) -> Iterator[str]:
    """Yields every text of the training data; a record that cannot be read as a `UnreadRecord`. In a record, a number
    that is written as text, as in CSV, is no text."""
    if isinstance(train, str | os.PathLike):
        path = Path(train)
        files = _files(path) if path.is_dir() else [path]
        for file in files:
            yield from _texts(read_records(file))
    else:
        framed = not isinstance(train, list | tuple) and is_frame(train)
        yield from _texts(rows_in_memory(train) if framed else train)


def _files(folder: Path) -> list[Path]:
    found = sorted(p for p in folder.rglob("*") if p.is_file() and p.name.lower().endswith(SUFFIXES))
    if not found:
        raise UnreadableSource(f"{folder} holds no table", hint=f"files that end in {', '.join(SUFFIXES)}")
    return found


def _texts(records: Iterable[Any]) -> Iterator[str]:
    for record in records:
        if isinstance(record, str):  # a text, or why a record could not be read
            yield record
        elif isinstance(record, Mapping):
            for value in record.values():
                text = value if isinstance(value, str) else text_of(value) if isinstance(value, list | dict) else None
                if text and not (len(text) <= LONGEST_NUMBER and _is_number(text)):
                    yield text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
