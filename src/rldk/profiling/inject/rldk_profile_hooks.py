"""Which functions of which trainer belong to which phase, and what is counted there. Standard library only, until a
trainer is loaded."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

from rldk_profile_clock import PhaseClock  # type: ignore[import-not-found]  # beside this file

ROLLOUT, REWARD, TRAIN, SYNC, ENVIRONMENT = "rollout", "reward", "train", "sync", "environment"
DATA, EVALUATION, CHECKPOINT = "data", "evaluation", "checkpoint"
_GENERATES = ("_generate", "_generate_and_score_completions")
# module -> (class, function, phase)
PHASES: dict[str, tuple[tuple[str, str, str], ...]] = {
    "transformers.trainer": (
        ("Trainer", "training_step", TRAIN),
        ("Trainer", "get_batch_samples", DATA),
        ("Trainer", "evaluate", EVALUATION),
        ("Trainer", "_save_checkpoint", CHECKPOINT),
    ),
    "trl.trainer.grpo_trainer": (
        *(("GRPOTrainer", name, ROLLOUT) for name in _GENERATES),
        ("GRPOTrainer", "_calculate_rewards", REWARD),
        ("GRPOTrainer", "_move_model_to_vllm", SYNC),
    ),
    "trl.trainer.rloo_trainer": (
        *(("RLOOTrainer", name, ROLLOUT) for name in _GENERATES),
        ("RLOOTrainer", "_calculate_rewards", REWARD),
        ("RLOOTrainer", "_move_model_to_vllm", SYNC),
    ),
    "trl.generation.vllm_generation": (
        ("VLLMGeneration", "sync_weights", SYNC),
        ("VLLMGeneration", "generate", ROLLOUT),
    ),
    "stable_baselines3.common.on_policy_algorithm": (("OnPolicyAlgorithm", "collect_rollouts", ROLLOUT),),
    "stable_baselines3.common.off_policy_algorithm": (("OffPolicyAlgorithm", "collect_rollouts", ROLLOUT),),
}
# RLlib times its phases with a timer of its own; the names of timers -> phase
RLLIB = {
    "env_runner_sampling_timer": ROLLOUT,
    "offline_sampling_timer": DATA,
    "replay_buffer_sampling_timer": DATA,
    "replay_buffer_add_data_timer": DATA,
    "learner_update_timer": TRAIN,
    "target_net_update": TRAIN,
    "synch_weights": SYNC,
    "evaluation_iteration": EVALUATION,
}
SB3 = {name: name.upper() for name in ("ppo", "a2c", "dqn", "sac", "td3")}  # module -> class


class PhaseTimer:
    """A timer of a trainer, within which the time is charged to a phase."""

    def __init__(self, clock: PhaseClock, phase: str, timer: Any) -> None:
        self._clock, self._phase, self._timer = clock, phase, timer

    def __enter__(self) -> Any:
        self._clock.enter(self._phase)
        return self._timer.__enter__()

    def __exit__(self, *how: Any) -> Any:
        try:
            return self._timer.__exit__(*how)
        finally:
            self._clock.leave()


class Hooks:
    """Puts the clock around the functions of trainers, and takes it away again."""

    def __init__(self, clock: PhaseClock) -> None:
        self._clock = clock
        self._undo: list[Callable[[], object]] = []
        self.hooked: list[str] = []
        self._optimizer: int | None = None
        self.by_module: dict[str, Callable[[ModuleType], object]] = {
            **dict.fromkeys(PHASES, self._phases),
            **{f"stable_baselines3.{name}.{name}": self._sb3 for name in SB3},
            "ray.rllib.utils.metrics.metrics_logger": self._rllib_timers,
            "ray.rllib.algorithms.algorithm": self._rllib_steps,
            "transformers.trainer_callback": self._trainer_steps,
            "transformers.generation.utils": self._generation,
            "stable_baselines3.common.vec_env.base_vec_env": self._vector_steps,
            "gymnasium.envs.registration": self._environments,
            "torch.optim.optimizer": self._optimizers,
            "torch": self._backward,
        }

    def remove(self) -> None:
        """Everything is as before."""
        while self._undo:
            self._undo.pop()()

    def _put(self, owner: Any, name: str, made: Any) -> None:
        before = vars(owner)[name]
        setattr(owner, name, made)
        self._undo.append(lambda: setattr(owner, name, before))
        self.hooked.append(f"{getattr(owner, '__name__', owner)}.{name}")

    def _wrap(self, owner: Any, name: str, phase: str, after: Callable[..., object] | None = None) -> None:
        """Times a function that the owner itself has."""
        if owner is not None and callable(vars(owner).get(name)):
            self._put(owner, name, self._clock.timed(vars(owner)[name], phase, after))

    def _phases(self, module: ModuleType) -> None:
        after = self._seen_sb3 if module.__name__.startswith("stable_baselines3") else None
        for kind, name, phase in PHASES[module.__name__]:
            self._wrap(getattr(module, kind, None), name, phase, after)

    def _seen_sb3(self, *_: Any, **__: Any) -> None:
        self._clock.owner = "stable-baselines3"

    def _after(self, owner: Any, name: str, call: Callable[[], object]) -> None:
        """Calls something after each call of a function in the timed thread."""
        function = vars(owner).get(name) if owner is not None else None
        if not callable(function):
            return

        @wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            if self._clock.own:
                call()
            return result

        self._put(owner, name, called)

    def _seen_trainer(self) -> None:
        self._clock.owner = "transformers"

    def _trainer_steps(self, module: ModuleType) -> None:
        handler = getattr(module, "CallbackHandler", None)
        self._after(handler, "on_train_begin", self._seen_trainer)
        self._after(handler, "on_step_end", self._clock.step)

    def _rllib_timers(self, module: ModuleType) -> None:
        """Charges what runs within a timer of RLlib to its phase."""
        kind = getattr(module, "MetricsLogger", None)
        own = vars(kind).get("log_time") if kind is not None else None
        if not callable(own):
            return
        clock = self._clock

        @wraps(own)
        def log_time(logger: Any, key: Any, *args: Any, **kwargs: Any) -> Any:
            timer = own(logger, key, *args, **kwargs)
            phase = RLLIB.get(key if isinstance(key, str) else key[-1])
            return timer if phase is None or not clock.own else PhaseTimer(clock, phase, timer)

        self._put(kind, "log_time", log_time)

    def _rllib_steps(self, module: ModuleType) -> None:
        kind = getattr(module, "Algorithm", None)
        own = vars(kind).get("step") if kind is not None else None
        if not callable(own):
            return
        clock = self._clock

        @wraps(own)
        def step(algorithm: Any) -> Any:
            if not clock.own:
                return own(algorithm)
            clock.owner = "rllib"  # before the optimizers of the first step make steps of their own
            result = own(algorithm)
            clock.step()
            return result

        self._put(kind, "step", step)

    def _sb3(self, module: ModuleType) -> None:
        kind = getattr(module, SB3[module.__name__.rpartition(".")[2]], None)
        self._wrap(kind, "train", TRAIN, self._seen_sb3)
        self._after(kind, "train", self._clock.step)

    def _vector_steps(self, module: ModuleType) -> None:
        def stepped(_: object, envs: Any, *__: Any, **___: Any) -> None:
            self._clock.count("environment_steps", int(envs.num_envs))

        self._wrap(getattr(module, "VecEnv", None), "step", ENVIRONMENT, stepped)

    def _environments(self, module: ModuleType) -> None:
        """Times the steps of each environment that `gymnasium.make` returns."""
        make = vars(module).get("make")
        if not callable(make):
            return
        clock = self._clock

        @wraps(make)
        def made(*args: Any, **kwargs: Any) -> Any:
            env = make(*args, **kwargs)

            def stepped(*_: Any, **__: Any) -> None:
                clock.count("environment_steps", 1)

            inner, timed = env.step, clock.timed(env.step, ENVIRONMENT, stepped)

            def step(action: Any) -> Any:
                # within the step of a vector of environments, which counts for itself
                return inner(action) if clock.inside(ENVIRONMENT) else timed(action)

            env.step = step
            return env

        for owner in (module, sys.modules.get("gymnasium")):
            if owner is not None and vars(owner).get("make") is make:
                self._put(owner, "make", made)

    def _generation(self, module: ModuleType) -> None:
        def generated(result: Any, model: Any, *args: Any, **kwargs: Any) -> None:
            try:
                given = kwargs.get("inputs", kwargs.get("input_ids", args[0] if args else None))
                whole = getattr(result, "sequences", result)
                new = whole[:, given.shape[1] :] if given is not None and given.dim() == 2 else whole
                padding = getattr(model.generation_config, "pad_token_id", None)
                config = kwargs.get("generation_config")
                padding = getattr(config, "pad_token_id", None) if config is not None else padding
                self._clock.count("tokens", int(new.numel() if padding is None else (new != padding).sum()))
            except (AttributeError, IndexError, TypeError, RuntimeError):  # another kind of input: not counted
                return

        self._wrap(getattr(module, "GenerationMixin", None), "generate", ROLLOUT, generated)

    def _backward(self, module: ModuleType) -> None:
        self._wrap(getattr(module, "Tensor", None), "backward", TRAIN)

    def _optimizers(self, module: ModuleType) -> None:
        """Times every optimizer, and takes the steps of the first one for those of a training without a trainer."""
        before = getattr(module, "register_optimizer_step_pre_hook", None)
        after = getattr(module, "register_optimizer_step_post_hook", None)
        if before is None or after is None:
            return
        clock = self._clock

        def begins(*_: Any) -> None:
            if clock.own:
                clock.enter(TRAIN)

        def ends(optimizer: Any, *_: Any) -> None:
            if not clock.own:
                return
            clock.leave()
            self._optimizer = self._optimizer or id(optimizer)
            if not clock.owner and self._optimizer == id(optimizer):
                clock.step()

        self._undo += [before(begins).remove, after(ends).remove]
        self.hooked.append("torch.optim")
