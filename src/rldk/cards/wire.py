"""A report as one JSON document."""

from __future__ import annotations

import json
from typing import Any

from rldk.core.codec import to_builtins
from rldk.core.model import Report
from rldk.core.registry import renderers


def render(report: Report, *, indent: int | None = 2) -> str:
    """`document` as text."""
    return dumps(document(report), indent=indent)


def document(report: Report) -> dict[str, Any]:
    """The report in plain JSON types, without its curves: they are in the log."""
    data = report.to_dict()
    data["meta"].pop("series", None)
    return data


def dumps(value: Any, *, indent: int | None = 2) -> str:
    """Standard JSON in ASCII: a number that is not finite is "NaN", "Infinity" or "-Infinity", as in every report."""
    return json.dumps(to_builtins(value), indent=indent, ensure_ascii=True, allow_nan=False)


renderers.register("json", render)
