"""The hooks that see a script up to its first optimizer step. Standard library only; torch is never imported here, only
watched for: it may be another one than that of the environment of rldk."""

from __future__ import annotations

import gc
import hashlib
import json
import math
import os
import sys
import threading
import time
from functools import partial
from types import TracebackType
from typing import Any

RESULT = "RLDK_PREFLIGHT_RESULT"  # the file that the facts are written to
SAMPLE = 2048  # entries of a tensor that are compared
PEERS_S = 20.0  # for the other ranks to make the same step
MOST_STEPS = 3  # a warm-up from 0 has no learning rate in its first step
WAIT_S = 120.0  # for rldk to end the script


class FirstStepWatch:
    """What was seen so far."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.hooked: list[str] = []
        self.loss: float | None = None
        self.ratio: float | None = None
        self.before: list[Any] = []
        self.facts: dict[str, Any] = {}
        self.steps = 0
        self.done = False
        self.owner: int | None = None
        self.states: list[str] = []  # of the random generator, before and after the step
        self.prompts = ""

    def write_rank(self) -> None:
        """Leaves what rank 0 compares with its own."""
        put(f"{self.path}.rank{rank()}", {"states": self.states, "prompts": self.prompts})

    def ranks(self) -> dict[str, Any] | None:
        """How many other ranks have the random state of this one, before and after the step, and how many its prompts;
        None without others, or where one of them does not come."""
        others = [f"{self.path}.rank{i}" for i in range(1, int(os.environ.get("WORLD_SIZE") or 1))]
        end = time.monotonic() + PEERS_S
        while not all(map(os.path.exists, others)) and time.monotonic() < end:
            time.sleep(0.02)
        if not others or not all(map(os.path.exists, others)):
            return None
        found = []
        for other in others:
            with open(other, encoding="utf-8") as file:  # noqa: PTH123
                found.append(json.load(file))
        if not self.prompts or not all(len(one["states"]) == len(self.states) for one in found):
            return None
        same = [sum(one["states"][i] == state for one in found) for i, state in enumerate(self.states)]
        return {"random": same, "prompts": sum(one["prompts"] == self.prompts for one in found)}

    def write(self, **more: Any) -> None:
        """Writes the file whole; the first process that is done wins, which is rank 0 where there are several."""
        put(self.path, {"hooked": self.hooked, "loss": shown(self.loss), "ratio_gap": shown(self.ratio), **more})


def put(path: str, content: dict[str, Any]) -> None:
    """Writes a file whole."""
    part = f"{path}.{os.getpid()}"
    with open(part, "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump(content, file)
    os.replace(part, path)  # noqa: PTH105


def random_state() -> str:
    """A checksum of the state of torch's generator; "" where it has none."""
    state = getattr(sys.modules.get("torch"), "get_rng_state", None)
    return hashlib.sha256(state().numpy().tobytes()).hexdigest()[:16] if state is not None else ""


def rank() -> int:
    """The number of this process among those of the training."""
    return int(os.environ.get("RANK") or 0)


def shown(value: float | None) -> float | str | None:
    """A number as JSON can hold it: NaN and infinities as text."""
    if value is None or math.isfinite(value):
        return value
    return str(value)


def install() -> None:
    """Watches for the modules whose classes are hooked; nothing is done for a script without torch."""
    from rldk_after_import import AfterImport  # type: ignore[import-not-found]  # beside sitecustomize

    path = os.environ.get(RESULT)
    if not path:
        return
    watch = FirstStepWatch(path)
    hooks = {"torch.optim.optimizer": hook_optimizer, "trl.trainer.grpo_trainer": hook_grpo}
    AfterImport({name: partial(hook, watch) for name, hook in hooks.items()}, not_hooked).install()
    previous = sys.excepthook

    def excepthook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not watch.done and threading.current_thread() is threading.main_thread() and is_first():
            watch.write(reached=False, error=f"{kind.__name__}: {error}"[:500])
        previous(kind, error, trace)

    sys.excepthook = excepthook


def not_hooked(name: str, error: Exception | str) -> None:
    """Says that another release of a package could not be hooked."""
    print(f"rldk: {name} was not hooked: {error}", file=sys.stderr)  # noqa: T201


def is_first() -> bool:
    """Whether this process is rank 0, or the only one."""
    return os.environ.get("RANK", "0") == "0" and os.environ.get("LOCAL_RANK", "0") in ("0", "-1")


