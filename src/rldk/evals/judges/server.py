"""Asks an OpenAI-compatible server. It follows no redirect, and no message shows a token or the address's query."""

from __future__ import annotations

import http.client
import json
import os
import time
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from msgspec import Struct

from rldk.errors import UnreadableSource, UsageError

MOST_BYTES = 4 << 20  # of an answer
AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
LONGEST_WAIT_S = 30.0


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class JudgeServer(Struct, frozen=True, kw_only=True):
    """A server and the model to ask there. `url`: up to and without /chat/completions. `token_variable`: the
    environment variable with the token. `temperature`: 0 makes all votes alike. `retries`: further tries after a
    time-out, 429 or a 5xx status."""

    url: str
    model: str
    temperature: float = 0.0
    max_tokens: int = 512
    timeout_s: float = 60.0
    retries: int = 3
    concurrency: int = 8
    token_variable: str = "OPENAI_API_KEY"  # noqa: S105 - the name of the variable

    @property
    def place(self) -> str:
        """The server without anything secret. Raises `UsageError` for an address with a name and password."""
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
            raise UsageError("the judge needs a plain http or https address", hint="as in http://127.0.0.1:8000/v1")
        return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}"

    def ask(self, question: str, *, seed: int = 0) -> str:
        """What the model answers. Raises `UnreadableSource` where there is no answer, and `UsageError`."""
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": question}],
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
            "seed": seed,
        }
        told = self._post(json.dumps(body).encode())
        choices = told.get("choices") if isinstance(told, Mapping) else None
        first = choices[0] if isinstance(choices, list) and choices else None
        message = first.get("message") if isinstance(first, Mapping) else None
        text = message.get("content") if isinstance(message, Mapping) else None
        if not isinstance(text, str):
            raise UnreadableSource(f"{self.place} gave no answer of a chat", hint="is it an OpenAI-compatible server?")
        return text

    def _post(self, body: bytes) -> Any:
        place = self.place
        address = f"{self.url.rstrip('/')}/chat/completions"
        headers = {"Content-Type": "application/json", "User-Agent": "rldk"}
        if token := os.environ.get(self.token_variable, ""):
            headers["Authorization"] = f"Bearer {token}"
        opener = urllib.request.build_opener(_NoRedirect)
        why, wait = "", 0.5
        for attempt in range(self.retries + 1):
            if attempt:
                time.sleep(min(wait, LONGEST_WAIT_S))
                wait *= 2
            request = urllib.request.Request(address, data=body, headers=headers, method="POST")  # noqa: S310 - http(s), as checked by `place`
            try:
                with opener.open(request, timeout=self.timeout_s) as answer:
                    told = answer.read(MOST_BYTES + 1)
                if len(told) > MOST_BYTES:
                    raise UnreadableSource(f"{place} gave more than 4 MiB", hint="is it a chat server?")
                return json.loads(told)
            except HTTPError as error:
                error.close()
                why = f"status {error.code}"
                if error.code not in AGAIN:
                    hint = f"put the token into {self.token_variable}" if error.code in (401, 403) else "see its log"
                    raise UnreadableSource(f"{place} refused: {why}", hint=hint) from None
            except ValueError:
                raise UnreadableSource(f"{place} did not answer with JSON", hint="is it a chat server?") from None
            except (URLError, OSError, http.client.HTTPException) as error:
                why = str(getattr(error, "reason", "") or type(error).__name__)[:200]
        tries = self.retries + 1
        raise UnreadableSource(f"{place} did not answer in {tries} tries: {why}", hint="is the server up?")
