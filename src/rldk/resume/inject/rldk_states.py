"""The hooks that write down the state of a training at each optimizer step, as digests. Standard library only; torch is
never imported here, only watched for."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from collections.abc import Mapping
from functools import partial
from typing import Any

RECORD = "RLDK_STATES"  # the file that each step is appended to
KILL_AT = "RLDK_KILL_AT"  # the number of the optimizer step, counted from 1, in whose middle the process is killed
SAMPLE = 4096  # entries of a tensor that enter a digest, spread over all of it
MOST_STEPS = 100_000  # records of one process
DEEPEST = 8  # levels of a batch


class StateWatch:
    """What was seen so far. `owner`: the process that trains; a forked one is not watched."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.owner = os.getpid()
        self.steps = 0
        self.batches: Any = None
        self.kill_at = int(os.environ.get(KILL_AT) or 0)


def install() -> None:
    """Watches for the modules that are hooked; nothing is done for a program without torch."""
    from rldk_after_import import AfterImport  # type: ignore[import-not-found]  # beside sitecustomize

    path = os.environ.get(RECORD)
    if not path or os.environ.get("RANK", "0") != "0":
        return
    watch = StateWatch(path)
    hooks = {"torch.optim.optimizer": hook_optimizer, "torch.utils.data.dataloader": hook_loader}
    AfterImport({name: partial(hook, watch) for name, hook in hooks.items()}, not_hooked).install()


def not_hooked(name: str, error: Exception | str) -> None:
    """Says that another release of a package could not be hooked."""
    print(f"rldk: {name} was not hooked: {error}", file=sys.stderr)  # noqa: T201


def hook_optimizer(watch: StateWatch, module: Any) -> None:
    """A global hook of torch before each optimizer step."""
    module.register_optimizer_step_pre_hook(lambda optimizer, *_: before_step(watch, optimizer))


def hook_loader(watch: StateWatch, module: Any) -> None:
    """Each batch that a loader yields in the training process."""
    iterator = module._BaseDataLoaderIter
    following = iterator.__next__

    def watched(self: Any) -> Any:
        batch = following(self)
        if os.getpid() == watch.owner:
            if watch.batches is None:
                watch.batches = hashlib.sha256()
            feed(watch.batches, batch, 0)
        return batch

    iterator.__next__ = watched


def before_step(watch: StateWatch, optimizer: Any) -> None:
    """Writes down the state in which an optimizer step begins, and kills the process where that was asked for."""
    if os.getpid() != watch.owner or watch.steps >= MOST_STEPS:
        return
    watch.steps += 1
    held = [p for group in optimizer.param_groups for p in group["params"]]
    record = {
        "n": watch.steps,
        "optimizer": type(optimizer).__name__,
        "random": random_states(),
        "lr": [float(group.get("lr") or 0.0) for group in optimizer.param_groups],
        "weights": digest(held),
        "gradients": digest([p.grad for p in held]),
        "moments": digest([optimizer.state.get(p, {}) for p in held]),
        "has_moments": bool(optimizer.state),
        "batches": None if watch.batches is None else watch.batches.hexdigest()[:16],
    }
    watch.batches = None
    with open(watch.path, "a", encoding="utf-8") as file:  # noqa: PTH123
        file.write(json.dumps(record) + "\n")
    if watch.steps == watch.kill_at:
        os.kill(os.getpid(), signal.SIGKILL)


def random_states() -> dict[str, str]:
    """A digest of the state of each global generator that is loaded."""
    found = {}
    for name, state in (("random", "getstate"), ("numpy.random", "get_state"), ("torch", "get_rng_state")):
        ask = getattr(sys.modules.get(name), state, None)
        if ask is not None:
            value = ask()
            raw = value.numpy().tobytes() if name == "torch" else repr(value).encode()
            if name == "numpy.random":
                raw = value[1].tobytes() + repr(value[2:]).encode()
            found[name.partition(".")[0]] = hashlib.sha256(raw).hexdigest()[:16]
    return found


def digest(values: Any) -> str:
    """A digest of tensors and numbers."""
    made = hashlib.sha256()
    feed(made, values, 0)
    return made.hexdigest()[:16]


def feed(made: Any, value: Any, depth: int) -> None:
    """Adds a value to a digest: of a tensor some entries, spread over all of it."""
    if depth > DEEPEST:
        return
    if hasattr(value, "detach") and hasattr(value, "numel"):
        flat = value.detach().reshape(-1)
        part = flat[:: max(1, flat.numel() // SAMPLE)][:SAMPLE].to("cpu")
        made.update(f"{tuple(value.shape)} {value.dtype};".encode())
        made.update(part.float().numpy().tobytes() if "bfloat16" in str(part.dtype) else part.numpy().tobytes())
    elif isinstance(value, Mapping):
        for key in sorted(value, key=str):
            made.update(f"{key}:".encode())
            feed(made, value[key], depth + 1)
    elif isinstance(value, list | tuple):
        made.update(b"[")
        for one in value:
            feed(made, one, depth + 1)
    elif hasattr(value, "tobytes"):
        made.update(value.tobytes())
    elif isinstance(value, str | int | float | bool | bytes) or value is None:
        made.update(f"{type(value).__name__}:{value!r};".encode())
    else:
        made.update(type(value).__name__.encode())
