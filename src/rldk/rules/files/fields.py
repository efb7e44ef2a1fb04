"""The keys of a rule file's entries, what each key may hold, and what is wrong with a value."""

from __future__ import annotations

import math
import string
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from msgspec import Struct

from rldk.core.algorithms import ALGORITHMS
from rldk.core.model import SEVERITIES
from rldk.core.text import later
from rldk.rules.files.action import KINDS, Action, problem
from rldk.rules.files.expression import MAX_WINDOW
from rldk.rules.knobs import CONCEPTS

WINDOW_KINDS = ("consecutive", "rolling")
MESSAGE_FIELDS = ("name", "value", "limit", "step")
MAX_STEPS = 10**12
FAMILIES = "ADV CKPT CLIP DATA ENT GRAD KL LEN MET OFF OPT PREF REW RM SYS VAL".split()
ID = later(r"[A-Za-z][A-Za-z0-9_-]{0,79}")
_SPEC = later(r"[<>^]?[+ ]?#?0?\d{0,2},?(\.\d)?[eEfgGd%]?")


class FieldError(Exception):
    """One key of an entry is wrong."""

    def __init__(self, key: str, message: str, *, hint: str = "", expression: str = "") -> None:
        super().__init__(message)
        self.key, self.message, self.hint, self.expression = key, message, hint, expression


class FieldForm(Struct, frozen=True):
    """What a value must look like; `words` says it to the user."""

    words: str
    fits: Callable[[Any], bool]


def _whole(value: Any, least: int, most: int) -> bool:
    return type(value) is int and least <= value <= most


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _among(known: Iterable[str]) -> FieldForm:
    words = tuple(known)
    return FieldForm(f"one of {', '.join(words)}", lambda v: isinstance(v, str) and v in words)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(v, str) and v for v in value)


_TEXT = FieldForm("a text", lambda v: isinstance(v, str) and bool(v.strip()))
_STEPS = FieldForm(f"a whole number of steps, 0 to {MAX_STEPS:,}", lambda v: _whole(v, 0, MAX_STEPS))
_ROWS = FieldForm("a whole number of rows, 1 to 10,000", lambda v: _whole(v, 1, 10_000))
_NUMBER = FieldForm("a number", _finite)
_SHARED = {
    "severity": _among(SEVERITIES),
    "grace_steps": _STEPS,
    "cooldown_steps": _STEPS,
    "actions": FieldForm("a list of actions", lambda v: isinstance(v, list)),
    "enabled": FieldForm("true or false", lambda v: isinstance(v, bool)),
}
EXPRESSION: dict[str, FieldForm] = {
    "id": FieldForm(
        "a text of letters, digits, _ and - that begins with a letter",
        lambda v: isinstance(v, str) and bool(ID.fullmatch(v)),
    ),
    "metric": _TEXT,
    "where": _TEXT,
    "condition": FieldForm('an expression, such as "value > 0.3"', lambda v: isinstance(v, str)),
    "window": FieldForm("a mapping {size: ..., kind: ...}", lambda v: isinstance(v, dict)),
    **_SHARED,
    "message": _TEXT,
    "family": _among(FAMILIES),
    "algorithms": FieldForm(
        f"a list of {', '.join(sorted(ALGORITHMS))}", lambda v: _texts(v) and bool(v) and set(v) <= ALGORITHMS
    ),
    "why": _TEXT,
    "source": _TEXT,
    "causes": FieldForm("a list of texts", _texts),
    "fixes": FieldForm("a list of texts", _texts),
}
USE: dict[str, FieldForm] = {
    "use": FieldForm(
        "the code, family or name of a rule, a list of them, or *",
        lambda v: bool(v) and (_texts(v) or (isinstance(v, str) and bool(v.strip()))),
    ),
    **_SHARED,
    "warn": _NUMBER,
    "critical": _NUMBER,
    "rows": _ROWS,
    "within": _ROWS,
    "cooldown": _ROWS,
}
WINDOW: dict[str, FieldForm] = {
    "size": FieldForm(f"a whole number of rows, 1 to {MAX_WINDOW:,}", lambda v: _whole(v, 1, MAX_WINDOW)),
    "kind": _among(WINDOW_KINDS),
}


def check(data: Mapping[str, Any], forms: Mapping[str, FieldForm], *, within: str = "") -> None:
    """Raises `FieldError` for the first key that is unknown or has a wrong value."""
    prefix = f"{within}." if within else ""
    for key, value in data.items():
        form = forms.get(key)
        if form is None:
            raise FieldError(within or key, f"unknown key {prefix + key!r}", hint=nearest(key, forms))
        if not form.fits(value):
            raise FieldError(within or key, f"{prefix}{key} is {_shown(value)}", hint=f"it must be {form.words}")


def nearest(name: str, known: Iterable[str]) -> str:
    """The hint "did you mean X?", or a list of all known names."""
    import difflib

    words = sorted(known)
    close = difflib.get_close_matches(name, words, n=1, cutoff=0.5)
    return f"did you mean {close[0]}?" if close else f"known: {', '.join(words)}"


def read_actions(items: Iterable[Any]) -> tuple[Action, ...]:
    """The actions of an entry. Each is a kind, or a mapping of one kind to its options. Raises `FieldError`."""
    made = []
    for item in items:
        pair = {item: None} if isinstance(item, str) else item
        if not isinstance(pair, dict) or len(pair) != 1:
            hint = f"each item has one of {', '.join(KINDS)}, such as `- warn: {{msg: ...}}`"
            raise FieldError("actions", f"{_shown(item)} is not an action", hint=hint)
        (kind, options), *_ = pair.items()
        if not isinstance(options, dict | None):
            raise FieldError(
                "actions", f"{kind} is {_shown(options)}", hint=f"it must be a mapping, such as {kind}: {{msg: ...}}"
            )
        action = Action(kind, options or {})
        wrong = problem(action)
        if wrong:
            message, _, hint = wrong.partition("; ")
            raise FieldError("actions", message, hint=hint)
        made.append(action)
    return tuple(made)


def check_message(text: str) -> None:
    """Raises `FieldError` when a message has an unknown placeholder, or a format whose output could be long."""
    try:
        for _, name, spec, conversion in string.Formatter().parse(text):
            if name is None:
                continue
            if name not in MESSAGE_FIELDS or conversion:
                raise FieldError("message", f"there is no placeholder {{{name}}}", hint=nearest(name, MESSAGE_FIELDS))
            if not _SPEC.fullmatch(spec or "") or (name == "name" and spec):
                raise FieldError(
                    "message", f"the format of {{{name}:{spec}}} is not allowed", hint="such as {value:.3g}"
                )
        text.format(name="kl", value=0.5, limit=0.25, step=1)
    except ValueError as error:
        raise FieldError("message", str(error), hint="a brace itself is written twice: {{") from None


def check_fixes(texts: Iterable[str]) -> None:
    """Raises `FieldError` when a fix names a configuration key that rldk does not know."""
    for text in texts:
        try:
            named = [(name, spec or conversion) for _, name, spec, conversion in string.Formatter().parse(text)]
        except ValueError as error:
            raise FieldError("fixes", str(error), hint="a brace itself is written twice: {{") from None
        for name, more in named:
            if name is not None and (name not in CONCEPTS or more):
                raise FieldError("fixes", f"there is no configuration key {{{name}}}", hint=nearest(name, CONCEPTS))


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
