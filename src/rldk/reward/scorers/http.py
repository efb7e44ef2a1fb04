"""Scores from an HTTP server."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from rldk.core.records import SCORE_KEYS
from rldk.engine.services.json_server import JsonServer
from rldk.errors import UnreadableSource
from rldk.reward.scorers.items import ScoredItems
from rldk.reward.scorers.options import Advance, ModelScores, ScorerOptions


def ask_server(address: str, items: ScoredItems, options: ScorerOptions, advance: Advance) -> ModelScores:
    """The scores that the server at `address` gives, asked in batches.

    Each request is a POST of `{"input": [texts], "prompts": [...], "responses": [...]}`. The answer is a list of
    numbers, or an object with one under "scores", or a list of objects under "data" (in the order of their "index")
    with a "score", "reward" or "value" each, or with "data", as vLLM writes it.
    `rldk.engine.services.json_server` says when a request is tried again.

    Raises `UnreadableSource` and `UsageError`."""
    server = JsonServer(
        address=address, word="scorer", timeout_s=options.timeout_s, retries=options.retries,
        token_variable=options.token_variable,
    )  # fmt: skip
    place = server.place
    scores = np.full(len(items), np.nan)
    lock = threading.Lock()

    def ask(begin: int) -> None:
        cut = slice(begin, begin + options.batch)
        values = _scores(server.post(_body(items, cut)), len(items.prompts[cut]), place)
        with lock:
            scores[cut] = values
            advance(len(values))

    starts = range(0, len(items), max(1, options.batch))
    with ThreadPoolExecutor(max_workers=max(1, options.concurrency)) as pool:
        list(pool.map(ask, starts))
    return ModelScores(name=place, scores=scores)


def _body(items: ScoredItems, cut: slice) -> dict[str, Any]:
    told: dict[str, Any] = {"input": items.texts()[cut], "prompts": items.prompts[cut]}
    return told if items.responses is None else {**told, "responses": items.responses[cut]}


def _scores(told: Any, count: int, place: str) -> list[float]:
    values = told
    if isinstance(told, Mapping):
        values = next((told[key] for key in ("scores", "rewards", "data", "results") if key in told), None)
    if not isinstance(values, Sequence) or isinstance(values, str) or len(values) != count:
        size = len(values) if isinstance(values, Sequence) and not isinstance(values, str) else "no list of"
        raise UnreadableSource(f"{place} gave {size} scores for {count} texts", hint="one for each text is needed")
    if all(isinstance(v, Mapping) and isinstance(v.get("index"), int) for v in values):
        values = sorted(values, key=lambda v: v["index"])
    return [_one(value, place) for value in values]


def _one(value: Any, place: str) -> float:
    if isinstance(value, Mapping):
        found = [value[key] for key in (*SCORE_KEYS, "data") if key in value]
        if not found:
            words = f"{place} gave an object without a score: it has {', '.join(map(str, value))[:200] or 'nothing'}"
            raise UnreadableSource(words, hint=f"a score stands under one of {', '.join(SCORE_KEYS)}")
        value = found[0]
    while isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 1:
        value = value[0]
    if value is None:
        return float("nan")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UnreadableSource(f"{place} gave a score that is no number", hint=f"one of {', '.join(SCORE_KEYS)}")
    try:
        return float(value)
    except OverflowError:
        raise UnreadableSource(f"{place} gave a score that is too large", hint="give finite numbers") from None
