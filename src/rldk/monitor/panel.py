"""The panel on a terminal: what is watched, its latest step, curves of the key metrics, and open findings."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from rldk.cards.chart import number, sparkline
from rldk.cards.safe import clean
from rldk.monitor.session import RunSession

REFRESH_S = 0.25
MOST_CURVES = 8
MOST_OPEN = 6
MOST_LINES = 6
COLUMNS = 48
STYLES = {"critical": "bold red", "warn": "bold yellow", "info": "cyan", "recovered": "green"}


class Panel:
    """A live display on stdout. `close` leaves its last state on the screen. It loads rich."""

    def __init__(self, sources: str, rules: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        from rich.console import Console
        from rich.live import Live

        self._sources = clean(sources, 200)
        self._rules = clean(rules, 100)
        self._clock = clock
        self._began = self._drawn = clock()
        self._sessions: Sequence[RunSession] = ()
        self._lines: deque[str] = deque(maxlen=MOST_LINES)
        self._live: Any = Live(console=Console(), auto_refresh=False, transient=False)
        self._live.start()

    def alert(self, line: str, document: dict[str, Any]) -> None:  # noqa: ARG002 - of a screen
        self._lines.append(line)

    def warn(self, text: str) -> None:
        self._lines.append(f"rldk: {clean(text, 300)}")

    def show(self, sessions: Sequence[RunSession]) -> None:
        """Draws the panel, at most four times a second."""
        self._sessions = sessions
        now = self._clock()
        if now - self._drawn >= REFRESH_S:
            self._draw(now)

    def close(self) -> None:
        self._draw(self._clock())
        self._live.stop()

    def _draw(self, now: float) -> None:
        self._drawn = now
        self._live.update(self._picture(self._sessions, now), refresh=True)

    def _picture(self, sessions: Sequence[RunSession], now: float) -> Any:
        from rich.panel import Panel as Box
        from rich.text import Text

        text = Text()
        text.append(f"{self._sources}  rules: {self._rules}  {now - self._began:.0f} s\n", style="dim")
        for session in sessions:
            _session(text, session)
        if not sessions:
            text.append("waiting for the first row\n")
        for line in self._lines:
            text.append(line + "\n", style=STYLES.get(line[1:].split("]", 1)[0], ""))
        text.rstrip()
        return Box(text, title="rldk monitor", title_align="left")


def _session(text: Any, session: RunSession) -> None:
    last = f"step {session.last_step:,}" if session.last_step is not None else "no step yet"
    name = f"{clean(session.run, 60)}: " if session.run else ""
    text.append(f"{name}{last}, {session.rows:,} rows\n", style="bold")
    for metric, series in (session.curves.series(MOST_CURVES) if session.curves else {}).items():
        blocks, _ = sparkline(series, width=COLUMNS)
        value = series["value"][-1] if series["value"] else None
        text.append(f"  {metric:<26.26}  {blocks:<{COLUMNS}}  {number(value)}\n")
    going_on = session.open()
    if not going_on:
        text.append("  nothing is wrong so far\n", style="green")
    for finding in going_on[-MOST_OPEN:]:
        text.append(f"  {finding.severity} ", style=STYLES[finding.severity])
        text.append(f"{finding.code} since step {finding.first_step:,}: {clean(finding.message, 160)}\n")
