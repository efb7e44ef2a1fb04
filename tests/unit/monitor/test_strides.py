from __future__ import annotations

import pytest

from rldk.monitor.step_gaps import Strides


@pytest.mark.parametrize(
    ("steps", "turns", "gaps"),
    [
        ([0, 1, 2, 3], 0, 0),
        ([0, 10, 20, 50, 60, 70], 0, 1),
        ([0, 10, 20, 40, 50], 0, 0),
        ([0, 1, 2, 1, 2, 3], 1, 0),
        ([5], 0, 0),
        ([0, 5, 100], 0, 0),
        ([], 0, 0),
    ],
)
def test_turns_and_gaps(steps: list[int], turns: int, gaps: int) -> None:
    strides = Strides()
    for step in steps:
        strides.follow([step])
    assert (strides.turns, strides.gaps()) == (turns, gaps)
    assert (strides.first, strides.last) == ((steps[0], steps[-1]) if steps else (None, None))


def test_memory_is_bounded() -> None:
    strides = Strides()
    for i in range(3000):
        strides.follow([i * i])
    assert strides.gaps() == 0
    assert len(strides._seen) <= 1000
