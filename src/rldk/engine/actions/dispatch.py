"""Carries out what a rule file asks for when an incident begins, worsens or is over. It never blocks the reading
thread."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from rldk.core.files import write_whole
from rldk.core.model import Alert, AlertEvent
from rldk.engine.actions.message import facts, fill, one_line, sentence, words
from rldk.engine.actions.queue import Lane
from rldk.engine.actions.retry import Attempt, persist
from rldk.engine.actions.routing import Due, Ledger
from rldk.engine.processes import command, identity
from rldk.errors import ConfigError
from rldk.rules.files.action import Action, problem

Status = Literal["done", "failed", "skipped", "limited", "dropped"]
# two threads, so that a slow server never delays a stop
LANES = {"local": ("warn", "sentinel", "stop"), "outside": ("shell", "http")}
GUARDED = frozenset({"shell", "http"})  # these run only when the user allowed them
OPEN = frozenset({*GUARDED, "sentinel"})  # what a user may allow: with "sentinel" a sentinel may lie anywhere
MARK = "rldk-sentinel"  # marks a file that a later sentinel may replace
MARK_BYTES = 1 << 16
QUEUE_SIZE = 256
MOST_OUTCOMES = 1000
LONGEST_OUTPUT = 300
HURRY_S = 1.0


class Timeouts(Struct, frozen=True, kw_only=True):
    """Time limits in seconds. `interval_s`: the least time between two commands, or two posts, of one rule.

    `backoff_s`: the pause before the second attempt. It doubles with every further attempt."""

    kill_s: float = 10.0
    shell_s: float = 30.0
    http_s: float = 10.0
    backoff_s: float = 0.5
    interval_s: float = 60.0


USUAL = Timeouts()


class Outcome(Struct, frozen=True, kw_only=True):
    """What became of one action. `kind` is "alert" for an alert that was lost before any action.

    `detail`: the message of a `warn`; for other actions, what was done or why it was not. It is one line without
    secrets. `attempts`: 0 when the action was not tried."""

    rule: str
    kind: str
    status: Status
    detail: str
    event: AlertEvent
    step: int
    attempts: int = 0


class Dispatcher:
    """Carries out the actions of rules. `submit` returns at once. An action that fails is an outcome, never an error.

    `actions`: the actions by rule. `pid`: the process that `stop` ends. Its start time is noted now, so that a later
    process with the same number is left alone. `allow`: which of "shell" and "http" may run; with "sentinel" in it a
    sentinel may lie outside the working directory and `folders`. `stop_on`: the severities that trigger `stop` for
    every rule. Stop and sentinel are done once. Raises `ConfigError` for a wrong action and `UsageError` for a pid that
    must never be stopped."""

    def __init__(
        self,
        actions: Mapping[str, Sequence[Action]],
        *,
        pid: int | None = None,
        allow: frozenset[str] = frozenset(),
        folders: Sequence[Path] = (),
        stop_on: frozenset[str] = frozenset(),
        timeouts: Timeouts = USUAL,
        retries: int = 3,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._actions = {rule: tuple(listed) for rule, listed in actions.items()}
        for rule, action in self._all():
            if wrong := problem(action):
                raise ConfigError(f"rule {rule}: {wrong}")
        self._pid = pid
        self._target = None if pid is None else identity.identify(pid)
        self._allow = allow
        self._folders = [folder.resolve() for folder in (Path.cwd(), *folders)]
        self._stop_on = stop_on
        self._timeouts = timeouts
        self._retries = retries
        self._settled: set[tuple[str, str]] = set()
        self._lock = threading.Lock()
        self._outcomes: deque[Outcome] = deque(maxlen=MOST_OUTCOMES)
        self._counts: Counter[tuple[str, Status]] = Counter()
        self._hurry = threading.Event()
        self._lanes: dict[str, tuple[frozenset[str], Lane]] = {}
        self._ledgers: list[tuple[frozenset[str], Ledger]] = []
        for name, kinds in LANES.items():
            ledger = Ledger(interval_s=timeouts.interval_s, clock=clock)
            self._ledgers.append((frozenset(kinds), ledger))
            work = partial(self._work, frozenset(kinds), ledger)
            self._lanes[name] = (frozenset(kinds), Lane(f"rldk-{name}-actions", work, size=QUEUE_SIZE))

    def submit(self, alert: Alert) -> None:
        """Queues what the alert's rule asks for."""
        listed = {action.kind for action in self._asked(alert)}
        for kinds, lane in self._lanes.values():
            lost = lane.put(alert) if listed & kinds else None
            if lost is not None:
                self._note(lost, "alert", "dropped", "more alerts than the actions could keep up with")

    def recall(self, alert: Alert) -> None:
        """Notes an alert whose actions were done before a restart. Its incident is then known, and nothing is done."""
        for kinds, ledger in self._ledgers:
            ledger.due(alert, self._mine(kinds, alert))

    def outcomes(self) -> list[Outcome]:
        """The outcomes since the last call, oldest first. When there are more than a thousand, only the newest are
        kept."""
        with self._lock:
            listed = list(self._outcomes)
            self._outcomes.clear()
        return listed

    def counts(self) -> dict[tuple[str, Status], int]:
        """The number of outcomes so far by kind and status."""
        with self._lock:
            return dict(self._counts)

    def inactive(self) -> list[str]:
        """The actions that would do nothing, each with the reason. The user learns this before the run, not when it
        breaks."""
        found = {f"{rule}: {reason}" for rule, action in self._all() if (reason := self._hindrance(action))}
        return sorted(found)

    def close(self, timeout_s: float | None = None) -> bool:
        """Takes no more alerts and waits for the rest. True when all was done in time (by default, the time of a full
        stop)."""
        if timeout_s is None:
            stops = [action.options.get("kill_timeout_s", 0.0) for _, action in self._all()]
            timeout_s = max([self._timeouts.kill_s, *stops]) + identity.LAST_WAIT_S + HURRY_S
        deadline = time.monotonic() + timeout_s
        busy = False
        for _, lane in self._lanes.values():
            left, working = lane.close(deadline - time.monotonic())
            for alert in left:
                self._note(alert, "alert", "dropped", "the monitor ended before its actions were done")
            busy = busy or working or bool(left)
        if busy:
            self._hurry.set()  # ends a pause between attempts and a running command
            for _, lane in self._lanes.values():
                lane.close(HURRY_S)
        return not busy

    def _all(self) -> list[tuple[str, Action]]:
        return [(rule, action) for rule, listed in self._actions.items() for action in listed]

    def _work(self, kinds: frozenset[str], ledger: Ledger, alert: Alert) -> None:
        for due in ledger.due(alert, self._mine(kinds, alert)):
            self._carry_out(due, alert)

    def _mine(self, kinds: frozenset[str], alert: Alert) -> list[tuple[int, Action]]:
        return [(i, action) for i, action in enumerate(self._asked(alert)) if action.kind in kinds]

    def _asked(self, alert: Alert) -> tuple[Action, ...]:
        """The actions of the rule, in their order, and the stop that the severity triggers."""
        listed = self._actions.get(alert.rule, ())
        return (*listed, Action("stop")) if alert.severity in self._stop_on else listed

    def _carry_out(self, due: Due, alert: Alert) -> None:
        action, kind = due.action, due.action.kind
        target = (kind, str(action.options.get("path", self._pid)))
        if target in self._settled:
            return
        if hindrance := self._hindrance(action):
            self._note(alert, kind, "skipped", hindrance)
        elif due.limited:
            self._note(alert, kind, "limited", f"not again within {self._timeouts.interval_s:g} s")
        else:
            retries = int(action.options.get("retries", self._retries))
            once = partial(self._once, action, alert)
            made, attempts = persist(once, retries, self._timeouts.backoff_s, self._hurry)
            self._note(alert, kind, "done" if made.ok else "failed", made.detail, attempts)
            if made.ok and kind in {"stop", "sentinel"}:
                self._settled.add(target)

    def _hindrance(self, action: Action) -> str:
        if action.kind in GUARDED and action.kind not in self._allow:
            return f"{action.kind} needs --allow-actions {action.kind}"
        if action.kind == "sentinel" and "sentinel" not in self._allow:
            path = Path(action.options["path"]).resolve()
            if not any(path.is_relative_to(folder) for folder in self._folders):
                return f"{path} is outside the working and the run directory: allow it with --allow-actions sentinel"
        return "stop needs --pid" if action.kind == "stop" and self._pid is None else ""

    def _once(self, action: Action, alert: Alert) -> Attempt:
        options, timeouts = action.options, self._timeouts
        match action.kind:
            case "warn":
                return Attempt(True, sentence(alert, options.get("msg")))
            case "stop":
                return _stop(self._target, self._pid, options.get("kill_timeout_s", timeouts.kill_s))
            case "sentinel":
                return _sentinel(options, alert)
            case "shell":
                return _shell(options, alert, options.get("timeout_s", timeouts.shell_s), self._hurry)
            case "http":
                from rldk.engine.actions.webhook import (
                    post,  # loading the http client costs more than loading the whole monitor
                )

                return post(options, alert, timeout_s=options.get("timeout_s", timeouts.http_s))
        return Attempt(False, f"unknown action {action.kind}")

    def _note(self, alert: Alert, kind: str, status: Status, detail: str, attempts: int = 0) -> None:
        outcome = Outcome(
            rule=alert.rule,
            kind=kind,
            status=status,
            detail=one_line(detail),
            event=alert.event,
            step=alert.step,
            attempts=attempts,
        )
        with self._lock:
            self._outcomes.append(outcome)
            self._counts[kind, status] += 1


