"""The boundary between rldk and a training: nothing that goes wrong behind it reaches the training."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from functools import update_wrapper
from pathlib import Path
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from rldk.errors import RldkError, TrainingStopped
from rldk.outage import FULL, Outage, to_stderr

P = ParamSpec("P")
T = TypeVar("T")
LOGGER = logging.getLogger("rldk")
EFFECT = "New rows and reports are lost until this is mended; the training and its checks go on."


def training_outage(say: Callable[[str], None] = to_stderr) -> Outage:
    """What the writers of one training share."""
    return Outage(lambda text: say(f"rldk: {text}"), effect=EFFECT)


class Guard:
    """Runs parts of rldk. The first failure of each part is reported in one line on stderr, with its place.

    `failures`: part -> how often it failed. `say`: shows one line to the user. The traceback goes to the logger "rldk"
    at level DEBUG. `outage`: what the writers of the training share; a full disk is said once for all of them."""

    def __init__(self, say: Callable[[str], None] | None = None, outage: Outage | None = None) -> None:
        self.failures: dict[str, int] = {}
        self.say = say or to_stderr
        self.outage = outage or training_outage(self.say)

    def run(self, part: str, action: Callable[P, T], *args: P.args, **given: P.kwargs) -> T | None:
        """What `action` returns, None when it fails. A stop that rldk itself asks for passes."""
        try:
            return action(*args, **given)
        except TrainingStopped:
            raise
        except Exception as error:  # noqa: BLE001 - nothing in rldk may end a training
            self.report(part, error)
            return None

    def report(self, part: str, error: BaseException) -> None:
        """Counts a failure of `part`, and reports the first one."""
        count = self.failures[part] = self.failures.get(part, 0) + 1
        if count == 1:
            LOGGER.debug("rldk: %s failed", part, exc_info=error)
        if isinstance(error, OSError) and error.errno in FULL:
            self.outage.failed(error.filename or part, error, once=True)
        elif count == 1:
            self.say(f"rldk: {part} failed: {described(error)}; the training goes on, and this is reported once")

    def warn(self, part: str, text: str) -> None:
        """Reports `text` once for each part."""
        count = self.failures[part] = self.failures.get(part, 0) + 1
        if count == 1:
            self.say(f"rldk: {text}")


class _Guarded(Protocol):
    @property
    def guard(self) -> Guard: ...


Own = TypeVar("Own", bound=_Guarded)


def guarded(part: str) -> Callable[[Callable[Concatenate[Own, P], T]], Callable[Concatenate[Own, P], T | None]]:
    """Decorates a method of an object with a `guard`: it returns None instead of raising."""

    def decorate(method: Callable[Concatenate[Own, P], T]) -> Callable[Concatenate[Own, P], T | None]:
        def call(self: Own, /, *args: P.args, **given: P.kwargs) -> T | None:
            try:
                return method(self, *args, **given)
            except TrainingStopped:
                raise
            except Exception as error:  # noqa: BLE001 - nothing in rldk may end a training
                self.guard.report(part, error)
                return None

        update_wrapper(call, method)
        return call

    return decorate


def described(error: BaseException) -> str:
    """The kind of an error, its message and the line of code that raised it, on one line."""
    message = error.message if isinstance(error, RldkError) else str(error)
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {' '.join(message.split())[:300]}{place}"
