"""Regular expressions that are compiled at their first use: a command imports hundreds of them and uses a few."""

from __future__ import annotations

import re
from typing import Any, AnyStr, Generic, cast


def later(source: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """What `re.compile(source, flags)` returns, compiled when its first attribute is read.

    Raises `re.error` then, not here: `tests/unit/core/test_patterns.py` compiles every pattern of the package."""
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
