from __future__ import annotations

import math

import numpy as np
import pytest
from examples import each_of
from hypothesis import given
from hypothesis import strategies as st

from rldk.adapters.wire import scalars as module
from rldk.adapters.wire.scalars import Scalars, phase_of
from rldk.core.table import PHASES


def collected(*points: tuple[str, int, float] | None) -> Scalars:
    """None begins a file."""
    scalars = Scalars()
    scalars.start_file()
    for point in points:
        if point is None:
            scalars.start_file()
        else:
            scalars.add(scalars.tag_id(point[0]), point[1], point[2])
    return scalars


@each_of(
    ("tag", "phase"),
    [
        ("train/loss", "train"),
        ("eval/loss", "eval"),
        ("eval_loss", "eval"),
        ("val-core/openai/gsm8k/reward/mean@1", "eval"),
        ("val/ratio", "train"),
        ("train/total_flos", "summary"),
        ("train_runtime", "summary"),
    ],
)
def test_phase(tag: str, phase: str) -> None:
    assert phase_of(tag) == phase


TAGS = st.sampled_from(["a", "b", "eval/a", "total_flos"])
VALUES = st.floats(allow_infinity=False) | st.just(math.nan)


@given(st.dictionaries(TAGS, st.lists(st.tuples(st.integers(0, 9), VALUES), max_size=20)))
def test_last_value_at_a_step_is_kept_and_the_others_are_counted(points: dict[str, list[tuple[int, float]]]) -> None:
    ordered = [(tag, step, v) for tag, own in points.items() for step, v in sorted(own, key=lambda p: p[0])]
    scalars, kept = collected(*ordered), {(step, tag): v for tag, step, v in ordered}
    table = scalars.table()
    got = {(row.step, tag): v for row in table.rows() for tag, v in row.values.items()}
    assert {k: str(v) for k, v in got.items()} == {k: str(v) for k, v in kept.items()}
    changed = [v for tag, step, v in ordered if str(v + 0.0) != str(kept[step, tag] + 0.0)]
    assert scalars.repeated == len(changed)
    assert (np.diff(table.step) >= 0).all()


def test_rows_of_one_step_are_apart_by_phase() -> None:
    table = collected(("eval/loss", 5, 1.0), ("loss", 5, 2.0), ("train_runtime", 5, 3.0)).table()
    assert [(PHASES[p], s) for p, s in zip(table.phase, table.step, strict=True)] == [
        ("train", 5), ("eval", 5), ("summary", 5),
    ]  # fmt: skip


def test_tags_on_clocks_of_their_own_are_no_restart() -> None:
    table = collected(("loss", 1000, 1.0), ("episode", 1, 1.0), ("loss", 2000, 1.0), ("episode", 2, 1.0)).table()
    assert (table.segment.tolist(), table.step.tolist()) == ([0] * 4, [1, 2, 1000, 2000])


def test_a_restart_is_one_segment_for_all_tags() -> None:
    before = [(tag, step, 0.0) for step in (1, 2, 3) for tag in "ab"]
    table = collected(*before, *before[2:], *before).table()
    assert (table.segment.tolist(), table.step.tolist()) == (
        [0, 0, 0, 1, 1, 2, 2, 2],
        [1, 2, 3, 2, 3, 1, 2, 3],
    )


def test_a_step_repeated_by_a_later_file_is_a_restart_from_the_start_of_that_file() -> None:
    table = collected(("a", 1, 0.0), ("a", 2, 0.0), None, ("b", 2, 0.0), ("a", 2, 0.0), ("a", 3, 0.0)).table()
    assert (table.segment.tolist(), table.step.tolist()) == ([0, 0, 1, 1], [1, 2, 2, 3])
    assert collected(("a", 1, 0.0), None, ("a", 2, 0.0), ("b", 1, 0.0)).table().segment.tolist() == [0, 0]


def test_steps_that_jitter_are_no_restarts() -> None:
    points = [("a", step + jump, 0.0) for step in range(300) for jump in (3, 0)]
    assert set(collected(*points).table().segment.tolist()) == {0}


def test_more_metrics_than_fit_are_left_out_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CELLS", 6)
    monkeypatch.setattr(module, "MAX_TAGS", 3)
    scalars = collected(*[("often", step, 0.0) for step in range(3)], ("b", 0, 0.0), ("c", 1, 0.0), ("d", 2, 0.0))
    assert list(scalars.table().columns) == ["often", "b"]
    assert scalars.notes() == ("2 values were left out: more metrics than can be held in memory",)


def test_no_scalar_is_an_empty_table() -> None:
    assert len(Scalars().table()) == 0


def test_a_curve_over_seconds_beside_that_over_steps_makes_no_rows() -> None:
    points: list[tuple[str, int, float] | None] = []
    for i in range(5):
        points += [("Loss/v", 800 + i, 0.5), ("reward", 800 + i, 1.5 * i), ("reward/time", 3 * i, 1.5 * i)]
    table = collected(*points).table()
    assert (table.step.tolist(), sorted(table.columns)) == ([800, 801, 802, 803, 804], ["Loss/v", "reward"])


def test_a_name_that_only_looks_like_another_axis_is_kept() -> None:
    points = [(name, i, value) for i in range(3) for name, value in (("step", 1.0 * i), ("step/time", 0.2))]
    assert sorted(collected(*points).table().columns) == ["step", "step/time"]
    assert sorted(collected(("a/time", 1, 0.5), ("a/time", 2, 0.5)).table().columns) == ["a/time"]
