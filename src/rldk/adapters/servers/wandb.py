"""Runs on a W&B server, `wandb://[entity/]project/run`, through W&B's own client.

Checked with the clients 0.17, 0.22 and 0.31 against a server on loopback that answers as they expect; not
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
from rldk.errors import NoData, UsageError

TIMEOUT_S = 15
PAGE_ROWS = 1000
PAGES = 10  # that are read before a failure would make them be read again
PAGE_STEPS = 100_000  # the client asks for so many steps at once at most
_MAX_DEPTH = 20
_PROFILE = "profiling/"  # TRL's timers, one a row and without a step
_ENDED = frozenset({"finished", "crashed", "failed", "killed"})
# What the client's messages say, whatever class it raises: the first that is found. Messages of 0.17 to 0.31.
_TROUBLES: tuple[tuple[Trouble, re.Pattern[str]], ...] = (
    ("busy", re.compile(r"\b429\b|rate limit|too many requests", re.I)),
    ("absent", re.compile(r"could not find|(run|project) not found|no history found|\b404\b|'NoneType'", re.I)),
    (
        "offline",
        re.compile(r"not respond|timed? ?out|giving up|connection|\b5\d\d\b|no such host|failed to resolve", re.I),
    ),
    ("auth", re.compile(r"\b40[13]\b|api.?key|unauthori|forbidden|permission|credentials|log ?in", re.I)),
)


class WandBRun(RemoteRun):
    """A run as the server has it now. Its step is chosen as in a run file, knowing the whole history."""

    name: ClassVar[str] = "wandb"
    describes: ClassVar[str] = "run on a W&B server"

    def __init__(self, source: str, *, retry: Retry | None = None) -> None:
        self._server = _Server(source, retry or Retry())
        super().__init__(source, run=self._server.path.rsplit("/", 1)[-1])

    def read(self) -> Log:
        """Its history. Raises `NoData`, `UnreadableSource`, `MissingExtra`."""
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
    """Rows of the history as they come. The step is the trainer's from the first row of training that has it on, before
    that the number of the row: unlike `WandBRun`, which has seen the end."""

    def __init__(self, source: str, *, cursor: dict[str, Any] | None = None, retry: Retry | None = None) -> None:
        self._next = 0  # `_step` of the first row not read
        self._clock: str | None = None
        self._at: int | None = None  # the clock's last value
        self._trained: int | None = None  # its last value on a row of training
        self._segment = 0
        super().__init__(source, cursor=cursor, retry=retry)
        self._server = _Server(source, self.retry)

    def _fetch(self) -> None:
        ended = self._server.refresh() in _ENDED  # asked first: what is read afterwards is then complete
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
        """The step of a row: its own, that of the row before it where it has none, or `call` where no row has one."""
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
    """One run on the server. `path`: "entity/project/run" as far as it was given."""

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
        """The run's state as it is now."""
        self._retry.call(self._load, self._service, self.path)
        return str(self.field("state", str))

    def field(self, name: str, kind: type[Any]) -> Any:
        """What the server says of the run under a name, None where it says nothing or something of another kind."""
        value = getattr(self._run, name, None)
        return value if isinstance(value, kind) else None

    def rows(self, first: int) -> Iterator[Mapping[str, Any]]:
        """The rows of the history from `_step` `first` on; a page that fails is asked for again."""
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
        """(the `_step` to go on from, the rows before it); None when there is nothing at or behind `first`."""
        with _told():
            last = self._run.lastHistoryStep
            if not isinstance(last, int) or last < first:
                return None
            width = self._width(last)
            end = min(first + PAGES * width, last + 1)
            rows = list(self._run.scan_history(min_step=first, max_step=end, page_size=width))
        return end, [row for row in rows if isinstance(row, Mapping)]

    def _width(self, last: int) -> int:
        """Steps to ask for at once, so that about `PAGE_ROWS` rows come: a run may log every ten thousandth step."""
        count = self.field("history_line_count", int) or last
        return min(PAGE_STEPS, max(PAGE_ROWS, PAGE_ROWS * last // max(count, 1)))


def _connect(path: str) -> tuple[Any, str]:
    with need("wandb", "wandb"):
        import wandb
    api = wandb.Api(timeout=TIMEOUT_S)
    return api.run(path), str(api.settings["base_url"])


@contextmanager
def _told() -> Iterator[None]:
    """Turns what the client raises, which differs from version to version, into a `RemoteFailure`."""
    try:
        yield
    except _raised_by_client() as error:
        text = str(error) or type(error).__name__
        known = next((trouble for trouble, pattern in _TROUBLES if pattern.search(text)), None)
        refused: Trouble = "auth" if type(error).__name__ == "AuthenticationError" else "refused"
        raise RemoteFailure(known or refused, text) from None


def _raised_by_client() -> tuple[type[Exception], ...]:
    """OSError covers those of `requests`; the others come of an answer that the client did not expect."""
    kinds: tuple[type[Exception], ...] = (OSError, ValueError, KeyError, TypeError, AttributeError)
    try:
        from wandb.errors import Error

        kinds += (Error,)
        from wandb.sdk.lib.service.service_connection import WandbApiFailedError
    except ImportError:  # since 0.26
        return kinds
    return (*kinds, WandbApiFailedError)


def _items(row: Mapping[str, Any], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, float | None]]:
    """(key, number) of what a row holds, nested keys joined by dots; None for what is no number."""
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
