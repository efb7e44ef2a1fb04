from __future__ import annotations

import pytest

from rldk.adapters.live import pattern
from rldk.adapters.live.pattern import MOST_SLOW, PatternRows


def test_a_pattern_that_takes_for_ever_is_given_up_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pattern, "LIMIT_S", 0.02)
    slow = r"(?P<loss>\d+[ab]*\d+)x"
    rows = PatternRows(slow)
    made = rows.feed((b"x" + b"1" * 16_000 + b"\n") * (MOST_SLOW + 3)) + rows.finish()
    assert (made, rows.rejected_count) == ([], MOST_SLOW)
    assert repr(slow) in rows.rejected[0].reason
    assert "more than 0.02 s" in rows.rejected[0].reason
    assert rows.rejected[-1].reason.endswith("rldk no longer uses it")


def test_a_long_line_is_searched_and_the_next_read() -> None:
    rows = PatternRows(r"loss=(?P<loss>[\d.]+)")
    made = rows.feed(b"1" * 16_000 + b"\nloss=0.5\n") + rows.finish()
    assert [dict(row.values) for row in made] == [{"loss": 0.5}]
