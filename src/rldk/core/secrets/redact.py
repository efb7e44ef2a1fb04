"""Takes secrets out of a configuration, by the names of its keys and by the look of its values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from rldk.core.secrets.shapes import (
    HOOKS,
    KEY_BLOCK,
    MARKS,
    PASSWORD_IN_ADDRESS,
    SHAPES,
    SIGNATURE,
    USER_IN_ADDRESS,
    USER_OPTION,
    looks_random,
)
from rldk.core.text import later

REDACTED = "[redacted]"
MAX_DEPTH = 20  # a deeper value is no hyper-parameter; it is redacted whole
MAX_TEXT = 1 << 16  # a longer text is searched up to here, and the rest is cut off
_WORDS = later(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SECRET = frozenset(
    "password passwords passwd passphrase secret secrets credential credentials apikey accesskey privatekey auth"
    " authorization cookie cookies webhook webhooks bearer pwd".split()
)
_PAIRS = frozenset({("api", "key"), ("access", "key"), ("private", "key"), ("auth", "token"), ("access", "token")})
_LAST = frozenset({"token", "tokens", "key", "keys"})
# A word before "token" or "key" in names that trainers give to special tokens and to the columns of a data set.
_HARMLESS = frozenset(
    "eos bos pad unk sep cls mask stop special image video audio start end think prompt input output label response "
    "text data dataset reward column chosen rejected query question answer solution message messages obs action".split()
)
# Services whose accounts trainers use. A random text under such a name is a key, unless the name says what else it is:
# `wandb: 0f3a...`, not `wandb_run_id`.
_SERVICES = frozenset(
    "wandb neptune comet clearml swanlab openai anthropic huggingface hf github gitlab azure aws gcp slack discord "
    "telegram feishu dingtalk".split()
)
_NAMED = frozenset(
    "id run project entity group name version commit sha hash digest revision rev branch url uri path dir file tag "
    "model repo dataset checkpoint ref".split()
)
_ACCOUNTS = frozenset("smtp mail email db database mysql pg postgres redis mongo ftp ssh user admin root".split())
_PATH = later(r"(?:[A-Za-z]:)?[./~\\]")  # `pwd` holds such a text when it is the working directory
_SCHEME_WORDS = ("bearer", "basic", "token")
_SCHEMES = later(r"\b((?:Bearer|Basic|Token)\s+)[\w.~+/=-]{6,4000}", re.IGNORECASE)
# name=value in a command line, an environment, JSON or the query of a URL; --name value in a command line
_ASSIGNED = later(r"([\w.-]{2,80})(['\"]?(?:=|:\s?)['\"]?)(?!//)([^\s&'\",;]{1,4000})")
_OPTION = later(r"(--?[A-Za-z][\w-]{1,80}\s+)([^\s-]\S{0,4000})")
_KEY, _LONGEST_KEY = later(r"[A-Za-z0-9+/=_-]{20,}"), 512
_NUMBER = later(r"[-+\d.eE]{1,40}")
_FLAG = later(r"--?[A-Za-z][\w-]{0,80}")


def redact(config: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of the configuration in which secrets are `REDACTED`, at any depth, in lists too.

    The whole value is replaced where its key is the name of a secret. In any text, the part that looks like a
    credential is replaced."""
    return {key: _value(key, value, 0) for key, value in config.items()}


def redactions(value: Any) -> int:
    """How many secrets were taken out of a redacted configuration."""
    if isinstance(value, Mapping):
        return sum(map(redactions, value.values()))
    if isinstance(value, list | tuple):
        return sum(map(redactions, value))
    return value.count(REDACTED) if isinstance(value, str) else 0


