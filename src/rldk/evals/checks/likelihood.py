"""How well the model predicts texts: perplexity and bits per byte, from log-probabilities and lengths."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from msgspec.structs import replace

from rldk.core.records import to_number
from rldk.core.stats.clustered import clustered_mean, clustered_ratio
from rldk.core.stats.estimates import Estimate
from rldk.evals.facts import Measurement, lacking, measured
from rldk.evals.intervals import LEAST
from rldk.evals.registry import EvalOptions, evaluation
from rldk.evals.table import Array, EvalTable

TITLE = "Perplexity"
SOURCES = "logprobs|loglikelihood|nll|loss"
MOST_EXPONENT = 700.0  # e^700 is about the largest float


@evaluation("perplexity", title=TITLE, needs=(SOURCES,))
def perplexity(table: EvalTable, options: EvalOptions) -> tuple[Measurement, ...]:  # noqa: ARG001 - all take options
    """exp of the mean negative log-probability of a token, over all tokens of all texts, and bits per byte where the
    lengths in bytes are known. A token counts the same in a long text as in a short one; the interval is that of a
    ratio of sums, over independent texts. Without token counts, per word.

    It has no rule. Perplexity per token can be compared between models of one tokenizer only; bits per byte between
    all. Of a model's own answers it says how sure the model is, not how good."""
    total, tokens, impossible = token_losses(table)
    units: list[tuple[str, Array]] = [("token", tokens), ("word", table.number("n_words"))]
    unit, length = next(((n, u) for n, u in units if (np.isfinite(total) & (u > 0)).any()), ("", tokens))
    note = f"{impossible:,} rows have a log-probability above 0 and were left out" if impossible else ""
    made = []
    if unit:
        found, texts = _ratio(table, total, length)
        title = f"{TITLE} per {unit}"
        made.append(
            _told(("perplexity", title), found, math.exp, note, {"texts": texts, f"{unit}s": _sum(total, length)})
        )
    elif "loss" in table.cells:
        made.append(_of_losses(table, note))
    size = table.number("n_bytes")
    if (np.isfinite(total) & (size > 0)).any():
        found, texts = _ratio(table, total, size)
        details = {"texts": texts, "bytes": _sum(total, size)}
        made.append(_told(("bits_per_byte", "Bits per byte"), found, lambda x: x / math.log(2), note, details))
    if not made:
        reason = "needs the number of tokens, words or bytes of each text"
        return (lacking("perplexity", TITLE, reason, ("n_tokens|n_words|n_bytes",)),)
    return tuple(made)


def token_losses(table: EvalTable) -> tuple[Array, Array, int]:
    """The negative log-probability of each text and its number of tokens, shape (rows,); NaN where they are not known.

    Also how many rows were left out because they state a log-probability above 0, which does not exist."""
    tokens = table.number("n_tokens")
    if "logprobs" in table.cells:
        parts = [_summed(value) for value in table.cells["logprobs"]]
        total = -np.array([part[0] for part in parts])
        tokens = np.array([part[1] for part in parts])
    elif "loglikelihood" in table.cells:
        total = -table.number("loglikelihood")
    elif "nll" in table.cells:
        total = table.number("nll")
    else:
        total = table.number("loss") * tokens
    wrong = total < 0
    total[wrong] = np.nan
    return total, tokens, int(wrong.sum())


def _summed(value: Any) -> tuple[float, float]:
    """The sum of a text's log-probabilities and their number. The first token may have none; a value that is no number
    makes the text unknown."""
    if not isinstance(value, list | tuple | np.ndarray) or not len(value):
        return math.nan, math.nan
    every = list(value)[1:] if value[0] is None else list(value)
    numbers = [to_number(one) for one in every]
    if not numbers or any(n is None or not math.isfinite(n) or n > 0 for n in numbers):
        above = any(n is not None and n > 0 for n in numbers)
        return (1.0 if above else math.nan), math.nan
    return float(sum(n for n in numbers if n is not None)), float(len(numbers))


def _ratio(table: EvalTable, total: Array, length: Array) -> tuple[Estimate, int]:
    there = np.isfinite(total) & (length > 0)
    cluster = table.clusters()
    found = clustered_ratio(total[there], length[there], None if cluster is None else cluster[there])
    return _only_of_several(found), int(there.sum())


def _sum(total: Array, length: Array) -> int:
    return int(length[np.isfinite(total) & (length > 0)].sum())


def _of_losses(table: EvalTable, note: str) -> Measurement:
    """From mean losses without lengths: every text counts the same."""
    loss = table.number("loss")
    there = np.isfinite(loss) & (loss >= 0)
    cluster = table.clusters()
    found = clustered_mean(loss[there], None if cluster is None else cluster[there])
    reason = "the number of tokens is not known, so that every text counts the same"
    reason = f"{note}; {reason}" if note else reason
    return _told(("perplexity", TITLE), _only_of_several(found), math.exp, reason, {"texts": int(there.sum())})


def _only_of_several(found: Estimate) -> Estimate:
    """The estimate without its interval where it comes from fewer than ten texts."""
    if found.clusters >= LEAST:
        return found
    return replace(found, low=math.nan, high=math.nan, method=f"fewer than {LEAST} texts")


def _told(
    named: tuple[str, str], found: Estimate, scale: Callable[[float], float], reason: str, details: dict[str, Any]
) -> Measurement:
    """The measurement on another scale; the interval is that of the mean log-probability, on that scale."""
    why = [] if found.bounded else [f"no interval: {found.method.replace('cluster', 'text')}"]
    reason = "; ".join([*filter(None, [reason]), *why])
    value, low, high = (scale(min(x, MOST_EXPONENT)) if x == x else x for x in (found.value, found.low, found.high))
    estimate = replace(found, value=value, low=low, high=high)
    return measured(*named, "info", estimate, reason=reason, details={**details, "nats": found.value})
