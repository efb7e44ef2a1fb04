"""Seeds with the real torch and gymnasium: default generators, own ones, environments, workers of a DataLoader."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from rldk.utils import seed as seeds
from rldk.utils.seed import (
    SeedState,
    register_generator,
    restore_seed_state,
    seed_context,
    seed_state,
    seed_worker,
    set_global_seed,
    validate_seed_consistency,
)

pytestmark = pytest.mark.integration
torch = pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(seeds, "_here", seeds._Process())
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    yield
    torch.use_deterministic_algorithms(False)


def test_torch_repeats_and_a_context_puts_it_back() -> None:
    own = register_generator("sampler", torch.Generator())
    set_global_seed(42)
    first = [torch.rand(3).tolist(), torch.rand(3, generator=own).tolist()]
    with seed_context(7):
        torch.rand(100), torch.rand(5, generator=own)
    after = [torch.randn(3).tolist(), torch.randperm(9, generator=own).tolist()]
    set_global_seed(42)
    assert [torch.rand(3).tolist(), torch.rand(3, generator=own).tolist()] == first
    assert [torch.randn(3).tolist(), torch.randperm(9, generator=own).tolist()] == after
    assert torch.are_deterministic_algorithms_enabled()
    set_global_seed(42, deterministic=False)
    assert not torch.are_deterministic_algorithms_enabled()


def test_the_state_of_torch_goes_through_json() -> None:
    own = register_generator("sampler", torch.Generator())
    set_global_seed(1)
    text = msgspec.json.encode(seed_state())
    drawn = torch.rand(2).tolist() + torch.rand(2, generator=own).tolist()
    restore_seed_state(msgspec.json.decode(text, type=SeedState))
    assert torch.rand(2).tolist() + torch.rand(2, generator=own).tolist() == drawn


def test_a_seed_of_somebody_else_is_seen() -> None:
    set_global_seed(3)
    assert validate_seed_consistency().consistent
    torch.rand(1)
    assert validate_seed_consistency().consistent
    torch.manual_seed(4)
    check = validate_seed_consistency()
    assert (check.consistent, check.generators["torch"]) == (False, "seeded elsewhere")


class Numbers:
    """What a dataset that draws in `__getitem__` draws."""

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> Any:
        import random

        import numpy as np

        return torch.tensor([random.random(), float(np.random.random()), float(torch.rand(1))], dtype=torch.float64)


def test_the_workers_of_a_loader_draw_apart_and_repeat() -> None:
    def epoch() -> list[list[float]]:
        set_global_seed(5)
        loader = torch.utils.data.DataLoader(Numbers(), batch_size=4, num_workers=2, worker_init_fn=seed_worker)
        rows: list[list[float]] = torch.cat(list(loader)).tolist()
        return rows

    first = epoch()
    assert epoch() == first
    assert len({row[0] for row in first}) == len({row[1] for row in first}) == 8  # no two workers share their draws


def test_environments_and_spaces() -> None:
    gymnasium = pytest.importorskip("gymnasium")
    env = register_generator("env", gymnasium.make("CartPole-v1"))
    space = gymnasium.spaces.Dict({"a": gymnasium.spaces.Discrete(90), "b": gymnasium.spaces.Box(0, 1, (3,))})
    register_generator("space", space)

    def drawn() -> list[Any]:
        actions = [int(env.action_space.sample()) for _ in range(8)]
        sample = space.sample()
        return [env.reset()[0].tolist(), actions, int(sample["a"]), sample["b"].tolist()]

    set_global_seed(11)
    first = drawn()
    with seed_context(2):
        drawn()
    then = drawn()
    set_global_seed(11)
    assert [drawn(), drawn()] == [first, then]
