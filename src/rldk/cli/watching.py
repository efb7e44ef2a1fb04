"""What `rldk monitor` and `rldk run` share: the screen, the signals, the exit code."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

from rldk.cards.safe import clean
from rldk.cards.words import plural
from rldk.cli.output import say, write
from rldk.engine.actions.dispatch import OPEN, Timeouts
from rldk.errors import UnknownName, UsageError
from rldk.monitor.job import MonitorOptions, Screen, watch
from rldk.monitor.signals import Signals
from rldk.monitor.watch import Feed, Wait
from rldk.rules.files.load import RuleFile, load_rules

_WHY = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated", signal.SIGHUP: "the terminal went away"}
LOUD: dict[str, set[str]] = {"warn": {"warn", "critical"}, "critical": {"critical"}, "never": set()}
KINDS = ("warn", "stop", *sorted(OPEN))


class AlertLines:
    """Alerts as lines, or as JSON lines."""

    def __init__(self, out: Callable[[str], None], *, as_json: bool) -> None:
        self._as_json = as_json
        self._out = out

    def alert(self, line: str, document: dict[str, Any]) -> None:
        self._out(json.dumps(document) if self._as_json else line)

    def warn(self, text: str) -> None:
        say(f"rldk: {clean(text, 1000)}")

    def show(self, sessions: Sequence[object]) -> None:
        """Does nothing: printed lines stay as they are."""

    def close(self) -> None:
        """Does nothing: printed lines stay as they are."""


def load_asked_rules(flags: dict[str, Any]) -> RuleFile:
    """The rules that the options name; removes those options from `flags`. Raises `ConfigError` and `UnknownName`."""
    return load_rules(list(flags.pop("rules")) or ["default"], overrides=flags.pop("overrides"))


def conduct(
    feeds: Sequence[Feed],
    file: RuleFile,
    *,
    stdout: bool,
    as_json: bool,
    plain: bool,
    judge: bool,
    fail_on: str,
    wait: Wait,
    **asked: Any,
) -> int:
    """Watches to the end, prints what was found, and returns the exit code.

    `wait` goes to `Watch`, `asked` to `job_of`."""
    out = write if stdout else say
    drawn = not (plain or as_json) and sys.stderr.isatty() and stdout and sys.stdout.isatty() and not _dumb()
    job = job_of(curves=drawn, **asked)
    screen: Screen = _panel(feeds, file.name) if drawn else AlertLines(out, as_json=as_json)
    try:
        found = watch(job, feeds, file, screen, wait)
    finally:
        screen.close()
    out(json.dumps(found) if as_json else _closing_line(found, job))
    return exit_code(found["health"], fail_on) if judge else 0


def until(signals: Signals) -> Wait:
    """A function that pauses; at the first signal it returns the reason to end."""

    def wait(seconds: float) -> str | None:
        caught = signals.wait(seconds)
        return None if caught is None else _WHY[caught]

    return wait


def exit_code(health: str, fail_on: str) -> int:
    """The exit code that `rldk doctor` would give: 3 when no rule could look."""
    return 3 if health == "unknown" else int(health in LOUD[fail_on])


def job_of(
    *, allow_actions: Sequence[str], stop_on: str | None, pid: int | None, kill_s: float, http_s: float, **rest: Any
) -> MonitorOptions:
    """The job that the options describe. Raises `UnknownName` for an unknown action, and `UsageError`."""
    if stop_on is not None and pid is None:
        raise UsageError(
            "--stop-on needs the process that it shall stop", hint="give --pid, or use `rldk run -- COMMAND`"
        )
    kinds = [kind.strip() for word in allow_actions for kind in word.split(",") if kind.strip()]
    for kind in kinds:
        if kind not in KINDS:
            raise UnknownName("action", kind, KINDS)
    return MonitorOptions(
        allow=frozenset(kinds) & OPEN,
        stop_on=frozenset(LOUD[stop_on or "never"]),
        pid=pid,
        timeouts=Timeouts(kill_s=kill_s, http_s=http_s),
        **rest,
    )


def _closing_line(found: dict[str, Any], job: MonitorOptions) -> str:
    """The last line: the verdict, and where the report is."""
    where = f"; report in {job.report}" if job.report else ""
    return clean(f"{found['verdict']} ({plural(found['alerts']['begin'], 'alert')}, {found['ended']}{where})", 2000)


def _dumb() -> bool:
    return bool(os.environ.get("CI")) or os.environ.get("TERM") == "dumb"


def _panel(feeds: Sequence[Feed], rules: str) -> Screen:
    from rldk.monitor.panel import Panel

    return Panel(", ".join(feed.source for feed in feeds), rules)
