"""The end of a recording that nobody ends: when the interpreter does, the report is written all the same."""

from __future__ import annotations

import atexit
import os
import sys
import weakref
from collections.abc import Callable
from typing import Protocol


class Closing(Protocol):
    """What is closed: a recorder, or an adapter that holds one."""

    @property
    def close(self) -> Callable[[str, BaseException | None], object]: ...


def close_at_exit(recording: Closing, *, open_is_crash: bool = True) -> None:
    """Closes the recording when the interpreter ends, unless it is closed by then. It is not kept alive for it.

    `open_is_crash`: whether a recording that is still open then is one that was cut. Otherwise it is only where an
    uncaught exception ended the interpreter. Call it when the recorder is there: what is registered last is called
    first, and a recorder by itself takes an open recording for a crash. A forked child that ends is not the end of the
    training."""
    known, pid = weakref.ref(recording), os.getpid()

    def close() -> None:
        found = known()
        if found is None or os.getpid() != pid:
            return
        said = getattr(sys, "last_value", None)
        error = said if isinstance(said, BaseException) else None
        found.close("crashed" if open_is_crash or error is not None else "finished", error)

    atexit.register(close)
