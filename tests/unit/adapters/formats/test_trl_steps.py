from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rldk.adapters.formats.trl_steps import Printed, assign_steps


def printed_epochs(steps: list[int], per_epoch: int) -> list[Printed]:
    """Rows as transformers 5 prints them, four significant digits."""
    rows = []
    for step in steps:
        clock = float(f"{step / per_epoch:.4g}")
        rows.append(Printed(phase="train", clock=clock, slack=5e-4 * clock))
    return rows


@given(
    stride=st.sampled_from([1, 2, 5, 10, 25]),
    count=st.integers(10, 300),
    per_epoch=st.integers(7, 5000),
    first=st.booleans(),
)
def test_a_run_of_known_length_gets_exactly_its_steps(stride, count, per_epoch, first):
    steps = [*([1] if first and stride > 1 else []), *range(stride, (count + 1) * stride, stride)]
    rows = printed_epochs(steps, per_epoch)
    assert assign_steps(rows, steps[-1]) == ()
    assert [r.step for r in rows] == steps


@given(count=st.integers(10, 2000), per_epoch=st.integers(7, 5000))
def test_without_its_length_a_row_is_a_step(count, per_epoch):
    rows = printed_epochs(list(range(1, count + 1)), per_epoch)
    notes = assign_steps(rows, None)
    assert [r.step for r in rows] == list(range(1, count + 1))
    assert len(notes) == 1


@given(marks=st.lists(st.integers(1, 10**6), min_size=2, unique=True).map(sorted), data=st.data())
def test_marks_win_over_any_clock(marks, data):
    clocks = data.draw(st.lists(st.floats(0.01, 9.0), min_size=len(marks), max_size=len(marks)).map(sorted))
    rows = [Printed(phase="train", mark=m, clock=c) for m, c in zip(marks, clocks, strict=True)]
    assert assign_steps(rows, None) == ()
    assert [r.step for r in rows] == marks


phases = st.sampled_from(["train", "eval", "summary"])
clocks = st.none() | st.floats() | st.floats(0, 3)


@given(
    raw=st.lists(st.tuples(phases, st.none() | st.integers(0, 99), clocks), min_size=1, max_size=30),
    total=st.none() | st.integers(0, 99),
)
def test_no_rows_can_break_it(raw, total):
    rows = [Printed(phase=phase, mark=mark, clock=clock) for phase, mark, clock in raw]
    assign_steps(rows, total)
    assert all(abs(r.step) < 2**63 for r in rows)


def test_an_evaluation_before_training_is_at_step_0():
    rows = [Printed(phase="eval", clock=0.0), *printed_epochs([1, 2, 3], 10)]
    assign_steps(rows, None)
    assert [r.step for r in rows] == [0, 1, 2, 3]
