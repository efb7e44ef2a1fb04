"""The hooks of `rldk run --hooks`: what is attached to a module of a trainer when it has just been loaded.

Each hook changes one function of the module, and does nothing that a script could see: its results, its random draws
and its output stay the same. What fails in it is reported once, and the script goes on."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from types import ModuleType
from typing import Any
from weakref import WeakKeyDictionary

from rldk.integrations.environments import ORIGIN
from rldk.integrations.hooked import SAMPLES, HookedProcess
from rldk.integrations.recorder import Recorder, Recording
from rldk.integrations.watched_steps import WatchedSteps

Hook = Callable[[ModuleType, HookedProcess], str]
EPISODES = 10  # in a row
VARIABLE = "RLDK_HOOKS_SAMPLES"
HOOKS: dict[str, Hook] = {}
_processes: dict[tuple[int, str], HookedProcess] = {}


def attach(name: str, module: ModuleType, folder: str) -> str:
    """Hooks a module that has just been loaded. Returns what was hooked, in a few words."""
    key = (os.getpid(), folder)
    process = _processes.get(key) or _processes.setdefault(key, HookedProcess(Path(folder), samples=_samples()))
    return HOOKS[name](module, process)


def _samples() -> int:
    """How many per-sample records of a step are written, as the user of `rldk run` said."""
    said = os.environ.get(VARIABLE, "")
    return int(said) if said.isdecimal() and len(said) < 10 else SAMPLES


def _hooks(*names: str) -> Callable[[Hook], Hook]:
    def decorate(hook: Hook) -> Hook:
        HOOKS.update(dict.fromkeys(names, hook))
        return hook

    return decorate


def _after(owner: Any, name: str, process: HookedProcess, action: Callable[..., Any]) -> None:
    """Lets `action(result, *args, **kwargs)` follow a function. What it returns, unless None, is the new result."""
    original = getattr(owner, name)

    @wraps(original)
    def hooked(*args: Any, **given: Any) -> Any:
        result = original(*args, **given)
        other = process.guard.run(f"hooking {name}", action, result, *args, **given)
        return result if other is None else other

    setattr(owner, name, hooked)


@_hooks("transformers.trainer_callback")
def hook_transformers(module: ModuleType, process: HookedProcess) -> str:
    """Every trainer of transformers and TRL makes a handler of callbacks: ours is added to them."""
    from rldk.integrations.trl.hooks import TrainerHooks
    from rldk.integrations.trl.share import share_of
    from rldk.integrations.trl.trainers import origin_of, rank_of

    class HookedTrainer(TrainerHooks, module.TrainerCallback):  # type: ignore[misc, name-defined]
        """The callback that is added."""

        def on_train_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
            """Claims the recording of the run, and begins it."""
            if not process.may_lead("trainer"):
                return
            origin = origin_of(args, state)
            self.recording, judge = process.claim("trainer", origin, rank_of(args))
            share = share_of(args)
            share.judge = share.judge or judge
            super().on_train_begin(args, state, control, **given)

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **given: Any) -> None:
            """Records a row of a training that has begun."""
            if self.recorder is not None:
                super().on_log(args, state, control, logs, **given)

    def add(_made: None, handler: Any, *_: Any, **__: Any) -> None:
        if not any(isinstance(callback, TrainerHooks) for callback in handler.callbacks):
            handler.callbacks.append(HookedTrainer(Recording(rules=(), echo=False)))

    _after(module.CallbackHandler, "__init__", process, add)
    return "the callbacks of transformers (and of TRL)"


@_hooks("stable_baselines3.common.base_class")
def hook_sb3(module: ModuleType, process: HookedProcess) -> str:
    """Every `learn()` makes a callback of what it is given: ours joins it."""

    def join(made: Any, model: Any, *_: Any, **__: Any) -> Any:
        from stable_baselines3.common.callbacks import CallbackList

        from rldk.integrations.sb3.callback import RLDKCallback
        from rldk.integrations.sb3.learning import origin_of

        if not process.may_lead("trainer") or _has(made, RLDKCallback):
            return None
        origin = origin_of(model)
        ours = RLDKCallback(rules=(), echo=False)
        ours.recording, ours.judge = process.claim("trainer", origin)
        ours.init_callback(model)
        both = CallbackList([made, ours])
        both.model = model
        return both

    _after(module.BaseAlgorithm, "_init_callback", process, join)
    return "learn() of Stable-Baselines3"


@_hooks("torch.utils.tensorboard.writer", "tensorboardX.writer")
def hook_writer(module: ModuleType, process: HookedProcess) -> str:
    """Scripts without callbacks log to a writer: it is tapped."""
    from rldk.integrations.tensorboard import SummaryTap, script_origin

    class HookedTap(SummaryTap):
        """The tap, which begins to record where nothing that knows more does."""

        def begin(self, config: Mapping[str, Any], number: int) -> Recorder | None:
            """The recorder of a writer's rows."""
            return process.begin("writer", script_origin(config))

    HookedTap(Recording(rules=(), echo=False)).attach(module.SummaryWriter)
    return f"SummaryWriter of {module.__name__.removesuffix('.writer')}"


