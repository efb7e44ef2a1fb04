"""Whether the answers are still texts: empty, looped, made of one character or word, or broken."""

from __future__ import annotations

import zlib

import numpy as np

from rldk.core.samples import sample_words
from rldk.core.stats.texts import dominant_part, loop_at_end
from rldk.evals.facts import Measurement, lacking, measured
from rldk.evals.intervals import LEAST, rate
from rldk.evals.registry import EvalOptions, evaluation, limit_of
from rldk.evals.table import EvalTable
from rldk.evals.verdicts import below

MOST = 20_000  # answers that are looked at; of more, so many are drawn
HEAD = 20_000  # characters of one that are compressed
LEAST_PACKED = 400  # characters; a shorter text does not compress
PACKED = 0.1  # compressed size as a share of the text; prose has 0.3 to 0.5, ten equal sentences 0.08
DOMINANT = 0.5
BROKEN = 0.01  # share of replacement characters


@evaluation("degenerate_text", title="Degenerate answers", needs=("response",), limit=0.05)
def degenerate_text(table: EvalTable, options: EvalOptions) -> tuple[Measurement, ...]:
    """The share of answers that are empty, end in a loop, consist mostly of one character or word, hold one phrase over
    and over, or have broken characters. It fails above 5 % [judgement]; it says nothing of what the answers mean.
    Where the data says how answers ended, also the share of answers that were cut."""
    found = _faults(table, options)
    return (found, _truncation(table)) if "finish_reason" in table.cells else (found,)


def _faults(table: EvalTable, options: EvalOptions) -> Measurement:
    title, limit = "Degenerate answers", limit_of("degenerate_text", options)
    rows = np.arange(table.rows)
    if len(rows) > MOST:
        rows = np.sort(np.random.default_rng(options.seed).choice(rows, MOST, replace=False))
    texts = table.texts("response")
    kinds = [fault_of(texts[row]) for row in rows.tolist()]
    there = np.array([kind != "missing" for kind in kinds])
    if int(there.sum()) < LEAST:
        return lacking("degenerate_text", title, f"needs {LEAST} answers; there are {int(there.sum())}", ("response",))
    cluster = table.clusters()
    hits = np.array([bool(kind) for kind in kinds], dtype=np.float64)[there]
    found = rate(hits, None if cluster is None else cluster[rows][there])
    counts = {name: kinds.count(name) for name in sorted({*kinds} - {"", "missing"})}
    status, why = below(found, limit)
    told = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    return measured(
        "degenerate_text", title, status, found, limit=limit, rule=f"below {limit:.0%}", share=True,
        reason=why + (f" ({told})" if why and told else ""), details={"kinds": counts, "looked_at": len(rows)},
    )  # fmt: skip


def fault_of(text: str | None) -> str:
    """What makes the text degenerate, in a word; "" for nothing, "missing" without a text."""
    if text is None:
        return "missing"
    if not text.strip():
        return "empty"
    if loop_at_end(text):
        return "looped"
    if dominant_part(text)[1] > DOMINANT:
        return "one word or character"
    if text.count("\ufffd") > BROKEN * len(text):
        return "broken characters"
    head = text[:HEAD].encode("utf-8", "replace")
    if len(head) >= LEAST_PACKED and len(zlib.compress(head, 6)) < PACKED * len(head):
        return "repetitive"
    return ""


def _truncation(table: EvalTable) -> Measurement:
    """The share of answers that were cut at the length limit. It has no rule: the right share is that of the task."""
    words = sample_words()
    told = [str(value).lower() if value is not None else "" for value in table.cells["finish_reason"]]
    known = np.array([word in words.cut or word in words.ended for word in told])
    hits = np.array([word in words.cut for word in told], dtype=np.float64)[known]
    cluster = table.clusters()
    found = rate(hits, None if cluster is None else cluster[known])
    return measured("truncation", "Truncated answers", "info", found, share=True)
