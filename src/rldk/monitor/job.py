"""Puts a monitor together from sources, rules, actions and files, runs it to its end, and writes the report."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct, field

from rldk.core.files import write_whole
from rldk.engine.actions.dispatch import Dispatcher, Timeouts
from rldk.engine.reference import baseline
from rldk.errors import UsageError
from rldk.monitor.alert_text import templates
from rldk.monitor.delivery import Delivery, Places
from rldk.monitor.reward import WINDOW
from rldk.monitor.session import RunSession
from rldk.monitor.state import MonitorState
from rldk.monitor.summary import summary
from rldk.monitor.watch import Ends, Feed, Wait, Watch
from rldk.rules.files.load import RuleFile


class Screen(Protocol):
    """The output of a monitor: `alert` takes a line and its document, `warn` takes problems of the monitoring
    itself."""

    def alert(self, line: str, document: dict[str, Any]) -> None: ...

    def warn(self, text: str) -> None: ...

    def show(self, sessions: Sequence[RunSession]) -> None: ...

    def close(self) -> None: ...


DRAWN = {".html": "html", ".md": "markdown", ".xml": "junit", ".sarif": "sarif"}  # reports that are not JSON


class MonitorOptions(Struct, frozen=True, kw_only=True):
    """What the user asked for besides sources and rules."""

    alerts: Path | None = None
    alerts_txt: Path | None = None
    report: Path | None = None
    state: Path | None = None
    reference: str | None = None
    pid: int | None = None
    allow: frozenset[str] = frozenset()
    stop_on: frozenset[str] = frozenset()  # severities of any rule that end the process
    timeouts: Timeouts = field(default_factory=Timeouts)
    retries: int = 3
    idle_s: float | None = None
    reward_window: int = WINDOW
    curves: bool = False  # keep the newest values, for a panel
    hold: bool = True  # hold back the actions of incidents that were over before all existing rows were read


def watch(job: MonitorOptions, feeds: Sequence[Feed], rules: RuleFile, screen: Screen, wait: Wait) -> dict[str, Any]:
    """Watches until there is a reason to end. Returns the report, which is also written. `wait` is that of `Watch`.

    Raises `ConfigError` and `UsageError` before anything is read."""
    state = MonitorState(job.state)
    written = [path.parent for path in (job.alerts, job.alerts_txt, job.report, job.state) if path]
    folders = [*written, *(Path(feed.source).parent for feed in feeds)]
    dispatcher = Dispatcher(
        rules.actions,
        pid=job.pid,
        allow=job.allow,
        folders=folders,
        stop_on=job.stop_on,
        timeouts=job.timeouts,
        retries=job.retries,
    )
    for text in (*rules.notes, *dispatcher.inactive()):
        screen.warn(text)
    delivery = Delivery(
        Places(alerts=job.alerts, alerts_txt=job.alerts_txt, words=templates(rules.actions)),
        state,
        dispatcher,
        show=screen.alert,
        warn=screen.warn,
    )
    watching = Watch(
        feeds,
        rules.rules,
        delivery,
        state,
        ends=Ends(pid=job.pid, idle_s=job.idle_s),
        reward_window=job.reward_window,
        curves=job.curves,
        reference=None if job.reference is None else baseline(job.reference),
    )
    began = time.monotonic()
    ended = watching.run(wait, lambda: screen.show(watching.sessions()), hold=job.hold)
    document = summary(
        [(c.session, c.feed.stats()) for c in watching.channels],
        ended=ended,
        seconds=time.monotonic() - began,
        rules=rules.name,
        alerts=delivery.counts,
        actions=delivery.outcomes,
    )
    if job.report is not None:
        write_report(job.report, document)
    return document


def write_report(path: Path, document: dict[str, Any]) -> None:
    """Writes the report whole or not at all, in the format that its name ends in: `.html`, `.md`, `.xml` (JUnit),
    `.sarif`, else JSON. Raises `UsageError`."""
    try:
        write_whole(path, _drawn(path.suffix.lower(), document), durable=True, parents=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"cannot write {path}: {reason}", hint="check the directory and its space") from None


def _drawn(suffix: str, document: dict[str, Any]) -> str:
    import json

    if suffix not in DRAWN:
        return json.dumps(document, indent=2, ensure_ascii=True, allow_nan=False) + "\n"
    from rldk.cards.monitor import monitor_view
    from rldk.core.registry import renderers

    return str(renderers.get(DRAWN[suffix])(monitor_view(document)))
