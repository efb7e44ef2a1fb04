"""Actions of a rule file, which are done when an incident begins, worsens or recovers, and what is wrong with them."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, get_args

from msgspec import Struct, field

from rldk.core.text import later

Kind = Literal["warn", "stop", "sentinel", "shell", "http"]
KINDS: tuple[Kind, ...] = get_args(Kind)
STYLES = ("generic", "slack", "discord")
FIELDS = ("name", "value", "step", "rule", "severity", "message", "event", "run")  # of a template, in braces
MAX_DEPTH = 8  # of a payload
SECRET = later(r"(?:(?<=\s)|^)env:([A-Za-z_][A-Za-z0-9_]*)$")  # "env:NAME", "Bearer env:NAME"


class Action(Struct, frozen=True):
    """One thing to do. `problem` checks the `options`; texts among them may hold `{placeholders}` of `FIELDS`."""

    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)


class _Form(Struct, frozen=True):
    words: str
    fits: Callable[[Any], bool]
    template: bool = False


def _texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(item, str) for item in value)


def _number(value: Any, *, least: float, most: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most


def _address(value: Any) -> bool:
    return isinstance(value, str) and (bool(SECRET.match(value)) or bool(re.match(r"https?://[^/\s]", value)))


def _headers(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(x, str) and x.isprintable() for p in value.items() for x in p)


_TEXT = _Form("a text", lambda v: isinstance(v, str), template=True)
_SECONDS = _Form("seconds from 0.1 to 3600", lambda v: _number(v, least=0.1, most=3600))
_OPTIONS: dict[str, dict[str, _Form]] = {
    "warn": {"msg": _TEXT},
    "stop": {"msg": _TEXT, "kill_timeout_s": _SECONDS},
    "sentinel": {"msg": _TEXT, "path": _Form("a path", lambda v: isinstance(v, str) and bool(v) and "\0" not in v)},
    "shell": {
        "command": _Form("a list of texts, the program first (not a shell line)", _texts, template=True),
        "timeout_s": _SECONDS,
    },
    "http": {
        "url": _Form("an http:// or https:// address, or env:NAME", _address),
        "style": _Form(f"one of {', '.join(STYLES)}", lambda v: v in STYLES),
        "msg": _TEXT,
        "payload": _Form("a mapping", lambda v: isinstance(v, Mapping), template=True),
        "headers": _Form("a mapping of texts", _headers),
        "hosts": _Form("a list of host names", _texts),
        "timeout_s": _SECONDS,
        "retries": _Form("a number from 0 to 10", lambda v: isinstance(v, int) and _number(v, least=0, most=10)),
    },
}
_REQUIRED: dict[str, tuple[str, ...]] = {"sentinel": ("path",), "shell": ("command",), "http": ("url",)}


def problem(action: Action) -> str:
    """What is wrong with the action, as a clause that names the option and the nearest valid name; "" if nothing is."""
    options = _OPTIONS.get(action.kind)
    if options is None:
        return f"unknown action {action.kind!r}{_nearest(action.kind, KINDS)}"
    for name in _REQUIRED.get(action.kind, ()):
        if name not in action.options:
            return f"{action.kind} needs {name}"
    for name, value in action.options.items():
        form = options.get(name)
        if form is None:
            return f"{action.kind} has no option {name!r}{_nearest(str(name), options)}"
        if not form.fits(value):
            return f"{action.kind}: {name} must be {form.words}"
        wrong = _wrong_template(value) if form.template else ""
        if wrong:
            return f"{action.kind}: {name}: {wrong}"
    return ""


def _wrong_template(value: Any) -> str:
    try:
        for text in _leaves(value, MAX_DEPTH):
            for _, name, _, _ in string.Formatter().parse(text):
                if name is not None and name not in FIELDS:
                    return (
                        f"there is no placeholder {{{name}}}{_nearest(name, FIELDS)}; a brace itself is written twice"
                    )
    except ValueError as error:
        return str(error)
    return ""


def _leaves(value: Any, depth: int) -> Iterator[str]:
    if depth < 0:
        raise ValueError(f"nested more than {MAX_DEPTH} deep")
    match value:
        case str():
            yield value
        case Mapping():
            for item in value.values():
                yield from _leaves(item, depth - 1)
        case list() | tuple():
            for item in value:
                yield from _leaves(item, depth - 1)
        case None | bool() | int() | float():
            pass
        case _:
            raise ValueError(f"{type(value).__name__} has no JSON form")


def _nearest(name: str, known: Iterable[str]) -> str:
    import difflib

    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f"; known: {', '.join(known)}"
