"""A report as one JSON document."""

from __future__ import annotations

import json
import math
from typing import Any

from rldk.core.model import Report
from rldk.core.registry import renderers


def document(report: Report) -> dict[str, Any]:
    """The report in plain JSON types, without its curves (they are in the log). A NaN or infinite number is null."""
    data: dict[str, Any] = strict(report.to_dict())
    data["meta"].pop("series", None)
    return data


def render(report: Report, *, indent: int | None = 2) -> str:
    """`document` as text."""
    return dumps(document(report), indent=indent)


def dumps(value: Any, *, indent: int | None = 2) -> str:
    """Standard JSON: never the bare NaN that other readers refuse, nor a lone surrogate."""
    return json.dumps(strict(value), indent=indent, ensure_ascii=True, allow_nan=False)


def strict(value: Any) -> Any:
    """The same value with every float that JSON cannot say as None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(k): strict(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [strict(v) for v in value]
    return value


renderers.register("json", render)
