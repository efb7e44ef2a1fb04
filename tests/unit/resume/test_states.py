"""What a resumed run lost, by the states at its optimizer steps."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from rldk.resume.states import StepState, lost_states, place_of, read_states

WHOLE = tuple(
    StepState(
        n=n,
        optimizer="Adam",
        random={"torch": f"t{n}", "numpy": "n0"},
        lr=(0.1 * n,),
        weights=f"w{n}",
        gradients=f"g{n}",
        moments=f"m{n}",
        has_moments=n > 1,
        batches=f"b{n}",
    )
    for n in range(1, 9)
)


def test_a_run_that_goes_on_has_lost_nothing() -> None:
    assert lost_states(WHOLE, WHOLE[4:], 4) == ()
    assert lost_states(WHOLE, WHOLE[4:6], 4) == ()


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        ({"lr": (9.0,)}, ["schedule"]),
        ({"moments": "", "has_moments": False}, ["optimizer"]),
        ({"weights": "x"}, ["weights"]),
        ({"batches": "x", "gradients": "x"}, ["data"]),
        ({"gradients": "x"}, ["other"]),
        ({"gradients": "x", "random": {"torch": "x", "numpy": "n0"}}, ["random"]),
        ({"gradients": "x", "batches": "x", "random": {"torch": "x", "numpy": "n0"}}, ["random", "data"]),
        ({"random": {"torch": "x", "numpy": "x"}}, []),  # nothing draws from them
        ({"lr": (9.0,), "moments": "x"}, ["schedule", "optimizer"]),
    ],
)
def test_each_state_is_told_from_the_others(change: dict[str, object], kinds: list[str]) -> None:
    now = replace(WHOLE[4], **change)
    assert [one.kind for one in lost_states(WHOLE, (now,), 4)] == kinds


def test_without_a_loader_equal_generators_and_other_gradients_mean_other_data() -> None:
    whole = tuple(replace(one, batches=None) for one in WHOLE)
    now = replace(whole[4], gradients="x")
    assert [one.kind for one in lost_states(whole, (now,), 4)] == ["data"]


def test_the_first_step_that_differs_decides() -> None:
    later = replace(WHOLE[5], lr=(9.0,), weights="x", gradients="x")
    found = lost_states(WHOLE, (WHOLE[4], later), 4)
    assert [one.kind for one in found] == ["weights", "schedule"]
    assert "came apart before optimizer step 2" in found[0].message


def test_a_killed_run_is_found_again_by_its_weights() -> None:
    assert place_of(WHOLE[3], WHOLE) == 3
    assert place_of(replace(WHOLE[3], weights="x"), WHOLE) is None
    still = tuple(replace(one, weights="same") for one in WHOLE)
    assert place_of(still[0], still) == 7


def test_a_torn_or_hostile_file_gives_what_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "states.jsonl"
    assert read_states(path) == ()
    path.write_text('{"n": 1, "weights": "a"}\n{"n": 2, "weights": "b"}\n{"n": 3, "wei')
    assert [one.n for one in read_states(path)] == [1, 2]
    path.write_text('{"n": 1}\n[]\n{"n": 2}\n')
    assert [one.n for one in read_states(path)] == [1]
