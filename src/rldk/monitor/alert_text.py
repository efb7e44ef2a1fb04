"""An alert as one line of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rldk.cards.safe import clean
from rldk.core.model import Alert
from rldk.engine.actions.message import fill, words
from rldk.rules.files.action import Action


def templates(actions: Mapping[str, Sequence[Action]]) -> dict[str, str]:
    """The text that a rule file gives its alerts: rule -> `msg` of its first `warn`."""
    found: dict[str, str] = {}
    for rule, listed in actions.items():
        for action in listed:
            if action.kind == "warn" and "msg" in action.options:
                found.setdefault(rule, action.options["msg"])
    return found


def line(alert: Alert, template: str | None = None, *, late: bool = False) -> str:
    """ "[warn] KL002 step 62: ..." without control characters, on one line."""
    head = "recovered" if alert.event == "recovered" else alert.severity
    said = alert.message if template is None or alert.event == "recovered" else fill(template, words(alert))
    run = f" {clean(alert.run, 100)}" if alert.run else ""
    more = " (worse)" if alert.event == "worse" else ""
    missed = " (while not watched)" if late else ""
    where = "before the first step" if alert.finding.first_step is None else f"step {alert.step}"
    return f"[{head}]{run} {clean(alert.rule, 100)} {where}{more}{missed}: {clean(said, 1000)}"
