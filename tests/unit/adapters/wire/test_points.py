from __future__ import annotations

import json
import math

from hypothesis import given
from hypothesis import strategies as st

from rldk.adapters.wire.points import Point, PointJoiner
from rldk.adapters.wire.scalars import Scalars
from rldk.core.table import Row

Cell = tuple[int, int, str, str]


def rows_of(points: list[Point], *, cuts: frozenset[int] = frozenset()) -> list[Row]:
    """The rows of points; at each cut another joiner goes on from the state of the one before."""
    joiner, rows = PointJoiner(), []
    for number, point in enumerate(points):
        if number in cuts:
            joiner = PointJoiner.of(json.loads(json.dumps(joiner.state, allow_nan=False)))
        rows += joiner.take(point)
    return rows + joiner.flush()


def cells(rows: list[Row]) -> list[Cell]:
    return [(row.segment, row.step, key, repr(value)) for row in rows for key, value in row.values.items()]


def series(steps: list[int], keys: tuple[str, ...] = ("kl", "loss", "eval/loss")) -> list[Point]:
    """Each key at each step, a millisecond apart; evaluation at every third."""
    logged = [(step, key) for step in steps for key in keys if not key.startswith("eval") or step % 3 == 0]
    return [Point(1000 + i, step, key, i / 7) for i, (step, key) in enumerate(logged)]


def test_values_logged_one_by_one_are_one_row() -> None:
    rows = rows_of(series([1, 2, 3]))
    assert [(row.step, row.phase, len(row.values)) for row in rows] == [
        (1, "train", 2), (2, "train", 2), (3, "train", 2), (3, "eval", 1),
    ]  # fmt: skip
    assert rows[0].time == 1.001


def test_a_row_is_given_when_the_next_step_begins() -> None:
    joiner = PointJoiner()
    given_at = [len(joiner.take(point)) for point in series([1, 2], ("kl", "loss"))]
    assert given_at == [0, 0, 1, 0]


def test_a_row_of_evaluation_does_not_wait_for_the_next_one() -> None:
    joiner = PointJoiner()
    for point in [Point(1, 3, "loss", 0.1), Point(2, 3, "eval/loss", 0.1)]:
        assert joiner.take(point) == []
    assert [row.phase for row in joiner.take(Point(3, 4, "loss", 0.1))] == ["train", "eval"]


def test_not_finite_values_outlive_the_state() -> None:
    values = [math.nan, math.inf, -math.inf]
    points = [Point(i, 5, f"k{i}", value) for i, value in enumerate(values)]
    assert [repr(v) for v in rows_of(points, cuts=frozenset({1, 2}))[0].values.values()] == ["nan", "inf", "-inf"]


def test_a_restart_begins_one_segment_for_all_keys() -> None:
    rows = rows_of(series([*range(1, 9), *range(4, 12)]))
    train = [(row.segment, row.step) for row in rows if row.phase == "train"]
    assert train == [(0, step) for step in range(1, 9)] + [(1, step) for step in range(4, 12)]
    assert [(row.segment, row.step) for row in rows if row.phase == "eval"] == [(0, 3), (0, 6), (1, 6), (1, 9)]


def test_where_no_value_has_a_step_they_are_numbered() -> None:
    points = [Point(i, 0, key, float(i)) for i, key in enumerate(["kl", "loss"] * 4)]
    assert [(row.step, len(row.values)) for row in rows_of(points)] == [(step, 2) for step in range(4)]


LOGS = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(["a", "b", "eval/a"]), st.sampled_from([0.5, math.nan])), max_size=30
).map(lambda moves: [(sum(m[0] for m in moves[: i + 1]), key, value) for i, (_, key, value) in enumerate(moves)])


@given(LOGS, st.frozensets(st.integers(0, 30)))
def test_any_cut_gives_the_same_rows(log: list[tuple[int, str, float]], cuts: frozenset[int]) -> None:
    points = [Point(i, *entry) for i, entry in enumerate(log)]
    assert cells(rows_of(points, cuts=cuts)) == cells(rows_of(points))


@given(LOGS.filter(lambda log: len({step for step, _, _ in log}) > 1))
def test_the_rows_are_those_of_the_finished_table(log: list[tuple[int, str, float]]) -> None:
    log = list({(step + 1, key): (step + 1, key, value) for step, key, value in log}.values())
    scalars = Scalars()
    for step, key, value in log:
        scalars.add(scalars.tag_id(key), step, value)
    rows = rows_of([Point(i, *entry) for i, entry in enumerate(log)])
    assert sorted(cells(rows)) == sorted(cells(list(scalars.table().rows())))
