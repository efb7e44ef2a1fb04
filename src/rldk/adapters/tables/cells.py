"""Cells of tables in memory as plain values of Python."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SINGLE = frozenset({str, int, float, bool, type(None)})
_MISSING = frozenset({"NAType", "NaTType"})  # of pandas, which may not be loaded


def is_single(row: Mapping[Any, Any]) -> bool:
    """Whether a row has nothing but plain single values."""
    return SINGLE.issuperset(map(type, row.values()))


def plain_row(row: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """The row with plain cells; the same object where it has nothing else."""
    if is_single(row) or all(_is_plain(value) for value in row.values()):
        return row
    return {key: plain_cell(value) for key, value in row.items()}


def plain_cell(value: Any) -> Any:
    """The value as Python's own types: arrays and tensors as lists, scalars of numpy as numbers, pandas' missing values
    as None, tuples and sets as lists. Anything else as it is."""
    if type(value) in SINGLE:
        return value
    if type(value).__name__ in _MISSING:
        return None
    if hasattr(value, "tolist"):
        value = value.tolist()
    return list(value) if isinstance(value, tuple | set | frozenset) else value


def _is_plain(value: Any) -> bool:
    return type(value) in SINGLE or type(value) in (list, dict)