def hook_optimizer(watch: FirstStepWatch, module: Any) -> None:
    """Global hooks of torch before and after each optimizer step, and the value that backward() is called on."""
    module.register_optimizer_step_pre_hook(lambda optimizer, *_: before_step(watch, optimizer))
    module.register_optimizer_step_post_hook(lambda optimizer, *_: after_step(watch, optimizer))
    watch.hooked.append("torch.optim.Optimizer.step")
    tensor = getattr(sys.modules.get("torch"), "Tensor", None)
    if tensor is None:
        return
    backward = tensor.backward

    def watched(self: Any, *args: Any, **kwargs: Any) -> Any:
        if watch.loss is None and self.numel() == 1:
            watch.loss = float(self.detach())
        return backward(self, *args, **kwargs)

    tensor.backward = watched
    watch.hooked.append("torch.Tensor.backward")


def hook_grpo(watch: FirstStepWatch, module: Any) -> None:
    """The ratio of the first minibatch: new log-probabilities against those that the trainer took as old ones."""
    trainer = module.GRPOTrainer
    name = next(
        (n for n in ("_get_per_token_logps_and_entropies", "_get_per_token_logps") if hasattr(trainer, n)), None
    )
    if name is None or not hasattr(trainer, "_compute_loss"):
        return
    scores, loss = getattr(trainer, name), trainer._compute_loss
    newest: list[Any] = []

    def watched_scores(self: Any, *args: Any, **kwargs: Any) -> Any:
        found = scores(self, *args, **kwargs)
        newest[:] = [found[0] if isinstance(found, tuple) else found]
        return found

    def watched_loss(self: Any, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        found = loss(self, model, inputs, *args, **kwargs)
        old, mask = inputs.get("old_per_token_logps"), inputs.get("completion_mask")
        prompts = inputs.get("prompt_ids")
        if prompts is not None and not watch.prompts:
            watch.prompts = hashlib.sha256(prompts.cpu().numpy().tobytes()).hexdigest()[:16]
        if watch.ratio is None and old is not None and mask is not None and newest and newest[0].shape == old.shape:
            gap = (newest[0].detach().float() - old.float()).exp().sub(1).abs() * mask
            watch.ratio = float(gap.sum() / mask.sum().clamp(min=1))
        return found

    setattr(trainer, name, watched_scores)
    trainer._compute_loss = watched_loss
    watch.hooked.append(f"GRPOTrainer.{name}")


def parameters(optimizer: Any) -> list[tuple[Any, Any]]:
    return [(p, group) for group in optimizer.param_groups for p in group["params"]]


def sample(tensor: Any) -> Any:
    """Some entries of a tensor, spread over all of it, on the processor."""
    flat = tensor.detach().reshape(-1)
    return flat[:: max(1, flat.numel() // SAMPLE)][:SAMPLE].to("cpu").clone()


def before_step(watch: FirstStepWatch, optimizer: Any) -> None:
    if watch.done or (watch.owner is not None and watch.owner != id(optimizer)):
        return
    held = parameters(optimizer)
    if not held:
        return
    watch.owner = id(optimizer)
    watch.states = [random_state()]
    if not is_first():
        return
    grads = [p.grad for p, _ in held]
    finite = [g is None or bool(g.isfinite().all()) for g in grads]
    squares = sum(float(g.detach().float().pow(2).sum()) for g in grads if g is not None)
    watch.before = [sample(p) for p, _ in held]
    own = {id(p) for p, _ in held}
    watch.facts = {
        "tensors": len(held),
        "held": sum(p.numel() for p, _ in held),
        "trainable": sum(p.numel() for p, _ in held if p.requires_grad),
        "without_gradient": sum(g is None for g in grads),
        "zero": sum(g is not None and not bool(g.any()) for g in grads),
        "broken": finite.count(False),
        "grad_norm": shown(math.sqrt(squares) if squares >= 0 else squares),
        "lr_least": min(float(group.get("lr") or 0.0) for _, group in held),
        "lr": max(float(group.get("lr") or 0.0) for _, group in held),
        "stray": stray(own),
        "optimizer": type(optimizer).__name__,
    }


def stray(own: set[int]) -> int:
    """How many parameters had a gradient and are in no parameter group."""
    torch = sys.modules["torch"]
    kind, found = torch.nn.Parameter, 0
    for thing in gc.get_objects():
        if type(thing) is kind and thing.requires_grad and id(thing) not in own and thing.grad is not None:
            found += thing.numel()
    return found


def after_step(watch: FirstStepWatch, optimizer: Any) -> None:
    if watch.done or watch.owner != id(optimizer):
        return
    watch.states.append(random_state())
    if not is_first():
        watch.done = True
        watch.write_rank()
        return
    watch.steps += 1
    after = [sample(p) for p, _ in parameters(optimizer)]
    moved = sum(not bool((a == b).all()) for a, b in zip(watch.before, after, strict=True))
    if not moved and not watch.facts["lr"] and watch.steps < MOST_STEPS:
        return
    watch.done = True
    watch.write(reached=True, moved=moved, steps=watch.steps, ranks=watch.ranks(), **watch.facts)
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:  # rldk ends the script here, before it writes a checkpoint
        time.sleep(0.05)
    raise SystemExit(0)
