"""Sends one HTTP POST to an address that the user named. It follows no redirect and no other scheme, and no message
shows the address."""

from __future__ import annotations

import json
import os
import threading
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError

from rldk.core.model import Alert
from rldk.core.text import later
from rldk.engine.actions.message import facts, fill, sentence, words
from rldk.engine.actions.retry import Attempt
from rldk.rules.files.action import SECRET

# Stricter than any parser of addresses, so that none of them can read another host than the one that was checked.
_ADDRESS = later(r"(https?)://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?([/?][!-~]*)?")
_PASSING = {408, 425, 429}  # and 5xx: the server asks for another try
_DISCORD_CHARACTERS = 2000


class Unsendable(ValueError):
    """Raised when the action as configured cannot be sent. Trying again would not help."""


def post(options: Mapping[str, Any], alert: Alert, *, timeout_s: float) -> Attempt:
    """Returns the result of one POST of the alert. It takes at most `timeout_s` in all, with name look-up and a slow
    server."""
    try:
        request, place = _request(options, alert)
    except Unsendable as error:
        return Attempt(False, str(error))
    answers: list[Attempt] = []
    # a socket's own timeout restarts with every byte, and a name look-up has none
    thread = threading.Thread(target=lambda: answers.append(_send(request, place, timeout_s)), daemon=True)
    thread.start()
    thread.join(timeout_s)
    return answers[0] if answers else Attempt(False, f"{place}: no answer within {timeout_s:g} s", again=True)


def body(options: Mapping[str, Any], alert: Alert) -> dict[str, Any]:
    """The JSON of the alert in the style that the receiver expects. A `payload` replaces it."""
    if "payload" in options:
        values = words(alert)
        filled: dict[str, Any] = _filled(options["payload"], values)
        return filled
    text = sentence(alert, options.get("msg"))
    match options.get("style", "generic"):
        case "slack":
            return {"text": text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")}
        case "discord":
            return {"content": text[:_DISCORD_CHARACTERS], "allowed_mentions": {"parse": []}}
    return {**facts(alert), "text": text}


def _request(options: Mapping[str, Any], alert: Alert) -> tuple[urllib.request.Request, str]:
    parsed = _ADDRESS.fullmatch(_revealed(options["url"]))
    if parsed is None:
        raise Unsendable("the address is not a plain http:// or https:// one")
    scheme, host, port = parsed[1], parsed[2].lower(), parsed[3] or ""
    if "hosts" in options and not any(_covers(pattern.lower(), host) for pattern in options["hosts"]):
        raise Unsendable(f"{host} is not among the allowed hosts")
    headers = {name: _revealed(value) for name, value in options.get("headers", {}).items()}
    request = urllib.request.Request(  # noqa: S310 - the scheme has just been checked
        parsed[0],
        data=json.dumps(body(options, alert)).encode(),
        headers={"Content-Type": "application/json", "User-Agent": "rldk", **headers},
        method="POST",
    )
    return request, f"{scheme}://{host}{port}"


def _covers(pattern: str, host: str) -> bool:
    return host == pattern or (pattern.startswith(".") and host.endswith(pattern))


def _revealed(text: str) -> str:
    """Replaces a final env:NAME in `text`, so that rule files hold no secrets."""
    found = SECRET.search(text)
    if found is None:
        return text
    secret = os.environ.get(found[1], "")
    if not secret or not secret.isprintable():
        raise Unsendable(f"the environment variable {found[1]} {'is not usable' if secret else 'is not set'}")
    return text[: found.start()] + secret


def _send(request: urllib.request.Request, place: str, timeout_s: float) -> Attempt:
    try:
        with _opener().open(request, timeout=timeout_s) as answer:
            return Attempt(True, f"{place} answered {answer.status}")
    except HTTPError as error:
        error.close()
        code = error.code
        moved = " (redirects are not followed)" if 300 <= code < 400 else ""
        return Attempt(False, f"{place} answered {code}{moved}", again=code >= 500 or code in _PASSING)
    except URLError as error:
        return Attempt(False, f"{place}: {error.reason}", again=True)
    except OSError as error:
        return Attempt(False, f"{place}: {error.strerror or type(error).__name__}", again=True)
    except (HTTPException, ValueError) as error:  # the texts of these errors quote the address
        return Attempt(False, f"{place}: {type(error).__name__}", again=isinstance(error, HTTPException))


def _opener() -> urllib.request.OpenerDirector:
    """The default opener without redirects, files, ftp, data and cookies. Proxies of the environment stay, because
    clusters need them."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


def _filled(value: Any, values: Mapping[str, str | float | None]) -> Any:
    match value:
        case str():
            return fill(value, values)
        case Mapping():
            return {str(key): _filled(item, values) for key, item in value.items()}
        case list() | tuple():
            return [_filled(item, values) for item in value]
    return value