def is_secret(name: str, value: object) -> bool:
    """Whether `name` is the name of a secret. It has a word such as password, credential or cookie, or a pair such as
    access key, or it ends in token or key.

    An ending counts only where `value` is no number, and not for names that trainers use (`eos_token`, `prompt_key`).
    A text that looks random counts under the name of a service, too (`wandb`), if no word such as id or commit says
    what it is.
    `pwd` does not count where it holds a path."""
    words = [word.lower() for word in _WORDS.findall(name)]
    if not words or value is None or isinstance(value, bool):
        return False
    if words[-1] == "pwd" and isinstance(value, str) and _PATH.match(value):
        return False
    if not _SECRET.isdisjoint(words):
        return True
    if isinstance(value, int | float) or not _HARMLESS.isdisjoint(words[-2:-1]):
        return False
    if not _PAIRS.isdisjoint(pairwise(words)):
        return True
    if words[-1] == "pass" and not _ACCOUNTS.isdisjoint(words):
        return True
    if not _SERVICES.isdisjoint(words) and _NAMED.isdisjoint(words) and isinstance(value, str) and _is_key(value):
        return True
    return words[-1] in _LAST or words[-1].endswith(("token", "secret", "password", "apikey"))


def without_secrets(text: str) -> str:
    """The text with `REDACTED` for each part that looks like a credential.

    Such parts are known token shapes, passwords in addresses, webhooks, and values of options and assignments with a
    secret's name."""
    text = without_credentials(text[:MAX_TEXT])
    folded = text.casefold()
    if any(word in folded for word in _SCHEME_WORDS):
        text = _SCHEMES.sub(rf"\1{REDACTED}", text)
    if "=" in text or ":" in text:
        text = _ASSIGNED.sub(lambda m: m[1] + m[2] + REDACTED if _hides(m[1], m[3]) else m[0], text)
    if "-" in text:
        if ":" in text:
            text = USER_OPTION.sub(rf"\1{REDACTED}", text)
        text = _OPTION.sub(lambda m: m[1] + REDACTED if _hides(m[1], m[2]) else m[0], text)
    return text


def without_credentials(text: str) -> str:
    """The text with `REDACTED` for what is a credential by its own look: a known token shape, a private key, a password
    or a random user in an address, a webhook, the signature of an address. What stands after the name of a secret
    stays."""
    if any(mark in text for mark in MARKS):
        text = SHAPES.sub(REDACTED, KEY_BLOCK.sub(REDACTED, text))
    if "://" in text:
        text = PASSWORD_IN_ADDRESS.sub(rf"\1{REDACTED}", HOOKS.sub(rf"\1{REDACTED}", text))
        text = USER_IN_ADDRESS.sub(lambda m: m[1] + REDACTED if looks_random(m[2]) else m[0], text)
    if "=" in text and ("?" in text or "&" in text):
        text = SIGNATURE.sub(rf"\1{REDACTED}", text)
    return text


def _is_key(text: str) -> bool:
    return len(text) <= _LONGEST_KEY and _KEY.fullmatch(text) is not None and looks_random(text)


def _hides(name: str, text: str) -> bool:
    return not _NUMBER.fullmatch(text) and is_secret(name, text)


def _value(name: object, value: Any, depth: int) -> Any:
    if is_secret(str(name), value):
        return REDACTED
    if isinstance(value, Mapping):
        return {k: _value(k, v, depth + 1) for k, v in value.items()} if depth < MAX_DEPTH else REDACTED
    if isinstance(value, list | tuple):
        return _items(value, depth) if depth < MAX_DEPTH else REDACTED
    return without_secrets(value) if isinstance(value, str) else value


def _items(values: list[Any] | tuple[Any, ...], depth: int) -> list[Any]:
    """The items. The item after an option of a command line (`--api-key`, `...`) is the value of that option."""
    made: list[Any] = []
    option = ""
    for value in values:
        known = _of_user(option, value) if option and isinstance(value, str) else value
        made.append(_value(option, known, depth + 1))
        option = value if isinstance(value, str) and _FLAG.fullmatch(value) else ""
    return made


def _of_user(option: str, text: str) -> str:
    """The text after an option, without the password of `-u name:password`."""
    return USER_OPTION.sub(rf"\1{REDACTED}", f"{option} {text}").removeprefix(f"{option} ")
