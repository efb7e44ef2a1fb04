"""The rows that one JSON document stands for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

LISTS = ("rows", "data", "samples", "results", "records", "examples", "instances", "items", "entries", "annotations",
         "predictions")  # fmt: skip


def rows_of_document(found: Any) -> Iterable[Any]:
    """The rows of a document: a list of objects, alone or under a usual name; lists side by side; names of columns
    with the cells of each row (W&B tables, pandas' `split`); columns or rows by their labels (pandas' `columns` and
    `index`); else the document itself."""
    if not isinstance(found, dict):
        return found if isinstance(found, list) else [found]
    names, cells = found.get("columns"), found.get("data", found.get("rows"))
    if isinstance(names, list) and isinstance(cells, list) and cells and all(isinstance(row, list) for row in cells):
        return _with_names([_name_of(name) for name in names], cells)
    named = next((found[key] for key in LISTS if _holds_objects(found.get(key))), None)
    if named is not None:
        return list(named)
    inside = next((found[key] for key in LISTS if _holds_a_list(found.get(key))), None)
    if inside is not None:
        return rows_of_document(inside)
    return _labelled(found) or _side_by_side(found) or [found]


def _with_names(names: list[str], cells: list[list[Any]]) -> Iterable[Any]:
    return (dict(zip(names, row, strict=True)) if len(row) == len(names) else row for row in cells)


def _name_of(column: Any) -> str:
    return str(column.get("name", column)) if isinstance(column, Mapping) else str(column)


def _holds_objects(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(row, dict) for row in value)


def _holds_a_list(value: Any) -> bool:
    return isinstance(value, dict) and any(_holds_objects(value.get(key)) for key in LISTS)


def _side_by_side(found: dict[str, Any]) -> Iterable[Any] | None:
    """The rows of lists of equal length; None where they are rather one sample with its tokens."""
    columns = {key: value for key, value in found.items() if isinstance(value, list)}
    lengths = {len(value) for value in columns.values()}
    rest = {key: value for key, value in found.items() if key not in columns}
    if len(columns) <= max(1, len(rest)) or len(lengths) != 1 or max(lengths) < 2:
        return None
    return ({**rest, **dict(zip(columns, row, strict=True))} for row in zip(*columns.values(), strict=True))


def _labelled(found: dict[str, Any]) -> Iterable[Any] | None:
    """The rows of objects that all have the same keys: columns by label where the inner keys count, else rows by label,
    which is their `id` where they have none. None for anything else."""
    parts = list(found.values())
    if len(parts) < 2 or not all(isinstance(part, dict) and part for part in parts):
        return None
    labels = parts[0].keys()
    if all(key.isdigit() for key in labels) and not all(key.isdigit() for key in found):
        if all(part.keys() == labels for part in parts):
            return ({name: part[label] for name, part in found.items()} for label in labels)
        return None
    if not all(part.keys() & labels for part in parts):
        return None
    return ({"id": key, **part} for key, part in found.items())
