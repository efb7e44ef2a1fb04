"""What rank 0 of a first step compares with the other ranks."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rldk.preflight.inject import rldk_first_step as hooks


@pytest.fixture
def watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> hooks.FirstStepWatch:
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(hooks, "PEERS_S", 0.0)
    made = hooks.FirstStepWatch(str(tmp_path / "facts.json"))
    made.states, made.prompts = ["a", "b"], "p"
    return made


def leave(watch: hooks.FirstStepWatch, rank: int, states: list[str], prompts: str) -> None:
    Path(f"{watch.path}.rank{rank}").write_text(json.dumps({"states": states, "prompts": prompts}))


def test_alone_there_is_nobody_to_compare_with(watch: hooks.FirstStepWatch, monkeypatch: pytest.MonkeyPatch) -> None:
    assert watch.ranks() is None
    for size in ("1", ""):
        monkeypatch.setenv("WORLD_SIZE", size)
        assert watch.ranks() is None


def test_the_others_are_counted_that_have_the_same_state_and_prompts(
    watch: hooks.FirstStepWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    leave(watch, 1, ["a", "b"], "p")
    assert watch.ranks() is None, "rank 2 has not come"
    for states, prompts, expected in [
        (["a", "b"], "p", {"random": [2, 2], "prompts": 2}),
        (["a", "c"], "p", {"random": [2, 1], "prompts": 2}),
        (["c", "b"], "q", {"random": [1, 2], "prompts": 1}),
        (["a"], "p", None),
        (["a", "b", "c"], "p", None),
    ]:
        leave(watch, 2, states, prompts)
        assert watch.ranks() == expected, states
    leave(watch, 2, ["a", "b"], "p")
    watch.prompts = ""
    assert watch.ranks() is None


def test_the_others_are_waited_for_so_long(watch: hooks.FirstStepWatch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(hooks, "PEERS_S", 20.0)
    now = [100.0]
    looks: list[float] = []

    def sleep(seconds: float) -> None:
        looks.append(now[0])
        now[0] += 9.0
        if len(looks) == 9:
            leave(watch, 1, ["a", "b"], "p")

    monkeypatch.setattr(hooks, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=sleep))
    assert watch.ranks() is None
    assert looks == [100.0, 109.0, 118.0]
    looks[:] = range(8)  # type: ignore[assignment]
    assert watch.ranks() == {"random": [1, 1], "prompts": 1}


def test_another_rank_leaves_its_states_and_ends_nothing(
    watch: hooks.FirstStepWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch: Any = ModuleType("torch")
    data = [np.array([1], dtype=np.uint8), np.array([2], dtype=np.uint8)]
    torch.get_rng_state = lambda: SimpleNamespace(numpy=data.pop)
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setenv("RANK", "5")
    optimizer = SimpleNamespace(param_groups=[{"params": [object()], "lr": 1.0}])
    hooks.before_step(watch, optimizer)
    hooks.after_step(watch, optimizer)
    digests = [hashlib.sha256(bytes([i])).hexdigest()[:16] for i in (2, 1)]
    assert json.loads(Path(f"{watch.path}.rank5").read_text()) == {"states": digests, "prompts": "p"}
    assert (watch.done, watch.steps, watch.facts) == (True, 0, {})
    assert not Path(watch.path).exists()


def test_without_a_generator_the_state_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", ModuleType("torch"))
    assert hooks.random_state() == ""


def test_the_prompts_of_the_first_minibatch_are_kept(watch: hooks.FirstStepWatch) -> None:
    watch.prompts = ""
    trainer = type("GRPOTrainer", (), {"_get_per_token_logps": None, "_compute_loss": lambda *_: "loss"})
    hooks.hook_grpo(watch, SimpleNamespace(GRPOTrainer=trainer))
    for value in (1, 2):
        ids = SimpleNamespace(cpu=lambda value=value: SimpleNamespace(numpy=lambda: np.array([value], dtype=np.int64)))
        assert trainer()._compute_loss(None, {"prompt_ids": ids}) == "loss"
    assert watch.prompts == hashlib.sha256(np.array([1], dtype=np.int64).tobytes()).hexdigest()[:16]
    assert trainer()._compute_loss(None, {}) == "loss"
