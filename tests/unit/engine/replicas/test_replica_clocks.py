"""Metrics that differ between any two runs are no results."""

from __future__ import annotations

from examples import each_of

from rldk.engine.replicas.reading import is_clock


@each_of(
    ("name", "clock"),
    [("memory_share", True), ("time/fps", True), ("gpu_util", True), ("loss", False), ("reward_mean", False),
     ("response_length_mean", False)],
)  # fmt: skip
def test_times_speeds_and_memory_are_told_from_results(name: str, clock: bool) -> None:
    assert is_clock(name) == clock
