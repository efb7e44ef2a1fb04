"""The hooks that write down the state of a training at each optimizer step, as digests. Standard library only; torch is
never imported here, only watched for."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import sys
import weakref
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

RECORD = "RLDK_STATES"  # the file that each step is appended to
KILL_AT = "RLDK_KILL_AT"  # the number of the optimizer step, counted from 1, in whose middle the process is killed
SAMPLE = 4096  # entries of a tensor that enter a digest, spread over all of it
MOST_STEPS = 100_000  # records of one process
DEEPEST = 8  # levels of a batch
MOST_FRAMES = 60  # callers of an optimizer step that are looked at
_MODEL = re.compile(r"^_?ref(erence)?(_(model|policy|net|network|actor))?$|^(model|policy|actor)_ref$", re.IGNORECASE)
_KL = re.compile(r"^_?(adaptive_)?kl_?(coeff?|coefficient|ctl|ctrl|controller|beta|weight)s?$", re.IGNORECASE)
_COEFFICIENT = (
    "value",
    "_value",
    "kl_coef",
    "kl_coeff",
    "coef",
    "beta",
)  # of a controller of TRL, OpenRLHF, verl
_SPREAD, _COUNT = ("var", "std", "M2", "S"), ("count", "n")  # of a running mean


class StateWatch:
    """What was seen so far. `owner`: the process that trains; a forked one is not watched."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.owner = os.getpid()
        self.steps = 0
        self.batch: str | None = None
        self.seen: dict[str, Any] | None = None  # what environments have shown since the optimizer step before
        self.running: list[weakref.ref[Any]] = []  # running means, in the order of their first update
        self.kill_at = int(os.environ.get(KILL_AT) or 0)


def install() -> None:
    """Watches for the modules that are hooked; nothing is done for a program without torch."""
    from rldk_after_import import AfterImport  # type: ignore[import-not-found]  # beside sitecustomize

    path = os.environ.get(RECORD)
    if not path or os.environ.get("RANK", "0") != "0":
        return
    watch = StateWatch(path)
    hooks: dict[str, Any] = {
        "torch.optim.optimizer": hook_optimizer,
        "torch.utils.data.dataloader": hook_loader,
        "gymnasium.wrappers.utils": hook_running_mean,
        "stable_baselines3.common.running_mean_std": hook_running_mean,
        "gymnasium.wrappers.common": partial(hook_environment, name="OrderEnforcing"),
        "gymnasium.vector.async_vector_env": partial(hook_environment, name="AsyncVectorEnv"),
        "stable_baselines3.common.monitor": partial(hook_environment, name="Monitor"),
        "stable_baselines3.common.vec_env.subproc_vec_env": partial(hook_environment, name="SubprocVecEnv"),
    }
    AfterImport({name: partial(hook, watch) for name, hook in hooks.items()}, not_hooked).install()


def not_hooked(name: str, error: Exception | str) -> None:
    """Says that another release of a package could not be hooked."""
    print(f"rldk: {name} was not hooked: {error}", file=sys.stderr)  # noqa: T201


def hook_optimizer(watch: StateWatch, module: Any) -> None:
    """A global hook of torch before each optimizer step."""
    module.register_optimizer_step_pre_hook(lambda optimizer, *_: before_step(watch, optimizer))


def hook_loader(watch: StateWatch, module: Any) -> None:
    """The last batch that a loader has yielded in the training process. Only the last: a loader that reads ahead has
    read fewer in a run that goes on than in one that begins, and an evaluation reads some between two steps."""
    iterator = module._BaseDataLoaderIter
    following = iterator.__next__

    def watched(self: Any) -> Any:
        batch = following(self)
        if os.getpid() == watch.owner:
            watch.batch = digest(batch)
        return batch

    iterator.__next__ = watched


def hook_running_mean(watch: StateWatch, module: Any) -> None:
    """Each running mean that is updated, which normalisers of observations and rewards keep."""
    kind = module.RunningMeanStd
    update = kind.update_from_moments

    def updated(self: Any, *given: Any, **named: Any) -> Any:
        if not any(known() is self for known in watch.running):
            watch.running.append(weakref.ref(self))
        return update(self, *given, **named)

    kind.update_from_moments = updated


def hook_environment(watch: StateWatch, module: Any, name: str) -> None:
    """What each step and reset of environments shows, and which of both came first."""
    kind = getattr(module, name)
    for method in [m for m in ("step", "reset", "step_wait", "reset_wait") if m in vars(kind)]:
        if method == "step" and "step_wait" in vars(kind):
            continue
        setattr(kind, method, shown(watch, vars(kind)[method], method.partition("_")[0]))


