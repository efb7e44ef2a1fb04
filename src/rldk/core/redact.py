"""Takes secrets out of a configuration, by the names of its keys and by the look of its values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

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
_PATH = later(r"(?:[A-Za-z]:)?[./~\\]")  # `pwd` holds such a text when it is the working directory
# Shapes of credentials as their issuers document them: OpenAI, Anthropic, Hugging Face, GitHub, GitLab, Slack, AWS,
# Google, npm, PyPI, SendGrid, JSON web tokens, private keys.
_SHAPES = later(
    r"\b(?:sk-[\w-]{16,200}|hf_[A-Za-z0-9]{16,80}|gh[oprsu]_\w{16,255}|github_pat_\w{16,255}|glpat-[\w-]{16,64}"
    r"|xox[abeoprs]-[\w-]{10,255}|A[KS]IA[A-Z0-9]{12,16}|AIza[\w-]{30,40}|npm_[A-Za-z0-9]{30,50}|pypi-[\w-]{16,255}"
    r"|SG\.[\w-]{10,40}\.[\w-]{10,64}|eyJ[\w-]{8,2000}\.[\w-]{8,4000}\.[\w-]{8,1000})"
    r"|-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----"
)
# What a text must hold before a pattern can match. Most texts hold none of it, and a search for them is far quicker.
_SHAPE_MARKS = tuple(
    "sk- hf_ gho_ ghp_ ghr_ ghs_ ghu_ github_pat_ glpat- xox AKIA ASIA AIza npm_ pypi- SG. eyJ -----BEGIN".split()
)
_SCHEME_WORDS = ("bearer", "basic", "token")
_HOOKS = later(r"(https?://(?:hooks\.slack\.com|discord(?:app)?\.com/api/webhooks|\w{1,80}\.webhook\.office\.com)/)\S+")
_USER = later(r"(\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@]{0,200}:)[^\s/@]{1,400}(?=@)", re.IGNORECASE)
_SCHEMES = later(r"\b((?:Bearer|Basic|Token)\s+)[\w.~+/=-]{6,4000}", re.IGNORECASE)
# name=value in a command line, an environment, JSON or the query of a URL; --name value in a command line
_ASSIGNED = later(r"([\w.-]{2,80})(['\"]?(?:=|:\s?)['\"]?)(?!//)([^\s&'\",;]{1,4000})")
_OPTION = later(r"(--?[A-Za-z][\w-]{1,80}\s+)([^\s-]\S{0,4000})")
_NUMBER = later(r"[-+\d.eE]{1,40}")
_FLAG = later(r"--?[A-Za-z][\w-]{1,80}")


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
        text = _OPTION.sub(lambda m: m[1] + REDACTED if _hides(m[1], m[2]) else m[0], text)
    return text


def without_credentials(text: str) -> str:
    """The text with `REDACTED` for what is a credential by its own look: a known token shape, a password in an address,
    a webhook. What stands after the name of a secret stays."""
    if any(mark in text for mark in _SHAPE_MARKS):
        text = _SHAPES.sub(REDACTED, text)
    if "://" in text:
        text = _USER.sub(rf"\1{REDACTED}", _HOOKS.sub(rf"\1{REDACTED}", text))
    return text


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
        made.append(_value(option, value, depth + 1))
        option = value if isinstance(value, str) and _FLAG.fullmatch(value) else ""
    return made