def _stop(target: identity.Process | None, pid: int | None, kill_timeout_s: float) -> Attempt:
    if target is None:
        return Attempt(False, f"process {pid} had ended before the monitor began")
    stopped = identity.stop(target, kill_timeout_s=kill_timeout_s)
    return Attempt(stopped.how in {"ended", "killed", "gone"}, stopped.detail)


def _sentinel(options: Mapping[str, Any], alert: Alert) -> Attempt:
    """Writes the file whole or not at all: a trainer may look at any moment. It replaces nothing but another
    sentinel."""
    path = Path(options["path"])
    try:
        if path.is_symlink() or (path.exists() and not _is_sentinel(path)):
            return Attempt(False, f"{path} exists and is no sentinel of rldk, so it was left alone")
        said = {"written_by": MARK, **facts(alert), "text": sentence(alert, options.get("msg"))}
        text = json.dumps(said, allow_nan=False)
        write_whole(path, text, durable=True, parents=True)
    except (OSError, ValueError) as error:
        return Attempt(False, f"{path}: {_reason(error)}", again=isinstance(error, OSError))
    return Attempt(True, f"wrote {path}")


def _is_sentinel(path: Path) -> bool:
    if not path.is_file():  # for root, a rename would replace even /dev/null
        return False
    with path.open("rb") as stream:
        head = stream.read(MARK_BYTES)
    try:
        found = json.loads(head)
    except ValueError:
        return not head  # true for an empty file, which somebody made for this
    return isinstance(found, dict) and found.get("written_by") == MARK


def _shell(options: Mapping[str, Any], alert: Alert, timeout_s: float, hurry: threading.Event) -> Attempt:
    # a metric called "--output=..." must not become an option of the command
    values = {name: v.lstrip("-") if isinstance(v, str) else v for name, v in words(alert).items()}
    argv = [fill(part, values) for part in options["command"]]
    try:
        done = command.run(argv, timeout_s=timeout_s, hurry=hurry)
    except (OSError, ValueError) as error:
        return Attempt(False, f"{argv[0]}: {_reason(error)}")
    if done.code is None:
        return Attempt(False, f"{argv[0]} was ended after {timeout_s:g} s")
    said = one_line(done.output.strip(), LONGEST_OUTPUT)
    detail = f"{argv[0]} exited with {done.code}" + (f": {said}" if said else "")
    return Attempt(done.code == 0, detail, again=done.code != 0)


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
