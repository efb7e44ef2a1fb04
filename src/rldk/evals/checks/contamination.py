"""Whether the training data holds the texts of the evaluation."""

from __future__ import annotations

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from rldk.core.stats.estimates import Estimate
from rldk.evals.facts import Measurement, MeasureState, lacking, measured
from rldk.evals.registry import EvalOptions, evaluation, limit_of
from rldk.evals.table import EvalTable

FINE = 0.001  # share that passes
SHOWN = 5


@evaluation("contamination", title="Contamination", needs=("prompt|response",), also="--train", limit=0.01)
def contamination(table: EvalTable, options: EvalOptions) -> tuple[Measurement, ...]:
    """The share of the evaluation's prompts that the training data holds: as a whole, in half of their runs of 13
    words, or nearly (MinHash). Without prompts, of its answers.

    It fails above 1 % and warns above 0.1 %. The share is a fact about this data. Runs that 1 % of the prompts share
    are part of a template and do not count."""
    title = "Contamination"
    if options.train is None:
        return (lacking("contamination", title, "needs the training data (`train=`, `--train`)", ("train",)),)
    from rldk.evals.overlap.search import find_overlap

    texts = table.texts("prompt" if "prompt" in table.cells else "response")
    found = find_overlap(options.train, texts, tell=lambda words: _tell(options, words))
    there = np.array([bool(text) for text in texts])
    total, limit = int(there.sum()), limit_of("contamination", options)
    made = []
    words = {"exact": "whole texts", "covered": "half of the runs of 13 words", "near": "nearly the same text"}
    for name, kind in words.items():
        hits = getattr(found, name)
        one = _share(f"contamination.{name}", f"{title}: {kind}", "info", hits, total)
        made.append(replace(one, reason=_left_out(found.left_out)) if name == "near" and found.left_out else one)
    share = float(found.found.sum()) / total if total else 0.0
    status: MeasureState = "fail" if share > limit else "warn" if share > FINE else "pass"
    rows = np.flatnonzero(found.found)[:SHOWN].tolist()
    reason = f"row{'s' if len(rows) > 1 else ''} {', '.join(str(row + 1) for row in rows)}" + (
        " and others" if found.found.sum() > SHOWN else ""
    )
    lead = _share("contamination", title, status, found.found, total)
    details = {"searched": found.searched, "rejected": found.rejected, "rows": rows, "left_out": found.left_out}
    lead = replace(lead, limit=limit, rule=f"at most {limit:.1%}", reason=reason if rows else "", details=details)
    return (lead, *made)


def _tell(options: EvalOptions, words: str) -> None:
    if options.tell is not None:
        options.tell(f"contamination: {words}")


def _left_out(count: int) -> str:
    return f"{count:,} comparisons with texts of a common template were left out, so that there may be more"


def _share(name: str, title: str, status: MeasureState, hits: NDArray[np.bool_], total: int) -> Measurement:
    value = float(hits.sum()) / total if total else float("nan")
    return measured(name, title, status, Estimate(value=value, n=total, clusters=total, method="counted"), share=True)
