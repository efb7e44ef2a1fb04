from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from rldk.engine.executors import Job, run_all

_base = 0


def _prepare(base: int) -> None:
    global _base  # noqa: PLW0603 - of the process that works
    _base = base


def _square(x: int) -> int:
    if x == 13:
        os._exit(9)  # as a process that the system ends for want of memory
    if x < 0:
        raise ValueError(f"{x} is below 0")
    return _base + x * x


def _lost(x: int) -> int:
    return -x


JOB = Job(work=_square, lost=_lost, prepare=_prepare, given=(100,))


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    yield
    _prepare(0)


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_results_come_in_the_order_of_the_pieces_each_begun_once(jobs: int) -> None:
    begun: list[int] = []
    assert list(run_all(JOB, range(12), jobs, begun.append)) == [100 + x * x for x in range(12)]
    assert begun == list(range(12))


def test_no_piece_takes_no_process() -> None:
    assert list(run_all(JOB, [], 4)) == []


@pytest.mark.slow
@pytest.mark.parametrize("place", [0, 5, 11])
def test_a_piece_that_ends_its_process_costs_no_other_piece_its_result(place: int) -> None:
    pieces = [*range(place), 13, *range(place, 11)]
    assert list(run_all(JOB, pieces, 2)) == [-13 if x == 13 else 100 + x * x for x in pieces]


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_an_error_of_the_work_is_raised_where_its_result_is_asked_for(jobs: int) -> None:
    results = run_all(JOB, [1, -2, 3], jobs)
    assert next(results) == 101
    with pytest.raises(ValueError, match="-2 is below 0"):
        next(results)
