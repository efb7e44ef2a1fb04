"""Follows a run on a server: it gives new rows since a cursor, and tolerates a network that comes and goes."""

from __future__ import annotations

import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Literal, TypeVar

from msgspec import Struct, field

from rldk.adapters.base import BaseAdapter
from rldk.adapters.source import File
from rldk.core.table import Row
from rldk.core.text import later
from rldk.errors import UnreadableSource, UsageError

Trouble = Literal["auth", "absent", "offline", "busy", "refused"]
T = TypeVar("T")
_PASSING = frozenset({"offline", "busy"})
_USER = later(r"//[^/@\s]+@")
_LONGEST = 200


class RemoteFailure(Exception):  # never leaves an adapter: `Retry` turns it into an `UnreadableSource`
    """A failure of a server or of the network. `after_s`: the pause that the server asks for; 0 if it asks for none."""

    def __init__(self, trouble: Trouble, detail: str, *, after_s: float = 0.0) -> None:
        super().__init__(detail)
        self.trouble = trouble
        self.detail = brief(detail)
        self.after_s = after_s


def brief(text: str) -> str:
    """The first line of a foreign message, at most 200 characters and without a password in an address."""
    line = next((line for line in text.splitlines() if line.strip()), "the server gave no reason")
    return _USER.sub("//", line.strip())[:_LONGEST]


class Service(Struct, frozen=True, kw_only=True):
    """The words of errors about a server. `name`: what it is. `address`: where it is. `sign_in`: how to get access."""

    name: str
    address: str
    sign_in: str


class Retry(Struct, frozen=True, kw_only=True):
    """Tries up to `attempts` times while the failure may pass. Each wait is longer: from `first_s`, doubled up to
    `most_s`.

    A random part of up to a half shortens each wait, so that many followers do not return at once. When a server names
    a wait, that one counts, up to `longest_s`."""

    attempts: int = 5
    first_s: float = 1.0
    most_s: float = 15.0
    longest_s: float = 60.0
    rng: random.Random = field(default_factory=random.Random)
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def call(self, ask: Callable[[], T], service: Service, run: str) -> T:
        """The result of `ask`. Raises `UnreadableSource` for a failure that stays."""
        attempt = 0
        while True:
            attempt += 1
            try:
                return ask()
            except RemoteFailure as failure:
                if failure.trouble not in _PASSING or attempt >= self.attempts:
                    raise _error(failure, service, run, attempt) from None
                self.sleep(self._wait(attempt, failure.after_s))

    def _wait(self, attempt: int, after_s: float) -> float:
        doubled: float = min(self.most_s, self.first_s * 2.0 ** (attempt - 1))
        return max(doubled * (1.0 - self.rng.random() / 2), min(after_s, self.longest_s))


def _error(failure: RemoteFailure, service: Service, run: str, attempts: int) -> UnreadableSource:
    name, tries = service.name, f" ({attempts} attempts)" if attempts > 1 else ""
    what, hint = {
        "auth": (f"{name} at {service.address} does not let you read {run}", service.sign_in),
        "absent": (f"{name} at {service.address} has no run {run}", "check the run's id, its project and the address"),
        "offline": (f"{name} at {service.address} cannot be reached{tries}", "check the address and the network"),
        "busy": (f"{name} at {service.address} asks for fewer requests{tries}", "poll less often, or wait a while"),
        "refused": (f"{name} at {service.address} gave no usable answer", "check that this is the address of its API"),
    }[failure.trouble]
    return UnreadableSource(f"{what}: {failure.detail}", hint=hint)


class RemoteFollower(ABC):
    """Gives the new rows of a run that may still grow, with the source's own keys.

    `finished`: the server says that the run has ended, and every row has been given. After a poll that raises, the
    caller may poll again: no row is lost and none comes twice."""

    def __init__(self, source: str, *, cursor: dict[str, Any] | None, retry: Retry | None) -> None:
        self.source = source
        self.finished = False
        self.retry = retry or Retry()
        self._waiting: list[Row] = []
        if cursor is not None:
            self._resume(cursor)
        self._kept = self._place()

    @property
    def cursor(self) -> dict[str, Any]:
        """The end of the rows given so far, as plain JSON. A new follower with this cursor continues from there."""
        return {"source": self.source, **self._kept}

    def poll(self) -> list[Row]:
        """The rows since the last poll; [] when there are none. Raises `UnreadableSource`, `MissingExtra`."""
        self._fetch()
        rows, self._waiting = self._waiting, []
        self._kept = self._place()
        return rows

    def _resume(self, cursor: dict[str, Any]) -> None:
        if cursor.get("source") != self.source:
            raise UsageError(
                f"the saved position belongs to {cursor.get('source')}, not to {self.source}",
                hint="use another state file, or none",
            )
        try:
            self._go_to(cursor)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UsageError(
                f"the saved position in {self.source} cannot be read: {error!r}", hint="start without the state file"
            ) from None

    @abstractmethod
    def _fetch(self) -> None:
        """Appends new rows to `_waiting`, and keeps those it has when it raises. It may set `finished`."""

    @abstractmethod
    def _place(self) -> dict[str, Any]:
        """The position after the last row in `_waiting`, as plain JSON that later fetches do not change."""

    @abstractmethod
    def _go_to(self, cursor: dict[str, Any]) -> None:
        """Goes to a position. A malformed position may raise any error of reading it."""


class RemoteRun(BaseAdapter):
    """Reads a whole run on a server. `source`: its URL."""

    def __init__(self, source: str, **options: Any) -> None:
        super().__init__([], **options)
        self.source = source

    @classmethod
    def sniff(cls, file: File) -> int:  # noqa: ARG003
        return 0  # never a file
