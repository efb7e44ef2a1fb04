"""How each rule did on labelled runs: the figures at the end of its page."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from rldk.core.text import first_few

SHOWN = 8  # faults named in a sentence


@cache
def _figures() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(__file__).with_suffix(".json").read_bytes())
    return found


def measurement(code: str) -> str:
    """The sentence that says how a rule did on the labelled corpora: its warnings on healthy runs, the faults it named.

    `python -m benchmarks.measured` writes the figures. A rule without figures was not measured."""
    figures = _figures()
    row, corpora = figures["rules"].get(code), figures["corpora"]
    if row is None or not row["checked"]:
        return f"Not measured: no run of the corpora ({corpora}) has what this rule looks at."
    quiet = f"It warned on {row['false']} of the {row['checked']} healthy runs that it could look at ({corpora})"
    if not row["faults"]:
        other = f", and it spoke on {row['off']} faulty runs of another family" if row["off"] else ""
        return f"{quiet}{other}. It named no fault: the corpora have none of its kind, or other rules name it."
    ranked = sorted(row["faults"].items(), key=lambda pair: (-pair[1], pair[0]))
    named = first_few([f"{fault.replace('_', ' ')} {n}" for fault, n in ranked], SHOWN)
    runs = "1 run" if row["hits"] == 1 else f"{row['hits']} runs"
    return f"{quiet}. It named the fault of {runs}, in {row['first']} of them first: {named}."
