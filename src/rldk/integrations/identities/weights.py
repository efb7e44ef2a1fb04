"""Whether an optimizer step moves the model: a fixed sample of the weights before and after it.

All of it works on torch tensors without importing torch: the trainer has loaded it, and the values come from there."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rldk.integrations.guard import Guard
from rldk.integrations.identities.cadence import Cadence

MOST_TENSORS = 64
PER_TENSOR = 16
MAX_WHOLE = 200_000_000  # elements up to which a second look takes all weights instead of the sample
MAX_GROUPS = 12
FLAT = frozenset({"deepspeed", "megatron", "apex", "colossalai"})  # packages whose optimizers hold flat copies
Sink = Callable[[Mapping[str, float]], None]


class WeightSample:
    """A fixed sample of the weights of named tensors: the same elements on every call.

    The tensors are spread evenly over the model, and the elements over each tensor. `whole`: none is a shard."""

    def __init__(self, named: Iterable[tuple[str, Any]]) -> None:
        there = [(name, tensor) for name, tensor in named if tensor.numel() > 0]
        step = max(1, math.ceil(len(there) / MOST_TENSORS))
        self.names = [name for name, _ in there[::step]]
        self._tensors = [tensor for _, tensor in there[::step]]
        self.whole = not any(hasattr(tensor, "to_local") for tensor in self._tensors)
        self._strides = [max(1, tensor.numel() // PER_TENSOR) for tensor in self._tensors]

    def __len__(self) -> int:
        return len(self._tensors)

    @property
    def kinds(self) -> list[Any]:
        """The number types of the sampled tensors."""
        return [tensor.dtype for tensor in self._tensors]

    def take(self, *, kinds: Sequence[Any] = ()) -> NDArray[np.float64]:
        """The sampled elements now, in one transfer from the device. `kinds`: number types that they are rounded to."""
        import torch

        if not self._tensors:
            return np.empty(0)
        pairs = zip(self._tensors, self._strides, strict=True)
        parts = [_flat(tensor)[::stride][:PER_TENSOR] for tensor, stride in pairs]
        if kinds:
            parts = [part.to(kind) for part, kind in zip(parts, kinds, strict=True)]
        parts = [part.float() for part in parts]
        values = torch.cat([part.to(parts[0].device) for part in parts]).cpu().numpy()
        return np.asarray(values, dtype=np.float64)


class WeightWatch:
    """Measures the steps of one optimizer on one model, on the steps that are due, and gives the values to `sink`.

    `optimizer`: one, or a list. `steps`: optimizer steps so far. `digest`: a checksum of the sample after the last
    measured step; "" where this process holds only a shard."""

    def __init__(self, model: Any, optimizer: Any, sink: Sink, *, cadence: Cadence, guard: Guard) -> None:
        self.steps = 0
        self.digest = ""
        self._model = unwrapped(model)
        several = list(optimizer) if isinstance(optimizer, list | tuple) else [optimizer]
        self._optimizers = [inner_optimizer(one) for one in several]
        self._sink = sink
        self._cadence = cadence
        self._guard = guard
        self._sample: WeightSample | None = None
        self._groups: dict[str, list[Any]] = {}
        self._held: set[int] = set()
        self._before: NDArray[np.float64] | None = None
        self._whole: list[tuple[Any, Any]] | None = None
        self._look_at_all = False
        self._seen = 0
        self._last: tuple[int, NDArray[np.float64], NDArray[np.float64]] | None = None  # step, weights before, after
        self._idle: tuple[WeightSample, NDArray[np.float64]] | None = None
        self._handles: list[Any] = []

    def attach(self) -> bool:
        """Hooks the optimizer. False when it takes no hooks; then the caller calls `before` and `after`."""
        first = self._optimizers[0]
        if not all(hasattr(one, "register_step_pre_hook") for one in self._optimizers):
            return False
        # with several optimizers, the step begins at the first and is over after the last
        self._handles = [
            first.register_step_pre_hook(lambda *_: self.before()),
            self._optimizers[-1].register_step_post_hook(lambda *_: self.after()),
        ]
        return True

    def detach(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def before(self) -> None:
        """Just before an optimizer step."""
        self.steps += 1
        self._before = None
        if self._cadence.due(self.steps) or self._look_at_all:
            self._guard.run("measuring weights", self._begin)

    def after(self) -> None:
        """Just after an optimizer step."""
        if self._before is not None:
            self._guard.run("measuring weights", self._end)

    def end_of_step(self) -> None:
        """The training says that an optimizer step is over. When the optimizer made none, the weights are compared with
        those of the last time."""
        stepped, self._seen = self.steps != self._seen, self.steps
        if stepped:
            self._idle = None
            return
        self._guard.run("measuring weights", self._without_step)

    def _without_step(self) -> None:
        named = [(name, p) for name, p in self._model.named_parameters() if p.requires_grad]
        if not named:
            self._sink(self._counts(named))
            return
        sample = self._idle[0] if self._idle is not None else WeightSample(named)
        before, now = self._idle[1] if self._idle is not None else None, sample.take()
        self._idle = (sample, now)
        if before is None:
            self._sink({**self._counts(named), **self._rates()})
        elif (before == now).all():
            self._sink({"weights_changed_frac": 0.0})
        else:
            said = "the optimizer that is watched makes no steps, although the weights change: give the one that does"
            self._guard.warn("watching the optimizer", said)

    def _begin(self) -> None:
        named = [(name, p) for name, p in self._model.named_parameters() if p.requires_grad]
        if self._sample is None or len(named) != len(self._held):
            self._sample = WeightSample(named)
            self._held = {id(p) for _, p in named}
            self._groups = module_groups(named)
        self._sink({**self._counts(named), **self._rates(), **self._gradients()})
        self._before = before = self._sample.take()
        self._compare_with_last(before)
        if self._look_at_all and sum(p.numel() for _, p in named) <= MAX_WHOLE:
            self._whole = [(p, p.detach().clone()) for _, p in named]

    def _end(self) -> None:
        before, self._before = self._before, None
        if before is None or self._sample is None or not len(before):
            return
        after = self._sample.take()
        changed = int((after != before).sum())
        if changed == 0 and self._whole is not None:  # the sample may have missed what moved
            changed = int(any(bool((p.detach() != old).any()) for p, old in self._whole))
        self._whole = None
        self._look_at_all = changed == 0
        values = {"weights_changed_frac": changed / len(before)}
        size = float(np.linalg.norm(before))
        if size > 0:
            values["weight_update_norm"] = float(np.linalg.norm(after - before)) / size
        self._last = (self.steps, before, after)
        self.digest = digest(after) if self._sample.whole else ""
        self._sink(values)

    def _compare_with_last(self, now: NDArray[np.float64]) -> None:
        """Whether what the last optimizer step changed is still there. Only steps in a row can tell."""
        last, self._last = self._last, None
        if last is None or last[0] != self.steps - 1 or len(last[1]) != len(now):
            return
        _, before, after = last
        moved = after != before
        if moved.any():
            self._sink({"weights_undone_frac": float((now == before)[moved].mean())})

    def _counts(self, named: Sequence[tuple[str, Any]]) -> dict[str, float]:
        """How many parameters are trained, and which share of them the optimizers hold."""
        trained = sum(p.numel() for _, p in named)
        found = {"trainable_params": float(trained)}
        if trained and not self._flattened():
            held = {id(p) for one in self._optimizers for group in one.param_groups for p in group["params"]}
            found["optimizer_coverage"] = sum(p.numel() for _, p in named if id(p) in held) / trained
        return found

    def _flattened(self) -> bool:
        """Whether the optimizer holds flat copies of the parameters, as those of sharded trainings do."""
        homes = [type(one).__module__.partition(".")[0] for one in (*self._optimizers, self._model)]
        return any(home in FLAT for home in homes) or any("Shard" in type(m).__name__ for m in self._model.modules())

    def _rates(self) -> dict[str, float]:
        """The learning rates of the optimizers' groups: the largest, the smallest."""
        groups = [group for one in self._optimizers for group in one.param_groups if group["params"]]
        rates = [float(group["lr"]) for group in groups if "lr" in group]
        return {"lr_largest_group": max(rates), "lr_smallest_group": min(rates)} if rates else {}

    def _gradients(self) -> dict[str, float]:
        """The gradient norm of each group of modules, and the share of groups whose gradient is exactly 0."""
        import torch

        owners = [(name, p.grad) for name, tensors in self._groups.items() for p in tensors if p.grad is not None]
        squares = dict.fromkeys(self._groups, 0.0)
        if owners:
            each = torch.stack([n.float().cpu() for n in torch._foreach_norm([_flat(g) for _, g in owners])]).tolist()
            for (name, _), norm in zip(owners, each, strict=True):
                squares[name] += norm * norm
        found = {f"grad_norm_module/{name}": math.sqrt(x) for name, x in squares.items()}
        found["grad_norm_update"] = math.sqrt(sum(squares.values()))
        if found["grad_norm_update"] > 0:
            found["grad_dead_frac"] = sum(x == 0 for x in squares.values()) / len(squares)
        return found


