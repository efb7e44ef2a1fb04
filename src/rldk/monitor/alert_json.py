"""An alert as one JSON document."""

from __future__ import annotations

import json
from typing import Any

from rldk.core.codec import to_builtins
from rldk.core.model import Alert
from rldk.engine.actions.message import facts

SCHEMA_VERSION = 1


def record(alert: Alert, *, monitor: str, written: float, late: bool = False) -> dict[str, Any]:
    """The alert in plain JSON types. `written`: unix seconds. `late`: the alert was due while nobody watched.

    Texts from the log are on one line, without control characters. A number that is not finite is "NaN", "Infinity" or
    "-Infinity"."""
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "alert",
        "monitor": monitor,
        "written": written,
        "late": late,
        **facts(alert),
        "finding": {k: v for k, v in to_builtins(alert.finding).items() if k != "evidence"},
    }


def text(document: dict[str, Any]) -> str:
    """One line of JSON in ASCII."""
    return json.dumps(document, ensure_ascii=True, allow_nan=False)
