"""The end of a recording that nobody ends: when the interpreter does, the report is written all the same."""

from __future__ import annotations

import atexit
import sys
import weakref

from rldk.integrations.recorder import Recorder


def close_at_exit(recorder: Recorder, *, open_is_crash: bool = True) -> None:
    """Closes the recorder when the interpreter ends, unless it is closed by then.

    `open_is_crash`: whether a recording that is still open then is one that was cut. Otherwise it is only where an
    uncaught exception ended the interpreter."""
    known = weakref.ref(recorder)

    def close() -> None:
        found = known()
        if found is None:
            return
        error = getattr(sys, "last_value", None)
        crashed = open_is_crash or error is not None
        found.close("crashed" if crashed else "finished", error if isinstance(error, BaseException) else None)

    atexit.register(close)
