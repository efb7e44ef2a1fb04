"""The automatic notes of an event: what the rules said on its row, in a few words."""

from __future__ import annotations

from collections.abc import Iterable

from rldk.core.model import Alert

# what a reader of events looks for; the rule's own sentence follows
HEADLINES: dict[str, str] = {
    "KL001": "KL divergence leaves its course",
    "KL002": "KL divergence blow-up detected",
    "CLIP003": "High clipping fraction detected",
    "CLIP005": "Large policy update detected",
    "GRAD001": "Non-finite value detected",
    "GRAD002": "Gradient explosion detected",
    "GRAD004": "Vanishing gradient detected",
    "ENT001": "Policy collapse detected",
    "REW002": "Possible reward hacking detected",
    "REW003": "Possible reward hacking detected",
    "LEN001": "Possible reward hacking detected",
    "REW012": "Reward collapse detected",
    "SYS005": "Memory keeps growing",
}
MOST = 20


def notes_of(alerts: Iterable[Alert], step: int) -> list[str]:
    """One sentence for each alert that came with the row of a step. An alert of an earlier row names its own step."""
    return [
        _note(alert) if alert.step == step else f"step {alert.step}: {_note(alert)}" for alert in list(alerts)[:MOST]
    ]


def _note(alert: Alert) -> str:
    if alert.event == "recovered":
        return f"{alert.rule}: {alert.message}"
    headline = HEADLINES.get(alert.rule)
    return f"{headline}: {alert.message} ({alert.rule})" if headline else f"{alert.message} ({alert.rule})"
