"""The report of a monitor on runs of which some had no row, or not even a name."""

from __future__ import annotations

from typing import Any

from rldk.monitor.summary import SourceStats, summary


def _summary(*stats: SourceStats) -> dict[str, Any]:
    runs = [(None, one) for one in stats]
    return summary(runs, ended="x", seconds=-1.0, rules="default", alerts={}, actions=())


def test_a_source_without_a_row_is_a_run_that_was_not_checked() -> None:
    document = _summary(SourceStats(path="a"), SourceStats(path="b"))
    assert [(run["rows"], run["first_step"], run["last_step"], run["run"]) for run in document["runs"]] == [
        (0, None, None, "")
    ] * 2
    assert (document["health"], document["seconds"]) == ("unknown", 0.0)
    assert document["verdict"] == document["runs"][0]["verdict"]


def test_nothing_at_all_was_watched() -> None:
    assert _summary()["verdict"] == "Nothing was watched."
