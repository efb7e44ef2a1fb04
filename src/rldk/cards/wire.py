"""A report as one JSON document."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rldk.cards.overview import overview, summary
from rldk.core.codec import to_builtins
from rldk.core.model import SCHEMA_VERSION, Report
from rldk.core.registry import renderers


def render(report: Report, *, indent: int | None = 2) -> str:
    """`document` as text."""
    return dumps(document(report), indent=indent)


def document(report: Report) -> dict[str, Any]:
    """The report in plain JSON types, without its curves: those are in the log."""
    data = report.to_dict()
    data["meta"].pop("series", None)
    return data


def documents(reports: Sequence[Report], failures: Sequence[Mapping[str, str]] = ()) -> dict[str, Any]:
    """Several reports as one document, in the order given, with a summary that has the worst first.

    `failures`: the sources that could not be read, each with its `source` and a `message`."""
    lines = overview(reports, [(failure["source"], failure["message"]) for failure in failures])
    return {
        "schema_version": SCHEMA_VERSION,
        "summary": summary(lines),
        "reports": [document(report) for report in reports],
        "errors": list(failures),
    }


def dumps(value: Any, *, indent: int | None = 2) -> str:
    """Standard JSON in ASCII. A number that is not finite is "NaN", "Infinity" or "-Infinity", as in every report."""
    return json.dumps(to_builtins(value), indent=indent, ensure_ascii=True, allow_nan=False)


renderers.register("json", render)
