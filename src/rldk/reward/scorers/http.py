"""Asks an HTTP server for scores. It follows no redirect, and no message shows a token or the query of the address."""

from __future__ import annotations

import http.client
import json
import os
import threading
import time
import urllib.request
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

import numpy as np

from rldk.errors import UnreadableSource, UsageError
from rldk.reward.scorers.items import ScoredItems
from rldk.reward.scorers.options import Advance, ModelScores, ScorerOptions

MOST_BYTES = 64 << 20  # of an answer
AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
LONGEST_WAIT_S = 30.0
SCORE_KEYS = ("score", "reward", "value", "logit")


class _Refused(Exception):
    """The server's answer is final."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def ask_server(address: str, items: ScoredItems, options: ScorerOptions, advance: Advance) -> ModelScores:
    """The scores that the server at `address` gives, asked in batches.

    Each request is a POST of `{"input": [texts], "prompts": [...], "responses": [...]}`. The answer is a list of
    numbers, or an object with one under "scores", or a list of objects under "data" (in the order of their "index")
    with a "score", "reward" or "value" each. Time-outs, 429 and 5xx are tried again, later and later; another refusal
    ends the comparison. The token of `options.token_variable` goes into the Authorization header.

    Raises `UnreadableSource` and `UsageError`."""
    parts = urlsplit(address)
    if parts.username or parts.password or not parts.hostname:
        raise UsageError("the address of a scorer holds no name and password", hint=f"use {options.token_variable}")
    place = f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}"
    token = os.environ.get(options.token_variable, "")
    headers = {"Content-Type": "application/json", "User-Agent": "rldk"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    scores = np.full(len(items), np.nan)
    lock = threading.Lock()

    def ask(begin: int) -> None:
        cut = slice(begin, begin + options.batch)
        told = _asked(address, place, _body(items, cut), headers, options)
        values = _scores(told, len(items.prompts[cut]), place)
        with lock:
            scores[cut] = values
            advance(len(values))

    starts = range(0, len(items), max(1, options.batch))
    with ThreadPoolExecutor(max_workers=max(1, options.concurrency)) as pool:
        list(pool.map(ask, starts))
    return ModelScores(name=place, scores=scores)


def _body(items: ScoredItems, cut: slice) -> bytes:
    told: dict[str, Any] = {"input": items.texts()[cut], "prompts": items.prompts[cut]}
    if items.responses is not None:
        told["responses"] = items.responses[cut]
    return json.dumps(told).encode()


def _asked(address: str, place: str, body: bytes, headers: Mapping[str, str], options: ScorerOptions) -> Any:
    opener = urllib.request.build_opener(_NoRedirect)
    why, wait = "", 0.5
    for attempt in range(options.retries + 1):
        if attempt:
            time.sleep(min(wait, LONGEST_WAIT_S))
            wait *= 2
        request = urllib.request.Request(address, data=body, headers=dict(headers), method="POST")  # noqa: S310 - http(s), as checked by the caller
        try:
            with opener.open(request, timeout=options.timeout_s) as answer:
                told = answer.read(MOST_BYTES + 1)
            if len(told) > MOST_BYTES:
                raise _Refused("its answer is larger than 64 MiB")
            return json.loads(told)
        except HTTPError as error:
            error.close()
            why = f"status {error.code}"
            asked = error.headers.get("Retry-After", "")
            wait = max(wait, float(asked)) if asked.isdecimal() else wait
            if error.code not in AGAIN:
                raise UnreadableSource(f"{place} refused: {why}", hint=_hint(error.code, options)) from None
        except _Refused as error:
            raise UnreadableSource(f"{place}: {error}", hint="ask for smaller batches") from None
        except ValueError:
            raise UnreadableSource(f"{place} did not answer with JSON", hint="is it a scorer?") from None
        except (URLError, OSError, http.client.HTTPException) as error:
            why = str(getattr(error, "reason", "") or type(error).__name__)[:200]
    tries = options.retries + 1
    raise UnreadableSource(f"{place} did not answer in {tries} tries: {why}", hint="is the server up?")


def _hint(code: int, options: ScorerOptions) -> str:
    if code in (401, 403):
        return f"put the token into the environment variable {options.token_variable}"
    return "redirects are not followed: name the final address" if 300 <= code < 400 else "look at the server's log"


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
        value = next((value[key] for key in SCORE_KEYS if key in value), None)
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 1:
        value = value[0]
    if value is None:
        return float("nan")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UnreadableSource(f"{place} gave a score that is no number", hint=f"one of {', '.join(SCORE_KEYS)}")
    return float(value)
