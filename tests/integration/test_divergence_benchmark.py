"""What docs/diff.md promises, on real trainings of the corpus and on a few simulated pairs."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.divergence import Cell, read_pairs, score_pairs, simulate

PAIRS = Path(__file__).parents[1] / "corpus" / "pairs"


@pytest.mark.slow
def test_real_faults_are_found_and_real_seeds_are_not() -> None:
    got = score_pairs(read_pairs(PAIRS), None)
    assert (got["clean"], got["faults"]) == (12, 16)
    assert got["clean_different"] <= 1
    assert got["in_time"] >= 12
    assert got["early"] <= 1


@pytest.mark.slow
def test_a_simulated_shift_is_found() -> None:
    got = simulate(Cell(trend="learning", phi=0.5, signals=3), 20, 5)
    assert got["false"] <= 0.15  # nominally 2 %; 4 of 20 would be a one-in-a-thousand accident
    assert got["found"] >= 0.8
    assert got["delay"] < 30
