"""The clock of phases: what it charges adds up to the time that went by, whatever a program does."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rldk.profiling.inject.rldk_profile_clock import PhaseClock

ACTIONS = st.lists(
    st.tuples(st.sampled_from(["enter", "leave", "step"]), st.sampled_from("abc"), st.integers(0, 40)), max_size=40
)


class Ticking:
    """A time that only moves when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@given(ACTIONS)
def test_phases_add_up_to_the_time_that_went_by(actions: list[tuple[str, str, int]]) -> None:
    time, lines = Ticking(), list[dict[str, Any]]()
    clock = PhaseClock(lines.append, now=time)
    steps = 0
    for action, phase, tenths in actions:
        time.now += tenths / 10
        if action == "enter":
            clock.enter(phase)
        elif action == "leave":
            clock.leave()
        else:
            clock.step()
            steps += 1
    clock.end()
    assert sum(sum(line["phases"].values()) for line in lines) == pytest.approx(time.now)
    assert sum(len(line["seconds"]) for line in lines) == steps


def test_a_phase_inside_another_is_charged_alone() -> None:
    time, lines = Ticking(), list[dict[str, Any]]()
    clock = PhaseClock(lines.append, now=time)
    time.now = 5.0
    clock.enter("rollout")
    time.now = 6.0
    clock.enter("reward")
    time.now = 9.0
    clock.leave()
    time.now = 9.5
    clock.leave()
    clock.count("tokens", 7)
    clock.step()
    assert [line["kind"] for line in lines] == ["start-up", "steps"]
    assert lines[0]["phases"] == {"start-up": 5.0}
    assert (lines[1]["phases"], lines[1]["seconds"]) == ({"rollout": 1.5, "reward": 3.0, "other": 0.0}, [4.5])
    assert lines[1]["counts"] == {"tokens": 7}


def test_an_error_inside_a_timed_function_ends_its_phase() -> None:
    clock = PhaseClock(lambda _: None)

    def fails() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        clock.timed(fails, "train")()
    assert clock.current == "other"


def test_other_threads_are_not_timed() -> None:
    clock = PhaseClock(lambda _: None)
    seen: list[str] = []
    timed = clock.timed(lambda: seen.append(clock.current), "train")
    thread = threading.Thread(target=timed)
    thread.start()
    thread.join()
    timed()
    assert seen == ["start-up", "train"]


def test_steps_that_a_profiler_slows_down_have_lines_of_their_own() -> None:
    time, lines = Ticking(), list[dict[str, Any]]()
    clock = PhaseClock(lines.append, now=time)
    slow = iter([False, True, False])
    clock.stepped = lambda: next(slow)
    for _ in range(3):
        time.now += 1.0
        clock.step()
    assert clock.current == "other"
    assert [(line["kind"], line["seconds"]) for line in lines] == [
        ("steps", [1.0]),
        ("profiled", [1.0]),
        ("steps", [1.0]),
    ]
