"""Whether steps move a model, and whether reference and sampler hold what they should, on arrays as tensors."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from arrays_as_tensors import Tensor, tensor, torch_of_arrays

from rldk.integrations.guard import Guard
from rldk.integrations.identities import weights
from rldk.integrations.identities.cadence import Cadence
from rldk.integrations.identities.reference import ReferenceWatch, probe_gap, same_weights
from rldk.integrations.identities.surprise import Surprise
from rldk.integrations.identities.weights import WeightSample, WeightWatch, digest, module_groups


@pytest.fixture(autouse=True)
def _torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", torch_of_arrays())


class Model:
    def __init__(self, **parameters: Any) -> None:
        self.named = {name.replace("__", "."): tensor(np.asarray(v, dtype=float)) for name, v in parameters.items()}

    def named_parameters(self) -> Any:
        return iter(self.named.items())

    def parameters(self) -> Any:
        return iter(self.named.values())

    def modules(self) -> Any:
        return iter([self])


class Optimizer:
    def __init__(self, *tensors: Tensor, lr: float = 0.1) -> None:
        self.param_groups: list[dict[str, Any]] = [{"params": list(tensors), "lr": lr}, {"params": [], "lr": 9.0}]
        self.hooks: dict[str, list[Callable[..., Any]]] = {"pre": [], "post": []}

    def _hook(self, kind: str, hook: Callable[..., Any]) -> Any:
        self.hooks[kind].append(hook)
        return SimpleNamespace(remove=lambda: self.hooks[kind].remove(hook))

    def register_step_pre_hook(self, hook: Any) -> Any:
        return self._hook("pre", hook)

    def register_step_post_hook(self, hook: Any) -> Any:
        return self._hook("post", hook)

    def step(self, move: Callable[[], None] = lambda: None) -> None:
        for hook in self.hooks["pre"]:
            hook(self, (), {})
        move()
        for hook in self.hooks["post"]:
            hook(self, (), {})


class Watched:
    def __init__(self, model: Any, *optimizers: Any, every: int = 1, first: int = 5) -> None:
        self.found: dict[str, float] = {}
        self.said: list[str] = []
        self.guard = Guard(self.said.append)
        cadence = Cadence(every=every, first=first)
        given = list(optimizers) if len(optimizers) > 1 else optimizers[0]
        self.watch = WeightWatch(model, given, self.found.update, cadence=cadence, guard=self.guard)
        self.hooked = self.watch.attach()


def test_sixteen_elements_of_sixty_four_tensors_are_looked_at() -> None:
    for size, taken, second in [(16, 16, 1.0), (17, 16, 1.0), (32, 16, 2.0), (100, 16, 6.0), (3, 3, 1.0)]:
        found = WeightSample([("a", tensor(np.arange(float(size))))]).take()
        assert (len(found), found[1]) == (taken, second), size
    for count, kept in [(64, 64), (65, 33), (128, 64), (129, 43)]:
        sample = WeightSample((f"t{i}", tensor([float(i)])) for i in range(count))
        assert (len(sample), sample.names[1]) == (kept, f"t{math.ceil(count / 64)}")
    empty = WeightSample([("none", tensor(np.zeros(0)))])
    assert (len(empty), len(empty.take()), empty.whole) == (0, 0, True)


def test_a_step_that_moves_half_of_the_weights() -> None:
    model = Model(a=[3.0, 4.0], b=[0.0, 0.0])
    optimizer = Optimizer(model.named["a"])
    model.named["a"].grad, model.named["b"].grad = tensor([3.0, 4.0]), tensor([0.0, 0.0])
    watched = Watched(model, optimizer)
    assert watched.hooked

    def move() -> None:
        model.named["a"][:] = [6.0, 8.0]

    optimizer.step(move)
    assert watched.found == {
        "trainable_params": 4.0, "optimizer_coverage": 0.5, "lr_largest_group": 0.1, "lr_smallest_group": 0.1,
        "grad_norm_module/a": 5.0, "grad_norm_module/b": 0.0, "grad_norm_update": 5.0, "grad_dead_frac": 0.5,
        "weights_changed_frac": 0.5, "weight_update_norm": 1.0,
    }  # fmt: skip
    assert watched.watch.digest == digest(np.array([6.0, 8.0, 0.0, 0.0]))
    optimizer.step()
    assert (watched.found["weights_undone_frac"], watched.found["weights_changed_frac"]) == (0.0, 0.0)
    watched.watch.detach()
    assert optimizer.hooks == {"pre": [], "post": []}
    assert watched.said == []


def test_a_gradient_of_zeros_has_no_dead_share() -> None:
    model = Model(a=[1.0])
    optimizer = Optimizer(model.named["a"])
    model.named["a"].grad = tensor([0.0])
    watched = Watched(model, optimizer)
    optimizer.step()
    assert watched.found["grad_norm_update"] == 0.0
    assert "grad_dead_frac" not in watched.found


def test_what_a_step_changed_and_somebody_undid() -> None:
    model = Model(a=[1.0, 2.0])
    optimizer = Optimizer(model.named["a"])
    watched = Watched(model, optimizer)

    def move() -> None:
        model.named["a"][:] = [5.0, 6.0]

    optimizer.step(move)
    model.named["a"][0] = 1.0
    optimizer.step()
    assert watched.found["weights_undone_frac"] == 0.5


def test_only_steps_in_a_row_tell_what_was_undone() -> None:
    model = Model(a=[1.0, 2.0])
    optimizer = Optimizer(model.named["a"])
    watched = Watched(model, optimizer, every=2, first=0)

    def move() -> None:
        model.named["a"] += 1.0

    for _ in range(4):
        optimizer.step(move)
    assert watched.watch.steps == 4
    assert "weights_undone_frac" not in watched.found


def test_a_move_that_the_sample_missed_is_found_at_the_second_look(monkeypatch: pytest.MonkeyPatch) -> None:
    for most, changed in [(40, 0.0625), (39, 0.0)]:
        monkeypatch.setattr(weights, "MAX_WHOLE", most)
        model = Model(a=np.zeros(40))
        optimizer = Optimizer(model.named["a"])
        watched = Watched(model, optimizer)

        def move(values: Tensor = model.named["a"]) -> None:
            values[1] += 1.0  # the sample has every second one

        optimizer.step(move)
        assert watched.found["weights_changed_frac"] == 0.0
        optimizer.step(move)
        assert watched.found["weights_changed_frac"] == changed, most
        assert "weight_update_norm" not in watched.found, "all sampled weights are 0"


def test_a_training_without_steps_of_its_optimizer() -> None:
    model = Model(a=[1.0, 2.0])
    optimizer = Optimizer(model.named["a"], lr=0.3)
    watched = Watched(model, optimizer)
    watched.watch.end_of_step()
    assert watched.found == {
        "trainable_params": 2.0, "optimizer_coverage": 1.0, "lr_largest_group": 0.3, "lr_smallest_group": 0.3,
    }  # fmt: skip
    watched.watch.end_of_step()
    assert watched.found["weights_changed_frac"] == 0.0
    optimizer.step()
    watched.watch.end_of_step()
    model.named["a"][0] = 7.0
    watched.watch.end_of_step()
    assert watched.said == [], "the step in between was one"
    model.named["a"][0] = 8.0
    watched.watch.end_of_step()
    assert "the optimizer that is watched makes no steps" in watched.said[0]


def test_a_model_without_trained_weights() -> None:
    model = Model(a=[1.0])
    model.named["a"].requires_grad = False
    watched = Watched(model, Optimizer(model.named["a"]))
    watched.watch.end_of_step()
    assert watched.found == {"trainable_params": 0.0}


def test_several_optimizers_step_together() -> None:
    model = Model(a=[1.0], b=[2.0])
    one, two = Optimizer(model.named["a"], lr=0.1), Optimizer(model.named["b"], lr=0.5)
    watched = Watched(model, SimpleNamespace(optimizer=one), two)
    assert (len(one.hooks["pre"]), len(one.hooks["post"]), len(two.hooks["pre"]), len(two.hooks["post"])) == (
        1,
        0,
        0,
        1,
    )
    one.step()
    assert "weights_changed_frac" not in watched.found
    two.step(lambda: model.named["b"].__setitem__(0, 3.0))
    found = watched.found
    assert (found["weights_changed_frac"], found["optimizer_coverage"]) == (0.5, 1.0)
    assert (found["lr_largest_group"], found["lr_smallest_group"]) == (0.5, 0.1)
    assert not Watched(model, one, SimpleNamespace(param_groups=[])).hooked


def test_flat_copies_are_no_missing_parameters() -> None:
    model = Model(a=[1.0])
    for module, missing in [("deepspeed.runtime", True), ("torch.optim", False)]:
        optimizer = type("Other", (Optimizer,), {"__module__": module})()
        watched = Watched(model, optimizer)
        watched.watch.end_of_step()
        assert ("optimizer_coverage" not in watched.found) is missing
    sharded = Model(a=[1.0])
    sharded.modules = lambda: iter([type("FullyShardedModel", (), {})()])  # type: ignore[method-assign]
    watched = Watched(sharded, Optimizer())
    watched.watch.end_of_step()
    assert "optimizer_coverage" not in watched.found


def test_parts_of_a_model() -> None:
    def parts(*names: str) -> list[str]:
        return list(module_groups([(name, None) for name in names]))

    assert parts("model.layers.3.mlp.up.weight", "model.layers.3.x.bias", "lm_head.weight") == ["layers.3", "lm_head"]
    assert parts("module.base_model.embed.weight", "a.b.c.weight", "weight") == ["embed", "b.c", "weight"]
    assert parts(*(f"h.{i}.w" for i in range(12))) == [f"h.{i}" for i in range(12)]
    assert parts(*(f"h.{i}.w" for i in range(13))) == [f"h.{i}..h.{i + 1}" for i in range(0, 12, 2)] + ["h.12"]


def test_wrappers_of_models_and_optimizers_are_looked_into_four_times() -> None:
    for look, inner, wrap in (
        (weights.unwrapped, Model(a=[1.0]), lambda x: SimpleNamespace(module=x, named_parameters=list)),
        (weights.inner_optimizer, Optimizer(), lambda x: SimpleNamespace(optimizer=x, param_groups=[])),
    ):
        wrapped: Any = inner
        for depth in range(1, 6):
            wrapped = wrap(wrapped)
            assert (look(wrapped) is inner) is (depth <= 4), depth
    bare = SimpleNamespace(module="text", optimizer=3)
    assert weights.unwrapped(bare) is bare
    assert weights.inner_optimizer(bare) is bare


def test_a_reference_that_moves_or_is_the_policy() -> None:
    policy, reference = Model(a=[1.0]), Model(a=[3.0], b=[4.0])
    watch = ReferenceWatch(reference, policy)
    assert watch.measure() == {"reference_drift": 0.0, "reference_shared_frac": 0.0}
    reference.named["a"][0] = 8.0
    assert watch.measure() == {"reference_drift": 1.0, "reference_shared_frac": 0.0}
    reference.named["b"] = policy.named["a"]
    assert watch.measure()["reference_shared_frac"] == 0.5
    assert ReferenceWatch(policy, policy).measure()["reference_shared_frac"] == 1.0
    assert ReferenceWatch(Model(), policy).measure() == {"reference_drift": 0.0, "reference_shared_frac": 0.0}
    empty = Model(a=[0.0])
    alone = ReferenceWatch(empty, None)
    empty.named["a"][0] = 2.0
    assert alone.measure() == {"reference_drift": 2.0}


def test_the_weights_of_trainer_and_sampler() -> None:
    trainer, sampler = Model(a=[3.0, 4.0], b=[9.0], c=[1.0]), Model(module__a=[3.0, 9.0], b=[[9.0]], d=[1.0])
    assert same_weights(trainer, sampler) == {"sampler_weight_dev": 1.0}
    assert same_weights(trainer, trainer) == {"sampler_weight_dev": 0.0}
    assert same_weights(trainer, Model(x=[1.0])) == {}
    assert same_weights(Model(a=[0.0]), Model(a=[2.0])) == {"sampler_weight_dev": 2.0}
    coarse = Model(a=[1.5])
    coarse.named["a"] = tensor(np.array([1], dtype=np.int64))
    assert same_weights(Model(a=[1.5]), coarse) == {"sampler_weight_dev": 0.0}, "in the precision of the sampler"


class Language(Model):
    """All tokens are equally likely, except the one that always follows."""

    training = True

    def __init__(self, words: int) -> None:
        super().__init__(a=[1.0])
        self.config = SimpleNamespace(vocab_size=words)
        self.modes: list[bool] = []

    def eval(self) -> None:
        self.training = False

    def train(self, mode: bool) -> None:
        self.training = mode

    def __call__(self, ids: Tensor) -> Any:
        self.modes.append(self.training)
        return SimpleNamespace(logits=tensor(np.zeros((*ids.shape, self.config.vocab_size))))


def test_a_sampler_is_asked_for_sixteen_tokens_all_over_the_vocabulary() -> None:
    model, asked = Language(170), list[list[int]]()

    def sampler(ids: list[int], *, off: float = 0.0, count: int = 15) -> Any:
        asked.append(ids)
        return [math.log(1 / 170) + off] * count

    assert probe_gap(model, sampler) == {"probe_logprob_dev": pytest.approx(0.0)}
    assert asked == [[10 * i for i in range(1, 17)]]
    assert (model.modes, model.training) == ([False], True)
    assert probe_gap(model, lambda ids: sampler(ids, off=0.25, count=16)) == {"probe_logprob_dev": pytest.approx(0.25)}
    assert probe_gap(model, lambda ids: sampler(ids, count=14)) == {}
    for words, found in [(16, {}), (17, {"probe_logprob_dev": pytest.approx(math.log(170 / 17))})]:
        assert probe_gap(Language(words), sampler) == found, words
    bare = Language(40)
    bare.config = SimpleNamespace(vocab_size=None)
    assert probe_gap(bare, sampler) == {}


def test_the_surprise_of_a_hundred_tokens() -> None:
    surprise = Surprise()
    assert surprise.take(np.full(99, -1.0), np.full(99, 0.5)) == {}
    assert surprise.take(np.array([-1.0]), np.array([0.5])) == {
        "sampled_surprise_excess": 0.5, "sampled_surprise_z": 0.0,
    }  # fmt: skip
    mixed = Surprise()
    logp = np.array([-1.0] * 60 + [-3.0] * 40 + [math.nan])
    found = mixed.take(logp, np.where(np.isnan(logp), 0.0, 1.0))
    assert found["sampled_surprise_excess"] == pytest.approx(0.8)
    assert found["sampled_surprise_z"] == pytest.approx(80 / math.sqrt(160 - 80 * 80 / 100))
    newest = Surprise()
    newest.take(np.full(1000, -9.0), np.zeros(1000))
    found = [newest.take(np.full(5, -1.0), np.zeros(5)) for _ in range(20)]  # type: ignore[assignment]
    assert found[-2]["sampled_surprise_excess"] > 8.0  # type: ignore[index]
    assert found[-1]["sampled_surprise_excess"] == 1.0  # type: ignore[index]
