"""The shape of a file of JSON objects: the JSON types seen under each key, objects inside of objects as shapes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from enum import Flag, auto
from typing import Any

from rldk.core.records import MAX_DEPTH, to_number
from rldk.core.text import later

MAX_KEYS = 5_000  # of one object; only many lines with the same keys pay back the time to build a Struct
_UNFIT = later(r'[\x00-\x1f"\\\ud800-\udfff]')  # characters msgspec refuses in a field's name


class Kind(Flag):
    """The JSON types seen under one key."""

    NONE = 0
    NUMBER = auto()
    FLAG = auto()
    TEXT = auto()
    LIST = auto()
    NUMERAL = auto()  # a number as text, NaN or an infinity


def merge_keys(shape: dict[str, Any], obj: dict[str, Any], depth: int = 1) -> bool:
    """Adds the keys of `obj` to `shape`. True if any was new. A key that is an object here and a value there stays what
    it was first."""
    changed = False
    if len(obj) + len(shape) > MAX_KEYS:
        return False
    for key, value in obj.items():
        if _UNFIT.search(key):
            continue
        known = shape.get(key)
        if isinstance(value, dict):
            if known is None and depth < MAX_DEPTH:
                known = shape[key] = {}
                changed = True
            if isinstance(known, dict):
                changed |= merge_keys(known, value, depth + 1)
        elif not isinstance(known, dict):
            kind = (known or Kind.NONE) | _kind(value)
            changed |= kind != known
            shape[key] = kind
    return changed


def kinds_in(shape: dict[str, Any]) -> Iterator[Kind]:
    """Yields the kind of each key, also of the keys of objects inside."""
    for kind in shape.values():
        if isinstance(kind, Kind):
            yield kind
        else:
            yield from kinds_in(kind)


def _kind(value: object) -> Kind:
    match value:
        case None:
            return Kind.NONE
        case bool():
            return Kind.FLAG
        case str():
            return Kind.TEXT if to_number(value) is None else Kind.NUMERAL
        case float() if not math.isfinite(value):
            return Kind.NUMERAL
        case list():
            return Kind.LIST
        case _:
            return Kind.NUMBER
