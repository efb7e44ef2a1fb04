"""A value as text of many lines, for the files of tests/golden: a change of one attribute is one line of the diff."""

from __future__ import annotations

from typing import Any

import msgspec

WIDTH = 100  # what fits into a line stays on one, unless it has several attributes


def laid_out(value: Any, indent: str = "") -> str:
    """Attributes and items one a line; attributes that have their default value are left out."""
    deeper = indent + "  "
    match value:
        case msgspec.Struct():
            left, right, parts = f"{type(value).__name__}(", ")", _attributes(value, deeper)
        case dict():
            left, right, parts = "{", "}", [f"{key!r}: {laid_out(x, deeper)}" for key, x in value.items()]
        case tuple() | list():
            left, right = "[]" if isinstance(value, list) else ("(", ",)" if len(value) == 1 else ")")
            parts = [laid_out(x, deeper) for x in value]
        case _:
            return repr(value)
    line = left + ", ".join(parts) + right
    short = len(indent) + len(line) <= WIDTH and "\n" not in line
    if short and not (isinstance(value, msgspec.Struct) and len(parts) > 1):
        return line
    return "\n".join([left, *(f"{deeper}{part}," for part in parts), indent + right.removeprefix(",")])


def _attributes(value: msgspec.Struct, indent: str) -> list[str]:
    return [
        f"{field.name}={laid_out(x, indent)}"
        for field in msgspec.structs.fields(value)
        if not _is_default(field, x := getattr(value, field.name))
    ]


def _is_default(field: Any, value: Any) -> bool:
    if field.default_factory is not msgspec.NODEFAULT:
        return bool(value == field.default_factory())
    return field.default is not msgspec.NODEFAULT and type(value) is type(field.default) and value == field.default
