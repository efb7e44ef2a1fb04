"""What docs/diff.md promises, on real trainings of the corpus and on a few simulated pairs."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.divergence import Cell, read_pairs, score_pairs, simulate
from benchmarks.seed_groups import FAMILIES, Outcome, planned, table, with_versions

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


@pytest.mark.slow
@pytest.mark.parametrize(
    "cell",
    [Cell(trend="learning", phi=0.5, signals=3, tails="t4"), Cell(trend="learning", phi=0.5, signals=3, seeds=0.1)],
)
def test_heavy_tails_and_wandering_seeds_are_no_alarm(cell: Cell) -> None:
    """The two hardest rows of the table; 5 % of 120 with a margin of two standard errors."""
    assert simulate(cell, 120, 5, seed=3)["false"] <= 0.09


def test_real_groups_differ_in_the_seed_and_in_one_knob_at_most() -> None:
    for name, family in FAMILIES.items():
        runs = dict(planned(name, 100))
        changed = [{k for k, v in config.items() if family.base.get(k) != v} - {"seed"} for config in runs.values()]
        assert [len(keys) for keys in changed] == [0] * 6 + [1] * 2 * len(family.knobs), name
        assert len({config["seed"] for config in runs.values()}) == len(runs)


def test_runs_with_other_versions_have_the_configuration_of_the_six_and_one_of_their_seeds() -> None:
    for name, family in FAMILIES.items():
        six = {config["seed"] for run, config in planned(name, 100) if "-base-" in run}
        runs = dict(with_versions(name, 100))
        assert all({k: v for k, v in config.items() if k != "seed"} == family.base for config in runs.values()), name
        assert [config["seed"] in six for config in runs.values()] == [True, False, False], name
        assert not set(runs) & set(dict(planned(name, 100)))


def test_the_table_counts_what_was_called_different_and_named() -> None:
    def one(knob: str, cause: str, *, diverged: bool) -> Outcome:
        first = 7 if diverged else None
        return Outcome(
            family="f", knob=knob, run="r", diverged=diverged, first_step=first, first_mover="kl", cause=cause,
            question="seed-noise",
        )  # fmt: skip

    found = [
        one("seed", "", diverged=False), one("lr", "config lr: 1 -> 3", diverged=True),
        one("lr", "code commit: a -> b", diverged=True),
    ]  # fmt: skip
    lines = list(table(found))
    assert lines[-2:] == ["| all | the seed only | 0 of 1 | 0 |  |", "| all | a knob | 2 of 2 | 0 | 1 of 2 |"]
