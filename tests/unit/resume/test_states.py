"""What a resumed run lost, by the states at its optimizer steps."""

from __future__ import annotations

from pathlib import Path

from examples import each_of
from msgspec.structs import replace

from rldk.resume.states import RunningMean, SeenEnvironment, StepState, lost_states, place_of, read_states

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
        batch=f"b{n}",
    )
    for n in range(1, 9)
)


def test_a_run_that_goes_on_has_lost_nothing() -> None:
    assert lost_states(WHOLE, WHOLE[4:], 4) == ()
    assert lost_states(WHOLE, WHOLE[4:6], 4) == ()


@each_of(
    ("change", "kinds"),
    [
        ({"lr": (9.0,)}, ["schedule"]),
        ({"moments": "", "has_moments": False}, ["optimizer"]),
        ({"weights": "x"}, ["weights"]),
        ({"batch": "x", "gradients": "x"}, ["data"]),
        ({"gradients": "x"}, ["other"]),
        ({"gradients": "x", "random": {"torch": "x", "numpy": "n0"}}, ["random"]),
        ({"gradients": "x", "batch": "x", "random": {"torch": "x", "numpy": "n0"}}, ["random", "data"]),
        ({"random": {"torch": "x", "numpy": "x"}}, []),  # nothing draws from them
        ({"lr": (9.0,), "moments": "x"}, ["schedule", "optimizer"]),
    ],
)
def test_each_state_is_told_from_the_others(change: dict[str, object], kinds: list[str]) -> None:
    now = replace(WHOLE[4], **change)
    assert [one.kind for one in lost_states(WHOLE, (now,), 4)] == kinds


def test_without_a_loader_equal_generators_and_other_gradients_mean_other_data() -> None:
    whole = tuple(replace(one, batch=None) for one in WHOLE)
    now = replace(whole[4], gradients="x")
    assert [one.kind for one in lost_states(whole, (now,), 4)] == ["data"]


STEP, RESET = SeenEnvironment(first="step", start="a", all="b"), SeenEnvironment(first="reset", start="a", all="b")
AROUND = tuple(
    replace(
        one,
        batch=None,
        environment=STEP,
        normalisers={"obs": RunningMean(count=64.0 * one.n, digest=f"d{one.n}")},
        kl={"kl_coef": 0.2 + 0.01 * one.n},
        reference={"ref_model": "r"},
    )
    for one in WHOLE
)
OTHER_RANDOM = {"torch": "x", "numpy": "n0"}


@each_of(
    ("change", "kinds"),
    [
        ({}, ["data"]),
        ({"environment": RESET}, ["environment"]),
        ({"environment": replace(STEP, all="x")}, ["environment"]),
        ({"environment": replace(STEP, all="x"), "random": OTHER_RANDOM}, ["random"]),  # its actions were others
        ({"environment": RESET, "random": OTHER_RANDOM}, ["random", "environment"]),
        ({"normalisers": {"obs": RunningMean(count=64.0, digest="x")}}, ["normaliser"]),
        ({"normalisers": {"obs": RunningMean(count=320.0, digest="x")}}, ["data"]),  # fed with it
        ({"normalisers": {"obs": RunningMean(count=321.0, digest="x")}, "environment": RESET}, ["environment"]),
        ({"normalisers": {}}, ["data"]),  # nobody can say what became of it
        ({"kl": {"kl_coef": 0.21}}, ["KL controller"]),
        ({"kl": {"kl_coef": 0.21}, "random": OTHER_RANDOM}, ["random", "KL controller"]),
        ({"kl": {"kl_coef": 0.249}, "random": OTHER_RANDOM}, ["random"]),  # it has measured another KL
        ({"reference": {"ref_model": "x"}}, ["reference"]),
    ],
)
def test_what_only_some_trainings_have_is_told_apart(change: dict[str, object], kinds: list[str]) -> None:
    now = replace(AROUND[4], **{"gradients": "x", **change})
    assert [one.kind for one in lost_states(AROUND, (now,), 4)] == kinds
    same = replace(now, gradients=AROUND[4].gradients)
    assert lost_states(AROUND, (same,), 4) == (), "what changes no gradient has lost nothing"


def test_an_environment_that_resets_to_another_beginning_has_lost_its_generator() -> None:
    whole = tuple(replace(one, environment=RESET) for one in AROUND)
    now = replace(whole[4], gradients="x", environment=replace(RESET, start="x", all="x"), random=OTHER_RANDOM)
    assert [one.kind for one in lost_states(whole, (now,), 4)] == ["random", "environment"]


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
