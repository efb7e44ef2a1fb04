from __future__ import annotations

from rldk.monitor.recent_curves import LENGTH, RecentCurves


def test_a_value_that_is_no_number_is_a_gap_of_the_curve() -> None:
    curves = RecentCurves()
    for step, loss in enumerate([1.0, float("nan"), 0.5, float("inf")]):
        curves.update(step, {"loss": loss})
    (curve,) = curves.series(5).values()
    assert curve == {"step": [0, 2], "value": [1.0, 0.5], "gaps": [1, 3], "rows": 4}


def test_the_newest_rows_are_kept() -> None:
    curves = RecentCurves()
    for step in range(LENGTH + 1):
        curves.update(step, {"loss": 1.0})
    (curve,) = curves.series(5).values()
    assert (curve["step"][0], curve["rows"]) == (1, LENGTH)
