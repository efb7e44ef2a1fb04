"""One call of `learn()`, recorded. It knows the shape of an algorithm of Stable-Baselines3 and imports none."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from rldk.adapters.formats.sb3 import CLOCK, phase_of
from rldk.integrations.episodes import EpisodeMeasures
from rldk.integrations.identities.batch import advantages, array
from rldk.integrations.identities.cadence import Cadence
from rldk.integrations.identities.meter import Meter
from rldk.integrations.identities.process import memory, rng_digest
from rldk.integrations.judge import Judge, TrainingOrigin
from rldk.integrations.recorder import Recorder, Recording, config_of
from rldk.integrations.sb3.first_minibatch import FirstMinibatch

# the class of an algorithm, of this package and of sb3-contrib -> the algorithm
ALGORITHMS = {
    "PPO": "ppo",
    "MaskablePPO": "ppo",
    "RecurrentPPO": "ppo",
    "TRPO": "trpo",
    "A2C": "a2c",
    "DQN": "dqn",
    "QRDQN": "dqn",
    "SAC": "sac",
    "TD3": "td3",
    "DDPG": "ddpg",
}
SETTINGS = (
    "n_steps", "batch_size", "n_epochs", "gamma", "gae_lambda", "ent_coef", "vf_coef", "max_grad_norm", "target_kl",
    "normalize_advantage", "use_sde", "buffer_size", "learning_starts", "tau", "gradient_steps", "policy_delay",
    "target_update_interval", "exploration_fraction", "exploration_initial_eps", "exploration_final_eps", "n_envs",
    "seed", "learning_rate", "clip_range",
)  # fmt: skip
DEFAULT_INTERVAL = 100  # optimizer steps between two looks at the weights; a rollout of PPO has hundreds


class LearnRecording:
    """The recording of one call of `learn()`.

    `interval`: the weights are measured on the first five optimizer steps and on every so-many-th after them."""

    def __init__(
        self,
        recording: Recording,
        model: Any,
        *,
        interval: int = DEFAULT_INTERVAL,
        field_map: Mapping[str, str] | None = None,
        judge: Judge | None = None,
    ) -> None:
        self.recorder = Recorder(recording, origin_of(model, field_map), judge=judge)
        self.guard = self.recorder.guard
        self.meter = Meter(self.recorder, cadence=Cadence(every=interval))
        self._model = model
        self._episodes = EpisodeMeasures(getattr(model, "action_space", None))
        self._first: FirstMinibatch | None = None
        self._said_broken = False
        watched = self.guard.run("finding the optimizer", trained_part, model)
        if watched is not None:
            self.meter.watch(*watched)

    def step(self, given: Mapping[str, Any], num_timesteps: int) -> bool:
        """One step of the environments, with the local variables of the trainer. Returns whether to go on."""
        self.guard.run("looking at a step", self._step, given, num_timesteps)
        return not self.recorder.stop_requested

    def rollout_end(self) -> None:
        """A rollout is complete, and an update comes next."""
        self.guard.run("looking at a rollout", self._rollout_end)

    def row(self, values: Mapping[str, Any], step: int) -> None:
        """One dump of the trainer's logger."""
        self.guard.run("measuring a row", self._measure)
        named = {name: value for name, value in values.items() if name != CLOCK}
        self.recorder.log(named, step=step, phase=phase_of(named))

    def end(self, left: Mapping[str, Any], num_timesteps: int) -> None:
        """`learn()` has ended. `left`: what the logger holds of the last update, which the trainer never dumps."""
        last = {name: value for name, value in left.items() if name.startswith("train/")}
        if last:
            self.row(last, num_timesteps)
        self._forget_first()
        self.meter.detach()
        self.recorder.close()

    def _step(self, given: Mapping[str, Any], num_timesteps: int) -> None:
        acted = given.get("clipped_actions", given.get("actions"))
        self._episodes.step(acted, given.get("rewards"), given.get("new_obs"))
        dones = given.get("dones")
        if dones is not None and dones.any():
            for done, info in zip(dones, given.get("infos", ()), strict=False):
                said = info.get("episode")
                if done and said:
                    cut = bool(info.get("TimeLimit.truncated", False))
                    self._episodes.episode(said["r"], said["l"], truncated=cut)
        if self._episodes.broken and not self._said_broken:  # at once: the next forward pass may raise
            self._said_broken = True
            self._measure()
            self.recorder.log({}, step=num_timesteps)

    def _measure(self) -> None:
        own = self._episodes.take()
        # Stable-Baselines3 logs its means itself, and only with a Monitor around the environment
        own = {name: value for name, value in own.items() if name not in ("reward_mean", "response_length_mean")}
        self.recorder.measure({**own, **memory()})
        self.recorder.attach(rng={"digest": rng_digest()})

    def _rollout_end(self) -> None:
        buffer, policy = getattr(self._model, "rollout_buffer", None), getattr(self._model, "policy", None)
        if buffer is None or policy is None:
            return
        raw = array(buffer.advantages).ravel()
        self.recorder.measure({"rollout/advantage_raw_mean": raw.mean(), "rollout/advantage_raw_std": raw.std()})
        self._forget_first()
        self.meter.rollout()
        self._first = FirstMinibatch(buffer, policy, self._seen)

    def _seen(self, batch: Any, log_prob: Any) -> None:
        self.guard.run("measuring a mini-batch", self._minibatch, batch, log_prob)

    def _minibatch(self, batch: Any, log_prob: Any) -> None:
        if getattr(self._model, "clip_range", None) is not None:  # A2C takes one step on each rollout, with no ratio
            self.meter.minibatch(log_prob, batch.old_log_prob, mask=getattr(batch, "mask", None))
        values = array(batch.advantages).ravel()
        if getattr(self._model, "normalize_advantage", False) and values.size > 1:
            values = (values - values.mean()) / (values.std(ddof=1) + 1e-8)  # as PPO.train and A2C.train do it
        self.recorder.measure(advantages(values))

    def _forget_first(self) -> None:
        if self._first is not None:
            self._first.remove()
            self._first = None


