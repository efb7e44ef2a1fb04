"""The report on the single answers of a run, for its reward card."""

from __future__ import annotations

from pathlib import Path

from rldk.errors import RldkError
from rldk.reward.assessment import HealthOptions, judge_scores, open_scores
from rldk.reward.report import RewardHealthReport


def health_of_answers(source: str) -> RewardHealthReport | None:
    """The report on the single answers of a source; None where it is standard input, an address, or has none that can
    be read."""
    if not Path(source).exists():
        return None
    options = HealthOptions()
    try:
        table = open_scores(source, options)
    except RldkError:
        return None  # whether there is a log is for the card to say
    return None if table.single else judge_scores(table, None, options)
