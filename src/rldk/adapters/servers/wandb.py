"""Reads runs on a W&B server, `wandb://[entity/]project/run`, through W&B's own client.

It was checked with the clients 0.17, 0.22 and 0.31 against a server on loopback that answers as they expect, and not
against the hosted service.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, ClassVar

from rldk.adapters.formats.wandb_offline import CLOCKS, WORDS, WandbHistory, whole_step
from rldk.adapters.log import Log
from rldk.adapters.servers.poll import RemoteFailure, RemoteFollower, RemoteRun, Retry, Service, Trouble
from rldk.adapters.wire.scalars import phase_of
from rldk.core.extras import need
from rldk.core.table import PHASES, Phase, Row
from rldk.core.text import later
from rldk.errors import NoData, UsageError

TIMEOUT_S = 15
PAGE_ROWS = 1000
PAGES = 10  # rows to read at once; after a failure they are read again
PAGE_STEPS = 100_000  # the client asks for at most so many steps at once
_MAX_DEPTH = 20
_PROFILE = "profiling/"  # TRL's timers, each in a row of its own without a step
_ENDED = frozenset({"finished", "crashed", "failed", "killed"})
# Patterns in the messages of the client, 0.17 to 0.31, whatever class it raises; the first match counts.
_TROUBLES: tuple[tuple[Trouble, re.Pattern[str]], ...] = (
    ("busy", later(r"\b429\b|rate limit|too many requests", re.I)),
    ("absent", later(r"could not find|(run|project) not found|no history found|\b404\b|'NoneType'", re.I)),
    (
        "offline",
        later(r"not respond|timed? ?out|giving up|connection|\b5\d\d\b|no such host|failed to resolve", re.I),
    ),
    ("auth", later(r"\b40[13]\b|api.?key|unauthori|forbidden|permission|credentials|log ?in", re.I)),
)


class WandBRun(RemoteRun):
    """A run in its present state on the server. The whole history decides its step, as in a run file."""

    name: ClassVar[str] = "wandb"
    describes: ClassVar[str] = "run on a W&B server"

    def __init__(self, source: str, *, retry: Retry | None = None) -> None:
        self._server = _Server(source, retry or Retry())
        super().__init__(source, run=self._server.path.rsplit("/", 1)[-1])

    def read(self) -> Log:
        """The history of the run. Raises `NoData`, `UnreadableSource`, `MissingExtra`."""
        history = WandbHistory()
        self._server.refresh()
        count = 0
        for row in self._server.rows(0):
            history.add(_items(row))
            count += 1
        if not len(history.scalars):
            raise NoData(f"{self.source} has no history", hint="check that the run has logged a number")
        history.summarise(_items(self._server.field("summary_metrics", dict) or {}))
        history.config = {k: v for k, v in (self._server.field("config", dict) or {}).items() if k != "_wandb"}
        commit = self._server.field("commit", str)
        if commit:
            history.meta["git_sha"] = commit
        wanted = {"id": "wandb_run", "project": "wandb_project", "name": "wandb_name", "state": "wandb_state"}
        told = {name: self._server.field(key, str) for key, name in wanted.items()}
        history.environment = {name: value for name, value in told.items() if value}
        return history.log(count)


class WandBFollower(RemoteFollower):
    """Gives the rows of the history as they come. From the first training row with a trainer's step, that is the step;
    before it, the number of the row is. `WandBRun` differs because it knows the end."""

    def __init__(self, source: str, *, cursor: dict[str, Any] | None = None, retry: Retry | None = None) -> None:
        self._next = 0  # `_step` of the first row not read
        self._clock: str | None = None
        self._at: int | None = None  # the clock's last value
        self._trained: int | None = None  # its last value on a row of training
        self._segment = 0
        super().__init__(source, cursor=cursor, retry=retry)
        self._server = _Server(source, self.retry)

    def _fetch(self) -> None:
        ended = (
            self._server.refresh() in _ENDED
        )  # ask for the state first, so that the data read afterwards is complete
        for row in self._server.rows(self._next):
            self._take(row)
        self.finished = ended

    def _take(self, row: Mapping[str, Any]) -> None:
        told = {key: value for key, value in _items(row) if value is not None}
        call = whole_step(told.get("_step", math.nan), self._next)
        self._next = max(self._next, call + 1)
        values: dict[Phase, dict[str, float]] = {}
        for key in sorted(told):
            if not key.startswith(("_", _PROFILE)) and key != self._clock:
                values.setdefault(phase_of(key), {})[key] = told[key]
        step = self._step(told, values, call)
        for phase in PHASES:
            if phase in values:
                time = told.get("_timestamp", math.nan)
                row_ = Row(step=step, values=values[phase], phase=phase, segment=self._segment, time=time)
                self._waiting.append(row_)

    def _step(self, told: Mapping[str, float], values: dict[Phase, dict[str, float]], call: int) -> int:
        """The step of a row: its own, else that of the row before it, else `call` when no row has a step."""
        train = values.get("train", {})
        if self._clock is None:
            found = next((name for name in CLOCKS if math.isfinite(told.get(name, math.nan))), None)
            if found is not None and train.keys() - {found}:
                self._clock = found
                train.pop(found, None)
        if self._clock is None:
            return call
        at = told.get(self._clock, math.nan)
        if math.isfinite(at):
            self._at = whole_step(at, call)
            if train:
                self._segment += self._trained is not None and self._at < self._trained
                self._trained = self._at
        return call if self._at is None else self._at

    def _place(self) -> dict[str, Any]:
        return {
            "next": self._next,
            "clock": self._clock,
            "at": self._at,
            "trained": self._trained,
            "segment": self._segment,
        }

    def _go_to(self, cursor: dict[str, Any]) -> None:
        self._next, self._segment = int(cursor["next"]), int(cursor["segment"])
        self._clock = None if cursor["clock"] is None else str(cursor["clock"])
        self._at, self._trained = (None if cursor[k] is None else int(cursor[k]) for k in ("at", "trained"))


class _Server:
    """One run on the server. `path`: "entity/project/run", possibly without the entity."""

    def __init__(self, source: str, retry: Retry) -> None:
        self.path = source.partition("://")[2].strip("/")
        parts = self.path.split("/")
        if len(parts) not in (2, 3) or not all(parts):
            raise UsageError(f"{source} names no run", hint="write wandb://entity/project/run or wandb://project/run")
        self._retry = retry
        self._run: Any = None
        self._service = Service(
            name="W&B",
            address="its server",
            sign_in="set WANDB_API_KEY or run `wandb login`; for your own server also WANDB_BASE_URL",
        )

    def refresh(self) -> str:
        """The present state of the run."""
        self._retry.call(self._load, self._service, self.path)
        return str(self.field("state", str))

    def field(self, name: str, kind: type[Any]) -> Any:
        """A field of the run on the server; None when it is missing or has another type."""
        value = getattr(self._run, name, None)
        return value if isinstance(value, kind) else None

    def rows(self, first: int) -> Iterator[Mapping[str, Any]]:
        """The rows of the history from `_step` `first` on. It asks again for a page that fails."""
        while True:
            page = self._retry.call(partial(self._page, first), self._service, self.path)
            if page is None:
                return
            first, rows = page
            yield from rows

    def _load(self) -> None:
        with _told():
            if self._run is None:
                self._run, address = _connect(self.path)
                self._service = Service(name="W&B", address=address, sign_in=self._service.sign_in)
            else:
                self._run.load(force=True)

    def _page(self, first: int) -> tuple[int, list[Mapping[str, Any]]] | None:
        """The `_step` to continue from and the rows before it; None when no row comes at or after `first`."""
        with _told():
            last = self._run.lastHistoryStep
            if not isinstance(last, int) or last < first:
                return None
            width = self._width(last)
            end = min(first + PAGES * width, last + 1)
            rows = list(self._run.scan_history(min_step=first, max_step=end, page_size=width))
        return end, [row for row in rows if isinstance(row, Mapping)]

    def _width(self, last: int) -> int:
        """The number of steps to ask for, so that about `PAGE_ROWS` rows come. A run may log every ten thousandth
        step."""
        count = self.field("history_line_count", int) or last
        return min(PAGE_STEPS, max(PAGE_ROWS, PAGE_ROWS * last // max(count, 1)))


def _connect(path: str) -> tuple[Any, str]:
    with need("wandb", "wandb"):
        import wandb
    api = wandb.Api(timeout=TIMEOUT_S)
    return api.run(path), str(api.settings["base_url"])


@contextmanager
def _told() -> Iterator[None]:
    """Turns the errors of the client, which differ between versions, into a `RemoteFailure`."""
    try:
        yield
    except _raised_by_client() as error:
        text = str(error) or type(error).__name__
        known = next((trouble for trouble, pattern in _TROUBLES if pattern.search(text)), None)
        refused: Trouble = "auth" if type(error).__name__ == "AuthenticationError" else "refused"
        raise RemoteFailure(known or refused, text) from None


def _raised_by_client() -> tuple[type[Exception], ...]:
    """The errors that the client raises. OSError covers those of `requests`; the others follow an unexpected answer."""
    kinds: tuple[type[Exception], ...] = (OSError, ValueError, KeyError, TypeError, AttributeError)
    try:
        from wandb.errors import Error

        kinds += (Error,)
        from wandb.sdk.lib.service.service_connection import WandbApiFailedError
    except ImportError:  # since 0.26
        return kinds
    return (*kinds, WandbApiFailedError)


def _items(row: Mapping[str, Any], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, float | None]]:
    """The items of a row as (key, number), with nested keys joined by dots; None for an item without a number."""
    for key, value in row.items():
        if isinstance(value, Mapping) and "_type" not in value and depth < _MAX_DEPTH:
            yield from _items(value, f"{prefix}{key}.", depth + 1)
        elif isinstance(value, str):
            yield f"{prefix}{key}", WORDS.get(value)
        else:
            yield f"{prefix}{key}", _number(value)


def _number(value: object) -> float | None:
    if not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