def see(watch: StateWatch, event: str, result: Any) -> None:
    """Adds observations, and rewards of a step, to what was seen."""
    values = result[:2] if event == "step" else result[:1] if isinstance(result, tuple) else result
    if watch.seen is None:
        watch.seen = {"first": event, "start": digest(values), "all": hashlib.sha256()}
    feed(watch.seen["all"], values, 0)


def guarded(look: Any, otherwise: Any) -> Any:
    """What a look at foreign objects gives; one that fails must not end the training."""
    try:
        return look()
    except Exception as error:  # noqa: BLE001 - objects of the program may raise anything
        not_hooked("what surrounds the optimizer step", error)
        return otherwise


def shown(watch: StateWatch, method: Any, event: str) -> Any:
    """The method, which also tells what it has returned: observations, and rewards of a step."""

    def watched(self: Any, *given: Any, **named: Any) -> Any:
        result = method(self, *given, **named)
        if os.getpid() == watch.owner:
            guarded(lambda: see(watch, event, result), None)
        return result

    return watched


def before_step(watch: StateWatch, optimizer: Any) -> None:
    """Writes down the state in which an optimizer step begins, and kills the process where that was asked for."""
    if os.getpid() != watch.owner or watch.steps >= MOST_STEPS:
        return
    watch.steps += 1
    held = [p for group in optimizer.param_groups for p in group["params"]]
    frame = sys._getframe(1)
    record = {
        "n": watch.steps,
        "optimizer": type(optimizer).__name__,
        "random": random_states(),
        "lr": [float(group.get("lr") or 0.0) for group in optimizer.param_groups],
        "weights": digest(held),
        "gradients": digest([p.grad for p in held]),
        "moments": digest([optimizer.state.get(p, {}) for p in held]),
        "has_moments": bool(optimizer.state),
        "batch": watch.batch,
        "environment": None if watch.seen is None else {**watch.seen, "all": watch.seen["all"].hexdigest()[:16]},
        **guarded(lambda: around(watch, frame), {}),
    }
    watch.batch = watch.seen = None
    with open(watch.path, "a", encoding="utf-8") as file:  # noqa: PTH123
        file.write(json.dumps(record) + "\n")
    if watch.steps == watch.kill_at:
        os.kill(os.getpid(), signal.SIGKILL)


def around(watch: StateWatch, frame: Any) -> dict[str, Any]:
    """What the callers of an optimizer step hold: running means, coefficients of the KL, reference models."""
    running: dict[str, Any] = {}
    kl: dict[str, float] = {}
    reference: dict[str, str] = {}
    for number, known in enumerate(watch.running, 1):
        mean = known()
        if mean is not None:
            running[f"{type(mean).__name__} {number}"] = running_mean(mean)
    hooked = {id(known()) for known in watch.running}
    for name, value in held_by(frame):
        coefficient = coefficient_of(value) if _KL.match(name) else None
        if coefficient is not None:
            kl.setdefault(name, coefficient)
        elif _MODEL.match(name) and callable(getattr(type(value), "parameters", None)) and name not in reference:
            reference[name] = digest(list(value.parameters()))
        elif id(value) not in hooked and (found := running_mean(value)) is not None:
            running.setdefault(name, found)
    return {"normalisers": running, "kl": kl, "reference": reference}


def held_by(frame: Any) -> Iterator[tuple[str, Any]]:
    """Variables of the functions that called, of the script, and attributes of `self`, the innermost first."""
    for _ in range(MOST_FRAMES):
        if frame is None:
            return
        if not str(frame.f_globals.get("__name__", "")).startswith("torch."):
            held = dict(frame.f_locals)
            yield from held.items()
            if isinstance(own := getattr(held.get("self"), "__dict__", None), dict):
                yield from list(own.items())
            if frame.f_globals.get("__name__") == "__main__":
                yield from list(frame.f_globals.items())
        frame = frame.f_back


def coefficient_of(value: Any) -> float | None:
    """The number of a coefficient, or of a controller that holds it; None for anything else."""
    own = getattr(value, "__dict__", None)
    if isinstance(own, dict) and not hasattr(value, "item"):
        value = next((own[name] for name in _COEFFICIENT if name in own), None)
    if hasattr(value, "item") and getattr(value, "size", 0) != 0 and getattr(value, "ndim", 1) == 0:
        value = value.item()
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def running_mean(value: Any) -> dict[str, Any] | None:
    """How many values a running mean has seen, and a digest of it; None for anything else."""
    own = getattr(value, "__dict__", None)
    if not isinstance(own, dict) or "mean" not in own or not any(name in own for name in _SPREAD):
        return None
    count = next((coefficient_of(own[name]) for name in _COUNT if name in own), None)
    return {"count": count, "digest": digest([own["mean"], *(own[name] for name in _SPREAD if name in own)])}


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
