from __future__ import annotations

from examples import each_of

from rldk.monitor.step_gaps import StepGaps


@each_of(
    ("steps", "turns", "count"),
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
def test_turns_and_gaps(steps: list[int], turns: int, count: int) -> None:
    gaps = StepGaps()
    for step in steps:
        gaps.follow([step])
    assert (gaps.turns, gaps.count()) == (turns, count)
    assert (gaps.first, gaps.last) == ((steps[0], steps[-1]) if steps else (None, None))


def test_memory_is_bounded() -> None:
    gaps = StepGaps()
    for i in range(3000):
        gaps.follow([i * i])
    assert gaps.count() == 0
    assert len(gaps._seen) <= 1000