@_hooks("gymnasium.envs.registration")
def hook_gymnasium(module: ModuleType, process: HookedProcess) -> str:
    """The steps of the environments that a script makes are looked at."""

    def watch(env: Any, *_: Any, **__: Any) -> None:
        from rldk.integrations.gymnasium import recording_of

        steps.watch(env, recording_of(env, lambda: process.begin("environment", ORIGIN), EPISODES))

    steps = WatchedSteps(lambda: process.may_lead("environment"))
    for name in ("make", "make_vec"):
        if hasattr(module, name):
            _after(module, name, process, watch)
    return "make() of gymnasium"


@_hooks("verl.utils.tracking")
def hook_verl(module: ModuleType, process: HookedProcess) -> str:
    """verl logs to the backends of one tracker: ours joins them."""
    from rldk.integrations.verl.tracking import RLDKTracking, follow, origin_of

    def make(wanted: bool, given: tuple[Any, Any, Any]) -> RLDKTracking | None:
        recorder = None if wanted else process.begin("trainer", origin_of(given[2]))
        return RLDKTracking(recorder=recorder) if recorder is not None else None

    follow(module.Tracking, make)
    return "Tracking of verl"


@_hooks("openrlhf.trainer.ppo_trainer")
def hook_openrlhf(module: ModuleType, process: HookedProcess) -> str:
    """OpenRLHF logs to the loggers of its trainer: ours stands beside them."""
    from rldk.integrations.openrlhf.monitor import OpenRLHFMonitor, attach_to_trainers, origin_of

    def make(args: Any) -> OpenRLHFMonitor | None:
        recorder = process.begin("trainer", origin_of(args))
        return OpenRLHFMonitor(recorder=recorder) if recorder is not None else None

    attach_to_trainers(module.BasePPOTrainer, make)
    return "the loggers of OpenRLHF"


@_hooks("ray.rllib.algorithms.algorithm")
def hook_rllib(module: ModuleType, process: HookedProcess) -> str:
    """Every iteration of an algorithm ends with its result."""
    from rldk.integrations.rllib.results import ResultRecording, origin_of

    known: WeakKeyDictionary[Any, ResultRecording] = WeakKeyDictionary()

    def setup(_made: None, algorithm: Any, *_: Any, **__: Any) -> None:
        if process.may_lead("trainer"):
            recording, judge = process.claim("trainer", origin_of(algorithm))
            known[algorithm] = ResultRecording(recording, algorithm, judge=judge)

    def stepped(result: Any, algorithm: Any, *_: Any, **__: Any) -> None:
        if algorithm in known:
            known[algorithm].result({"training_iteration": algorithm.iteration + 1, **result})

    _after(module.Algorithm, "setup", process, setup)
    _after(module.Algorithm, "step", process, stepped)
    return "Algorithm of RLlib"


def _has(callback: Any, kind: type) -> bool:
    inner = [*getattr(callback, "callbacks", ()), *filter(None, [getattr(callback, "callback", None)])]
    return isinstance(callback, kind) or any(_has(one, kind) for one in inner)
