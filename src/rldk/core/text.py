"""Text: what any file can hold, and regular expressions that are compiled at their first use."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, AnyStr, Generic, Self, cast


def legible(text: str) -> str:
    """The text with U+FFFD for each lone surrogate. JSON may escape one and a file name may contain one, but no UTF-8
    file can hold it."""
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def first_few(items: Sequence[str], most: int, *, count: int | None = None) -> str:
    """`a, b and 3 more`: the first `most` items, and how many are left unnamed. `count`: how many there are in all,
    where `items` are only the first of them."""
    shown = items[:most]
    more = (len(items) if count is None else count) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")


def later(source: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """What `re.compile(source, flags)` returns, compiled when its first attribute is read: a command imports hundreds
    of patterns and uses a few.

    Raises `re.error` then, not here. `tests/unit/core/test_patterns.py` compiles every pattern of the package."""
    return cast("re.Pattern[AnyStr]", _Later(source, flags))


class _Later(Generic[AnyStr]):
    """Stands in for a compiled pattern. It keeps each attribute that was asked for, so that the next look-up of it is
    as fast as that of a compiled pattern."""

    def __init__(self, source: AnyStr, flags: int) -> None:
        self._source: AnyStr = source
        self._flags = flags

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # copy, pickle and others ask for what a pattern does not have
            raise AttributeError(name)
        compiled = re.compile(self._source, self._flags)  # kept by re for the other attributes
        value = getattr(compiled, name)
        setattr(self, name, value)
        return value

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Returns itself, as a compiled pattern does; what it keeps cannot be copied."""
        return self
