"""Secrets taken out of a configuration, by the names of its keys."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

REDACTED = "[redacted]"
MAX_DEPTH = 20  # what is nested deeper is no hyper-parameter; it is redacted whole
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SECRET = frozenset(
    "password passwords passwd passphrase secret secrets credential credentials apikey accesskey privatekey".split()
)
_LAST = frozenset({"token", "tokens", "key", "keys"})
# The word before them in names that trainers give to special tokens and to the columns of a data set.
_HARMLESS = frozenset(
    "eos bos pad unk sep cls mask stop special image video audio start end think prompt input output label response "
    "text data dataset reward column chosen rejected query question answer solution message messages obs action".split()
)


def redacted(config: Mapping[str, Any]) -> dict[str, Any]:
    """A copy in which whatever a secret's name holds is `REDACTED`, at any depth, in lists too."""
    return {key: _value(key, value, 0) for key, value in config.items()}


def is_secret(name: str, value: object) -> bool:
    """Whether `name` is that of a secret: it has the word password, secret or credential, or it ends in token or key.

    The latter only where `value` is no number, and not for what trainers call so (`eos_token`, `prompt_key`)."""
    words = [word.lower() for word in _WORDS.findall(name)]
    if not words or value is None or isinstance(value, bool):
        return False
    if not _SECRET.isdisjoint(words):
        return True
    if isinstance(value, int | float) or not _HARMLESS.isdisjoint(words[-2:-1]):
        return False
    return words[-1] in _LAST or words[-1].endswith(("token", "secret", "password", "apikey"))


def _value(name: object, value: Any, depth: int) -> Any:
    if is_secret(str(name), value):
        return REDACTED
    if isinstance(value, Mapping):
        return {k: _value(k, v, depth + 1) for k, v in value.items()} if depth < MAX_DEPTH else REDACTED
    if isinstance(value, list | tuple):
        return [_value("", v, depth + 1) for v in value] if depth < MAX_DEPTH else REDACTED
    return value
