"""Seeds: the same draws from every generator, and everything as it was behind a context."""

from __future__ import annotations

import gc
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from rldk.cli.main import main
from rldk.cli.recording.seed import _lines as seed_lines
from rldk.errors import UsageError
from rldk.utils import seed as seeds
from rldk.utils.seed import (
    SeedCheck,
    SeedState,
    derive_seed,
    get_current_seed,
    register_generator,
    restore_seed_state,
    seed_context,
    seed_state,
    set_global_seed,
    validate_seed_consistency,
)
from rldk.utils.states import digest, plain


@pytest.fixture(autouse=True)
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process without seeds of rldk; the generators are put back."""
    monkeypatch.setattr(seeds, "_here", seeds._Process())
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    monkeypatch.delenv("RLDK_SEED", raising=False)
    before = random.getstate(), np.random.get_state()
    yield
    random.setstate(before[0])
    np.random.set_state(before[1])


DRAWS: dict[str, Callable[[], Any]] = {
    "random": random.random,
    "gauss": lambda: random.gauss(0, 1),  # it keeps a second number for the next call
    "shuffle": lambda: random.sample(range(50), 5),
    "numpy": lambda: np.random.random(3).tolist(),
    "normal": np.random.standard_normal,  # so does this one
    "permutation": lambda: np.random.permutation(9).tolist(),
}
draws = st.lists(st.sampled_from(sorted(DRAWS)), max_size=12)


def drawn(names: list[str], *held: Any) -> list[Any]:
    found = [DRAWS[name]() for name in names]
    return found + [one.random() if isinstance(one, random.Random) else float(one.random()) for one in held]


def held() -> tuple[random.Random, np.random.Generator, np.random.RandomState]:
    made = random.Random(), np.random.default_rng(), np.random.RandomState()
    for name, one in zip(("mine", "rng", "legacy"), made, strict=True):
        register_generator(name, one)
    return made


@given(draws, st.integers(0, 2**32 - 1))
def test_the_same_seed_gives_the_same_draws(names: list[str], seed: int) -> None:
    own = held()
    assert set_global_seed(seed) == seed
    first = drawn(names, *own)
    set_global_seed(seed)
    assert drawn(names, *own) == first


@given(draws, draws, draws)
def test_a_context_leaves_no_trace(before: list[str], within: list[str], after: list[str]) -> None:
    own = held()
    set_global_seed(7)
    drawn(before, *own)
    expected = drawn(after, *own)
    set_global_seed(7)
    drawn(before, *own)
    with pytest.raises(KeyError, match="left"):
        fail_within(within, *own)
    assert get_current_seed() == 7
    assert drawn(after, *own) == expected


def fail_within(names: list[str], *own: Any) -> None:
    with seed_context(1):
        drawn(names, *own)
        with seed_context(2):
            assert get_current_seed() == 2
            drawn(names, *own)
        assert get_current_seed() == 1
        raise KeyError("left")


def test_a_context_gives_the_draws_of_its_seed_wherever_it_stands() -> None:
    own = held()
    with seed_context(5):
        first = drawn(["random", "numpy"], *own)
    set_global_seed(9)
    drawn(["random"] * 3)
    with seed_context(5):
        assert drawn(["random", "numpy"], *own) == first


@given(draws, draws)
def test_a_state_goes_through_json(before: list[str], after: list[str]) -> None:
    own = held()
    drawn(before, *own)
    text = msgspec.json.encode(seed_state())
    expected = drawn(after, *own)
    restore_seed_state(msgspec.json.decode(text, type=SeedState))
    assert drawn(after, *own) == expected


def test_generators_with_one_seed_do_not_share_their_draws() -> None:
    mine, rng, legacy = held()
    set_global_seed(1)
    firsts = [mine.random(), float(rng.random()), float(legacy.random()), random.random(), float(np.random.random())]
    assert len(set(firsts)) == 5


def test_a_generator_that_is_registered_later_is_seeded_at_once() -> None:
    first = []
    for _ in range(2):
        set_global_seed(3)
        first.append(float(register_generator("late", np.random.default_rng()).random()))
    assert first[0] == first[1]


def test_a_generator_is_not_kept_alive() -> None:
    register_generator("gone", random.Random())
    gc.collect()
    assert "gone" not in seed_state().held
    kept = register_generator("there", random.Random())
    state = seed_state()
    del kept
    gc.collect()
    with pytest.raises(UsageError, match="there"):
        restore_seed_state(state)
    with seed_context(1):  # one that goes away within a context does no harm
        register_generator("short", random.Random())
        gc.collect()


@pytest.mark.parametrize("seed", [-1, 2**32, True, 1.5, "7", None])
def test_what_is_no_seed(seed: Any) -> None:
    if seed is None:
        assert 0 <= set_global_seed() < 2**32
    else:
        with pytest.raises(UsageError, match="no seed"):
            set_global_seed(seed)
        assert get_current_seed() is None


def test_both_ends_are_seeds() -> None:
    assert [set_global_seed(0), set_global_seed(2**32 - 1), set_global_seed(np.int64(5))] == [0, 2**32 - 1, 5]


def test_the_seed_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RLDK_SEED", "42")
    assert (set_global_seed(), set_global_seed(1)) == (42, 1)
    monkeypatch.setenv("RLDK_SEED", "many")
    with pytest.raises(UsageError, match="RLDK_SEED"):
        set_global_seed()


def test_what_has_no_generator() -> None:
    for thing in (object(), random.SystemRandom(), 7):
        with pytest.raises(UsageError, match="no generator"):
            register_generator("x", thing)


def test_derived_seeds_are_those_of_every_version() -> None:
    found = [derive_seed(seed, rank, "rollout") for seed, rank in ((42, 0), (42, 1), (43, 0))]
    assert found == [
        2461376170,
        2330136709,
        2347344405,
    ]
    many = {derive_seed(seed, rank, "data") for seed in range(40) for rank in range(40)}
    assert len(many) == 1600


def test_what_can_be_said_of_the_seeds() -> None:
    check = validate_seed_consistency()
    assert (check.seed, check.consistent, check.problems) == (None, False, ("rldk has set no seed in this process",))
    rng = register_generator("rng", np.random.default_rng())
    set_global_seed(4)
    random.random()
    check = validate_seed_consistency()
    assert (check.seed, check.consistent) == (4, True)
    assert check.generators["python"] == "drawn from"
    assert check.generators["numpy"] == check.generators["rng"] == "as seeded"
    before = check.unreached
    other = np.random.default_rng()
    assert validate_seed_consistency().unreached == before + 1
    del rng, other


def rldk(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, list(words))
    return result.exit_code, result.output


def test_the_command_says_what_a_seed_sets() -> None:
    code, said = rldk("seed", "--seed", "42")
    assert (code, said.splitlines()[0]) == (0, "Seed 42")
    assert "rldk seed exec" in said
    code, said = rldk("seed", "--seed", "42", "--validate", "--json")
    assert (code, json.loads(said)["repeats"]["python"], json.loads(said)["seed"]) == (0, True, 42)
    assert rldk("seed", "--seed", "-3")[0] == 2


def test_the_command_prints_exports_for_a_shell() -> None:
    code, said = rldk("seed", "--seed", "42", "--env")
    lines = ["export RLDK_SEED=42", "export PYTHONHASHSEED=42", "export CUBLAS_WORKSPACE_CONFIG=:4096:8"]
    assert (code, said.splitlines()) == (0, lines)
    assert rldk("seed", "--seed", "42", "--env", "--non-deterministic")[1].splitlines() == lines[:2]


def test_show_says_what_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RLDK_SEED", "5")
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    said = rldk("seed", "--show")[1].splitlines()
    assert said[:2] == ["RLDK_SEED: 5", "PYTHONHASHSEED: not set"]


@pytest.mark.slow
def test_exec_fixes_the_order_of_hashes_and_keeps_the_exit_code() -> None:
    script = "import os, sys; print(hash('a'), os.environ['RLDK_SEED']); sys.exit(7)"
    words = [sys.executable, "-m", "rldk", "seed", "exec", "--seed", "42", "--", sys.executable, "-c", script]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONHASHSEED"}
    runs = [subprocess.run(words, check=False, capture_output=True, text=True, env=environment) for _ in range(2)]
    assert [run.returncode for run in runs] == [7, 7]
    assert runs[0].stdout == runs[1].stdout
    assert runs[0].stdout.endswith(" 42\n")


def test_exec_says_when_there_is_no_such_program() -> None:
    code, said = rldk("seed", "exec", "--seed", "1", "--", "no-such-program-here")
    assert code == 3
    assert "no-such-program-here" in said


def test_the_digest_of_a_state_has_sixteen_letters_and_changes_with_every_draw() -> None:
    set_global_seed(3)
    first = digest(msgspec.to_builtins(seed_state()))
    random.random()
    second = digest(msgspec.to_builtins(seed_state()))
    assert (len(first), len(second), first != second) == (16, 16, True)


def test_a_framework_is_asked_for_determinism_or_left_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    cudnn = SimpleNamespace(deterministic=None, benchmark=True)
    asked: list[bool] = []
    torch = SimpleNamespace(
        use_deterministic_algorithms=lambda on, warn_only: asked.append(on), backends=SimpleNamespace(cudnn=cudnn)
    )
    monkeypatch.setitem(sys.modules, "torch", torch)
    seeds._ask_for_determinism(False)
    assert (asked, cudnn.deterministic, cudnn.benchmark) == ([False], False, True)
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ
    seeds._ask_for_determinism(True)
    assert (asked, cudnn.deterministic, cudnn.benchmark) == ([False, True], True, False)
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


def test_the_command_tells_generators_that_are_not_there_and_draws_that_differ() -> None:
    found = {"random": "seeded", "numpy": "seeded", "torch": "not loaded"}
    check = SeedCheck(seed=7, consistent=True, generators=found, unreached=0, settings={}, problems=(), advice=("x",))
    lines = seed_lines(check, {"random": True, "numpy": False})
    assert [line.strip() for line in lines[3:6]] == [
        "random   gives the same draws twice",
        "numpy    gives OTHER DRAWS the second time",
        "torch    is not installed",
    ]
    assert seed_lines(check, {})[3] == "  random   is seeded"


def test_numbers_of_more_than_63_bits_are_text() -> None:
    for number in (0, 2**63 - 1, 2**63, 2**128 - 1):
        kept = plain(number)
        assert isinstance(kept, int) is (number < 2**63), number
        assert (kept if isinstance(kept, int) else int(kept, 16)) == number
