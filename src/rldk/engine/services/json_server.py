"""Asks an HTTP server that the user named, in JSON. It follows no redirect, and no message shows a token or the query
of the address."""

from __future__ import annotations

import http.client
import json
import os
import time
import urllib.request
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from msgspec import Struct

from rldk.core.secrets.redact import REDACTED, without_secrets
from rldk.core.text import legible
from rldk.errors import UnreadableSource, UsageError

AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0
LEAST_TOKEN = 8  # characters
MOST_OF_AN_ERROR = 1 << 14  # bytes of an error's body that are read


class _Refused(Exception):
    """The server's answer is final."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class JsonServer(Struct, frozen=True, kw_only=True):
    """A server at an address. `word`: what it is, for messages, as in "scorer". `timeout_s`: of one answer, from the
    request to its last byte. `retries`: further tries after a time-out, 429 or a 5xx status, later and later, or when
    the server says. `token_variable`: the environment variable whose token goes into the Authorization header.
    `most_mib`: the largest answer."""

    address: str
    word: str = "server"
    timeout_s: float = 60.0
    retries: int = 3
    token_variable: str = ""
    most_mib: int = 64

    @property
    def place(self) -> str:
        """The server without anything secret. Raises `UsageError` for an address with a name and password, or of
        another scheme."""
        try:
            parts = urlsplit(self.address)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise UsageError(f"the address of the {self.word} is malformed", hint=_EXAMPLE) from None
        if parts.username or parts.password:
            hint = f"put a token into the environment variable {self.token_variable}"
            raise UsageError(f"the address of the {self.word} may hold no name and password", hint=hint)
        if parts.scheme not in ("http", "https") or not host:
            raise UsageError(f"the {self.word} needs a plain http or https address", hint=_EXAMPLE)
        return f"{parts.scheme}://{host}{f':{port}' if port else ''}"

    @property
    def endpoint(self) -> str:
        """The address without its query, which may hold a secret. Raises `UsageError` as `place` does."""
        return self.place + urlsplit(self.address).path

    def without_token(self, text: str) -> str:
        """The text of an answer in which the token is hidden, if the server repeats it. A token of fewer than eight
        characters is no secret but a word, such as EMPTY."""
        token = os.environ.get(self.token_variable, "") if self.token_variable else ""
        return text.replace(token, REDACTED) if len(token) >= LEAST_TOKEN else text

    def post(self, body: Any) -> Any:
        """What the server answers to a POST of the body. Raises `UnreadableSource` and `UsageError`."""
        place, headers = self.place, self._headers()
        data = json.dumps(body).encode()
        opener = urllib.request.build_opener(_NoRedirect)
        why, wait = "", FIRST_WAIT_S
        for attempt in range(self.retries + 1):
            if attempt:
                time.sleep(min(wait, LONGEST_WAIT_S))
                wait *= 2
            request = urllib.request.Request(self.address, data=data, headers=headers, method="POST")  # noqa: S310 - http(s), as checked by `place`
            try:
                until = time.monotonic() + self.timeout_s
                with opener.open(request, timeout=self.timeout_s) as answer:
                    return json.loads(self._read(answer, until))
            except HTTPError as error:
                why = f"status {error.code}{self._said(error)}"
                error.close()
                asked = error.headers.get("Retry-After", "")
                wait = max(wait, float(asked)) if asked.isdecimal() else wait
                if error.code not in AGAIN:
                    raise UnreadableSource(f"{place} refused: {why}", hint=self._hint(error.code)) from None
            except _Refused as error:
                raise UnreadableSource(f"{place}: {error}", hint=f"is it a {self.word}?") from None
            except (ValueError, RecursionError):
                raise UnreadableSource(f"{place} did not answer with JSON", hint=f"is it a {self.word}?") from None
            except TimeoutError:
                why = "timed out"
            except (URLError, OSError, http.client.HTTPException) as error:
                why = str(getattr(error, "reason", "") or type(error).__name__)[:200]
        tries = "1 try" if not self.retries else f"{self.retries + 1} tries"
        raise UnreadableSource(f"{place} did not answer in {tries}: {why}", hint="is the server up?")

    def _headers(self) -> dict[str, str]:
        made = {"Content-Type": "application/json", "User-Agent": "rldk"}
        token = os.environ.get(self.token_variable, "") if self.token_variable else ""
        if not token.isascii() or not token.isprintable():
            words = f"{self.token_variable} holds more than printable ASCII"
            raise UsageError(words, hint="is there a line break in it?")
        return made | ({"Authorization": f"Bearer {token}"} if token else {})

    def _read(self, answer: http.client.HTTPResponse, until: float) -> bytes:
        """The whole answer. A server that sends a byte now and then does not get more time than others."""
        parts: list[bytes] = []
        size = 0
        while part := answer.read1(1 << 16):
            size += len(part)
            if size > self.most_mib << 20:
                raise _Refused(f"its answer is larger than {self.most_mib} MiB")
            if time.monotonic() > until:
                raise TimeoutError("timed out")
            parts.append(part)
        return b"".join(parts)

    def _said(self, error: HTTPError) -> str:
        """The message in the body of an error, without the token and other secrets; "" where there is none."""
        try:
            told = json.loads(error.read(MOST_OF_AN_ERROR))
        except (ValueError, RecursionError, OSError, http.client.HTTPException):
            return ""
        found = told.get("error", told) if isinstance(told, dict) else None
        text = found.get("message") or found.get("detail") if isinstance(found, dict) else found
        if not isinstance(text, str) or not text.strip():
            return ""
        token = os.environ.get(self.token_variable, "") if self.token_variable else ""
        plain = without_secrets(text.replace(token, REDACTED) if token else text)
        return f" ({legible(' '.join(plain.split())[:200])})"

    def _hint(self, code: int) -> str:
        if code in (401, 403) and self.token_variable:
            return f"put the token into the environment variable {self.token_variable}"
        return "redirects are not followed: name the final address" if 300 <= code < 400 else "look at the server's log"


_EXAMPLE = "as in http://127.0.0.1:8000/v1"