def module_groups(named: Sequence[tuple[str, Any]]) -> dict[str, list[Any]]:
    """The parameters by part of the model: the layers in a few runs of neighbours, and what is outside of layers."""
    by_block: dict[str, list[Any]] = {}
    for name, tensor in named:
        by_block.setdefault(_block(name), []).append(tensor)
    blocks = list(by_block)
    size = max(1, math.ceil(len(blocks) / MAX_GROUPS))
    groups: dict[str, list[Any]] = {}
    for start in range(0, len(blocks), size):
        part = blocks[start : start + size]
        label = part[0] if len(part) == 1 else f"{part[0]}..{part[-1]}"
        groups[label] = [tensor for block in part for tensor in by_block[block]]
    return groups


def _block(name: str) -> str:
    """`model.layers.3.mlp.up.weight` -> `layers.3`; `lm_head.weight` -> `lm_head`."""
    parts = [part for part in name.split(".") if part not in ("module", "base_model", "model", "default")]
    for at, part in enumerate(parts[1:], start=1):
        if part.isdecimal():
            return f"{parts[at - 1]}.{part}"
    return parts[0] if len(parts) <= 2 else ".".join(parts[:-1][-2:])


def digest(sample: NDArray[np.float64]) -> str:
    """A short checksum of sampled weights, exact to the last bit."""
    return hashlib.sha256(sample.tobytes()).hexdigest()[:16]


def unwrapped(model: Any) -> Any:
    """The model inside DistributedDataParallel and the like."""
    for _ in range(4):
        inner = getattr(model, "module", None)
        if inner is None or not hasattr(inner, "named_parameters"):
            return model
        model = inner
    return model


def inner_optimizer(optimizer: Any) -> Any:
    """The torch optimizer inside that of accelerate and the like."""
    for _ in range(4):
        inner = getattr(optimizer, "optimizer", None)
        if inner is None or not hasattr(inner, "param_groups"):
            return optimizer
        optimizer = inner
    return optimizer


def _flat(tensor: Any) -> Any:
    local = tensor.detach()
    if hasattr(local, "to_local"):  # a DTensor: the shard of this process
        local = local.to_local()
    return local.reshape(-1)
