"""What was measured of each rule on labelled runs: the figures that its page ends with."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

SHOWN = 8  # faults named in a sentence


@cache
def _figures() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(__file__).with_suffix(".json").read_bytes())
    return found


def measurement(code: str) -> str:
    """The sentence on how a rule did on the labelled corpora: warnings on healthy runs, and the faults it named.

    `python -m benchmarks.measured` writes the figures; a rule that they do not know was not measured."""
    figures = _figures()
    row, corpora = figures["rules"].get(code), figures["corpora"]
    if row is None or not row["checked"]:
        return f"Not measured: no run of the corpora ({corpora}) has what it looks at."
    quiet = f"Warned on {row['false']} of the {row['checked']} healthy runs it could look at ({corpora})"
    if not row["faults"]:
        other = f"; spoke on {row['off']} faulty ones of another family" if row["off"] else ""
        return f"{quiet}{other}. It named no fault: there is none of its kind in the corpora, or others name it."
    ranked = sorted(row["faults"].items(), key=lambda pair: (-pair[1], pair[0]))
    named = ", ".join(f"{fault.replace('_', ' ')} {n}" for fault, n in ranked[:SHOWN])
    more = f" and {len(ranked) - SHOWN} more" if len(ranked) > SHOWN else ""
    runs = "1 run" if row["hits"] == 1 else f"{row['hits']} runs"
    return f"{quiet}. It named the fault of {runs}, {row['first']} of them first: {named}{more}."
