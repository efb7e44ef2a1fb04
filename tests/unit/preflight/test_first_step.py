"""The hooks of a first optimizer step, on tensors of numpy that have the few methods of torch's which the hooks use."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rldk.engine.processes.inject import rldk_after_import
from rldk.engine.processes.inject.rldk_after_import import AfterImport
from rldk.preflight.inject import rldk_first_step as hooks

FUNCTIONS: dict[str, Any] = {
    "isfinite": np.isfinite, "all": np.all, "any": np.any, "sum": np.sum, "exp": np.exp, "abs": np.abs,
}  # fmt: skip


class Tensor:
    """An array with the names that torch gives its methods."""

    def __init__(self, values: Any, *, grad: Any = None, requires_grad: bool = True) -> None:
        self.array = np.asarray(values, dtype=float)
        self.grad = None if grad is None else Tensor(grad)
        self.requires_grad = requires_grad
        self.shape = self.array.shape

    def __getitem__(self, place: Any) -> Tensor:
        return Tensor(self.array[place])

    def __eq__(self, other: object) -> Any:
        return Tensor(self.array == other.array) if isinstance(other, Tensor) else NotImplemented

    def __hash__(self) -> int:
        return id(self)

    def __bool__(self) -> bool:
        return bool(self.array)

    def __float__(self) -> float:
        return float(self.array)

    def __sub__(self, other: Tensor) -> Tensor:
        return Tensor(self.array - other.array)

    def __mul__(self, other: Tensor) -> Tensor:
        return Tensor(self.array * other.array)

    def __truediv__(self, other: Tensor) -> Tensor:
        return Tensor(self.array / other.array)

    def numel(self) -> int:
        return int(self.array.size)

    def to(self, _place: str) -> Tensor:
        return self

    def reshape(self, size: int) -> Tensor:
        return Tensor(self.array.reshape(size))

    def backward(self) -> str:
        return "went on"

    def clamp(self, **ends: float) -> Tensor:
        return Tensor(np.maximum(self.array, ends["min"]))

    def pow(self, power: int) -> Tensor:
        return Tensor(self.array**power)

    def sub(self, other: float) -> Tensor:
        return Tensor(self.array - other)

    def __getattr__(self, name: str) -> Any:
        if name in {"detach", "float", "clone"}:
            return lambda: self
        return lambda: Tensor(FUNCTIONS[name](self.array))


class Sgd:
    """An optimizer of torch without torch."""

    def __init__(self, *parameters: Tensor, lr: float = 0.1) -> None:
        self.param_groups: list[dict[str, Any]] = [{"params": list(parameters), "lr": lr}]


@pytest.fixture
def watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> hooks.FirstStepWatch:
    for name in ("RANK", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    torch = ModuleType("torch")
    torch.nn = SimpleNamespace(Parameter=Tensor)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setattr(hooks, "WAIT_S", 0.0)
    return hooks.FirstStepWatch(str(tmp_path / "facts.json"))


def step(watch: hooks.FirstStepWatch, optimizer: Sgd, *, moves: float = 1.0) -> bool:
    """Whether the script has ended with the step."""
    hooks.before_step(watch, optimizer)
    for parameter, group in hooks.parameters(optimizer):
        if parameter.grad is not None:
            parameter.array = parameter.array - moves * group["lr"] * parameter.grad.array
    try:
        hooks.after_step(watch, optimizer)
    except SystemExit as end:
        return end.code == 0
    return False


def facts(watch: hooks.FirstStepWatch) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(watch.path).read_text())
    return found


def test_what_the_first_step_was_made_of(watch: hooks.FirstStepWatch) -> None:
    moved = Tensor([1.0, 2.0], grad=[3.0, 4.0])
    still, frozen = Tensor([1.0], grad=[0.0]), Tensor([5.0, 6.0, 7.0], requires_grad=False)
    outside = Tensor([1.0, 1.0], grad=[1.0, 1.0])
    assert step(watch, Sgd(moved, still, frozen))
    found = facts(watch)
    expected = {
        "reached": True, "moved": 1, "steps": 1, "tensors": 3, "held": 6, "trainable": 3, "without_gradient": 1,
        "zero": 1, "broken": 0, "grad_norm": 5.0, "lr": 0.1, "optimizer": "Sgd", "loss": None, "ratio_gap": None,
    }  # fmt: skip
    assert {name: found[name] for name in expected} == expected
    assert found["stray"] >= outside.numel()  # and what else is alive and in no group


def test_broken_gradients_are_counted_and_written_as_text(watch: hooks.FirstStepWatch) -> None:
    assert step(watch, Sgd(Tensor([1.0], grad=[np.nan]), Tensor([1.0], grad=[np.inf]), Tensor([1.0], grad=[2.0])))
    assert (facts(watch)["broken"], facts(watch)["grad_norm"]) == (2, "nan")


def test_a_warm_up_from_zero_has_three_steps(watch: hooks.FirstStepWatch) -> None:
    optimizer = Sgd(Tensor([1.0], grad=[1.0]), lr=0.0)
    assert [step(watch, optimizer) for _ in range(3)] == [False, False, True]
    assert (facts(watch)["moved"], facts(watch)["steps"], facts(watch)["lr"]) == (0, 3, 0.0)


def test_the_first_step_that_moves_something_is_the_last_that_is_watched(watch: hooks.FirstStepWatch) -> None:
    optimizer = Sgd(Tensor([1.0], grad=[1.0]), lr=0.0)
    assert not step(watch, optimizer)
    optimizer.param_groups[0]["lr"] = 0.5
    assert step(watch, optimizer)
    assert (facts(watch)["moved"], facts(watch)["steps"]) == (1, 2)
    assert not step(watch, optimizer), "what is done is not done again"


def test_a_step_without_movement_but_with_a_rate_is_told_at_once(watch: hooks.FirstStepWatch) -> None:
    assert step(watch, Sgd(Tensor([1.0], grad=[1.0])), moves=0.0)
    assert (facts(watch)["moved"], facts(watch)["steps"]) == (0, 1)


def test_only_the_first_optimizer_is_watched_and_only_the_first_process_reports(
    watch: hooks.FirstStepWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = Sgd(Tensor([1.0], grad=[1.0]), lr=0.0), Sgd(Tensor([1.0], grad=[1.0]))
    assert not step(watch, Sgd())
    assert not step(watch, first)
    assert not step(watch, second)
    assert watch.steps == 1
    other = hooks.FirstStepWatch(watch.path)
    monkeypatch.setenv("RANK", "1")
    assert not step(other, second)
    assert not Path(watch.path).exists()


@pytest.mark.parametrize(
    ("rank", "local", "first"),
    [(None, None, True), ("0", "0", True), ("0", "-1", True), ("1", "0", False), ("0", "1", False), ("0", "2", False)],
)
def test_the_first_process_is_told_by_its_ranks(
    rank: str | None, local: str | None, first: bool, watch: hooks.FirstStepWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("RANK", rank), ("LOCAL_RANK", local)):
        if value is not None:
            monkeypatch.setenv(name, value)
    assert hooks.is_first() is first


def test_a_long_tensor_is_compared_in_places_spread_over_it() -> None:
    values = np.arange(3.0 * hooks.SAMPLE)
    assert hooks.sample(Tensor(values)).array.tolist() == values[::3].tolist()
    assert hooks.sample(Tensor(values[: hooks.SAMPLE])).numel() == hooks.SAMPLE
    assert hooks.sample(Tensor(values[: hooks.SAMPLE + 1])).numel() == hooks.SAMPLE
    assert hooks.sample(Tensor([[1.0, 2.0], [3.0, 4.0]])).array.tolist() == [1.0, 2.0, 3.0, 4.0]


def test_the_loss_is_the_first_number_that_goes_backward(
    watch: hooks.FirstStepWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tensor, "backward", Tensor.backward)  # put back afterwards
    monkeypatch.setattr(sys.modules["torch"], "Tensor", Tensor, raising=False)
    asked: list[Any] = []
    module = SimpleNamespace(
        register_optimizer_step_pre_hook=asked.append, register_optimizer_step_post_hook=asked.append
    )
    hooks.hook_optimizer(watch, module)
    assert [Tensor(x).backward() for x in ([1.0, 2.0], 0.25, 0.5)] == ["went on"] * 3
    assert (watch.loss, len(asked)) == (0.25, 2)
    assert watch.hooked == ["torch.optim.Optimizer.step", "torch.Tensor.backward"]
    for hook in asked:
        hook(Sgd(Tensor([1.0], grad=[1.0]), lr=0.0))
    assert watch.facts["tensors"] == 1


@pytest.mark.parametrize("name", ["_get_per_token_logps", "_get_per_token_logps_and_entropies"])
def test_the_ratio_of_the_first_minibatch_is_taken_under_its_mask(watch: hooks.FirstStepWatch, name: str) -> None:
    new = Tensor(np.log([[1.5, 2.0, 9.0]]))

    def scores(_self: Any) -> Any:
        return (new, None) if name.endswith("entropies") else new

    def loss(self: Any, _model: Any, _inputs: Any) -> str:
        getattr(self, name)()
        return "loss"

    trainer = type("GRPOTrainer", (), {name: scores, "_compute_loss": loss})
    hooks.hook_grpo(watch, SimpleNamespace(GRPOTrainer=trainer))
    assert watch.hooked == [f"GRPOTrainer.{name}"]
    given = {"old_per_token_logps": Tensor([[0.0, 0.0, 0.0]]), "completion_mask": Tensor([[1.0, 1.0, 0.0]])}
    for missing in given:
        assert trainer()._compute_loss(None, {**given, missing: None}) == "loss"
    assert trainer()._compute_loss(None, {**given, "old_per_token_logps": Tensor([0.0])}) == "loss"
    assert watch.ratio is None
    assert trainer()._compute_loss(None, given) == "loss"
    assert watch.ratio == pytest.approx(0.75)
    trainer()._compute_loss(None, {**given, "old_per_token_logps": Tensor([[9.0, 9.0, 9.0]])})
    assert watch.ratio == pytest.approx(0.75), "the first one counts"


def test_another_release_of_the_trainer_is_left_alone(watch: hooks.FirstStepWatch) -> None:
    hooks.hook_grpo(watch, SimpleNamespace(GRPOTrainer=type("GRPOTrainer", (), {"_compute_loss": None})))
    hooks.hook_grpo(watch, SimpleNamespace(GRPOTrainer=type("GRPOTrainer", (), {"_get_per_token_logps": None})))
    assert watch.hooked == []


def test_a_script_that_fails_before_its_first_step_says_why(
    watch: hooks.FirstStepWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setitem(sys.modules, "rldk_after_import", rldk_after_import)  # which stands beside sitecustomize
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, trace: told.append(str(error)))
    before = len(sys.meta_path)
    hooks.install()
    assert len(sys.meta_path) == before, "without the variable nothing is installed"
    monkeypatch.setenv(hooks.RESULT, watch.path)
    hooks.install()
    assert (len(sys.meta_path), type(sys.meta_path[0])) == (before + 1, AfterImport), "before all others"
    sys.excepthook(ValueError, ValueError("x" * 600), None)
    assert facts(watch)["error"] == "ValueError: " + "x" * 488
    assert (facts(watch)["reached"], told) == (False, ["x" * 600])


@pytest.mark.parametrize("hook_fails", [False, True])
def test_a_module_is_hooked_once_it_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], hook_fails: bool
) -> None:
    (tmp_path / "soon_loaded.py").write_text("x = 7\n")
    (tmp_path / "never_hooked.py").write_text("x = 8\n")
    monkeypatch.syspath_prepend(tmp_path)
    seen: list[int] = []

    def hook(module: Any) -> None:
        seen.append(module.x)
        if hook_fails:
            raise AttributeError("other names")

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    AfterImport({"soon_loaded": hook, "not_there_at_all": hook}, hooks.not_hooked).install()
    for name in ("never_hooked", "soon_loaded"):
        monkeypatch.delitem(sys.modules, name, raising=False)
        importlib.import_module(name)
    assert seen == [7]
    for _ in range(2):  # a search that failed is made again
        with pytest.raises(ImportError):
            importlib.import_module("not_there_at_all")
    said = "rldk: soon_loaded was not hooked: other names\n" if hook_fails else ""
    assert capsys.readouterr().err == said