def trained_part(model: Any) -> tuple[Any, Any] | None:
    """The network that one optimizer of the algorithm trains, and that optimizer: of an actor and a critic, the actor.
    The target networks of DQN are no part of it. None where there is no torch optimizer."""
    for owner, network in (
        (getattr(model, "actor", None), getattr(model, "actor", None)),
        (getattr(model, "policy", None), getattr(model, "q_net", None) or getattr(model, "quantile_net", None)),
        (getattr(model, "policy", None), getattr(model, "policy", None)),
    ):
        optimizer = getattr(owner, "optimizer", None)
        if optimizer is not None and network is not None:
            return network, optimizer
    return None


def origin_of(model: Any, field_map: Mapping[str, str] | None = None) -> TrainingOrigin:
    """What an algorithm says about itself before its first row."""
    names = [kind.__name__ for kind in type(model).__mro__]
    steps = getattr(model, "_total_timesteps", 0)
    return TrainingOrigin(
        framework="stable_baselines3",
        algorithm=next((ALGORITHMS[name] for name in names if name in ALGORITHMS), None),
        dialect="sb3",
        total_steps=int(steps) if isinstance(steps, int) and steps > 0 else None,
        config=settings_of(model),
        field_map=field_map,
    )


def settings_of(model: Any) -> dict[str, Any]:
    """The hyper-parameters of an algorithm. A schedule is given by its value at the start."""
    found: dict[str, Any] = {}
    for name in SETTINGS:
        value = getattr(model, name, None)
        if callable(value):
            with suppress(Exception):  # a schedule of the user's
                value = float(value(1.0))
        if isinstance(value, str | int | float):
            found[name] = value
    return config_of(found)
