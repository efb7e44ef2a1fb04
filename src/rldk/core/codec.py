"""Converts the values of `core.model` to plain JSON types and back.

JSON has no NaN: a float that is not finite becomes "NaN", "Infinity" or "-Infinity", and a missing cell of a table
becomes null. They come back as floats wherever the field is typed. Inside free-form mappings (evidence, config) they
stay text."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import date
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

import msgspec

from rldk.core.table import PHASES, MetricTable
from rldk.errors import MalformedInput

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

T = TypeVar("T")
_NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
READER = "sample_reader"  # of a run: a way to read its samples again, no value
_HINT = "was the file written by rldk, and is it whole?"


def to_builtins(value: Any) -> Any:
    """The value as dict, list, str, int, finite float, bool and None. Raises `TypeError` for a value without a JSON
    form."""
    match value:
        case MetricTable():
            return _plain_table(value)
        case Mapping():
            return {str(key): to_builtins(item) for key, item in value.items()}
        case list() | tuple():
            return [to_builtins(item) for item in value]
        case set() | frozenset():
            return [to_builtins(item) for item in sorted(value)]
    numpy = sys.modules.get("numpy")  # while numpy is not loaded, no value has its types
    if numpy is not None and isinstance(value, numpy.ndarray | numpy.generic):
        return to_builtins(value.tolist())
    if isinstance(value, msgspec.Struct):
        fields = {name: getattr(value, name) for name in value.__struct_fields__}
        return {name: to_builtins(item) for name, item in fields.items() if name != READER}
    return _plain_leaf(value)


def _plain_leaf(value: Any) -> Any:
    match value:
        case None | bool():
            return value
        case Enum():
            return to_builtins(value.value)
        case str():
            return str(value)
        case int():
            return int(value)
        case float():
            return _finite(value)
        case date():
            return value.isoformat()
        case os.PathLike():
            return os.fspath(value)
        case _:
            raise TypeError(f"{type(value).__name__} has no JSON form")


def from_builtins(data: Mapping[str, Any], cls: type[T]) -> T:
    """The value of type `cls` that `to_builtins` made `data` from. Unknown keys are ignored, so that newer files open.

    Raises `MalformedInput` with the name of the field when a type is wrong or a field is missing."""
    try:
        if cls is MetricTable:
            return _table(data)  # type: ignore[return-value]
        hints = get_type_hints(cls)
        names = [name for name in cls.__struct_fields__ if name in data]  # type: ignore[attr-defined]
        return cls(**{name: _restore(data[name], hints[name]) for name in names})
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise MalformedInput(f"not a stored {cls.__name__}: {error}", hint=_HINT) from None


def to_json(value: Any, *, indent: int | None = None) -> str:
    """JSON text of `to_builtins`, ASCII only. The same value gives the same text."""
    return json.dumps(to_builtins(value), indent=indent, allow_nan=False)


def from_json(text: str | bytes, cls: type[T]) -> T:
    """The value of type `cls` that `to_json` wrote. Raises `MalformedInput`."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MalformedInput(f"not a stored {cls.__name__}: {error}", hint=_HINT) from None
    return from_builtins(data, cls)


def _restore(value: Any, hint: Any) -> Any:
    if hint is MetricTable:
        return _table(value)
    return msgspec.convert(value, hint, strict=False)  # lax: "NaN" is a float where one is expected


def _finite(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


def _plain_table(table: MetricTable) -> dict[str, Any]:
    return {
        "step": table.step.tolist(),
        "phase": [PHASES[i] for i in table.phase.tolist()],
        "segment": table.segment.tolist(),
        "time": _cells(table.time, frozenset()),
        "columns": {
            name: _cells(column, frozenset(table.stated_nan[name].tolist() if name in table.stated_nan else ()))
            for name, column in table.columns.items()
        },
    }


def _cells(column: NDArray[np.float64], stated: frozenset[int]) -> list[float | str | None]:
    return [
        None if value != value and row not in stated else _finite(value) for row, value in enumerate(column.tolist())
    ]


def _table(data: Mapping[str, Any]) -> MetricTable:
    import numpy as np

    columns = {name: _column(cells) for name, cells in data["columns"].items()}
    stated = {name: [i for i, cell in enumerate(cells) if cell == "NaN"] for name, cells in data["columns"].items()}
    table = MetricTable(
        step=np.array(data["step"], dtype=np.int64),
        columns=columns,
        phase=np.array([PHASES.index(phase) for phase in data["phase"]], dtype=np.uint8),
        segment=np.array(data["segment"], dtype=np.int32),
        time=_column(data["time"]),
        stated_nan={name: np.array(rows, dtype=np.int64) for name, rows in stated.items() if rows},
    )
    arrays: dict[str, NDArray[Any]] = {"phase": table.phase, "segment": table.segment, "time": table.time, **columns}
    for name, array in arrays.items():
        if array.shape != table.step.shape:
            raise ValueError(f"{name!r} has {len(array)} values on {len(table)} rows")
    return table


def _column(cells: Sequence[float | str | None]) -> NDArray[np.float64]:
    import numpy as np

    numbers = [math.nan if x is None else _NON_FINITE[x] if isinstance(x, str) else x for x in cells]
    return np.array(numbers, dtype=np.float64)
