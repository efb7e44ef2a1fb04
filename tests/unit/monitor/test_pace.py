from __future__ import annotations

import pytest

from rldk.monitor.pace import Pace


@pytest.mark.parametrize(("took", "least", "again"), [(1.0, 0.0, 20.0), (0.01, 0.0, 0.2), (0.01, 5.0, 5.0)])
def test_work_is_due_again_after_twenty_times_what_it_took(took: float, least: float, again: float) -> None:
    now = [100.0]
    pace = Pace(lambda: now[0], least)
    assert pace.due()
    with pace.measure():
        now[0] += took
    ended = now[0]
    for pause, due in ((0.999 * again, False), (1.001 * again, True)):
        now[0] = ended + pause
        assert pace.due() == due


def test_work_is_due_at_the_very_moment() -> None:
    now = [64.0]
    pace = Pace(lambda: now[0], 8.0)
    with pace.measure():
        pass
    for moment, due in ((71.999, False), (72.0, True)):
        now[0] = moment
        assert pace.due() is due
