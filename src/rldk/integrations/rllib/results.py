"""The results of the iterations of one algorithm, recorded. It knows the shape of RLlib's objects and imports none."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

from rldk.adapters.formats.rllib import CLOCK, is_metric
from rldk.integrations.identities.cadence import Cadence
from rldk.integrations.identities.meter import Meter
from rldk.integrations.identities.process import memory
from rldk.integrations.judge import Judge, TrainingOrigin, numbers
from rldk.integrations.recorder import Recorder, Recording, config_of

ALGORITHMS = {"PPO": "ppo", "APPO": "ppo", "SAC": "sac", "DQN": "dqn"}
MODULE = "default_policy"
STATIC = ("config", "hist_stats", "sampler_results", "timers", "connector_metrics")  # groups that are no metrics
DEFAULT_INTERVAL = 100


class ResultRecording:
    """Records each result. `algorithm`: what is watched where it is in this process: its learner and its sampler."""

    def __init__(
        self,
        recording: Recording,
        algorithm: Any,
        *,
        interval: int = DEFAULT_INTERVAL,
        field_map: Mapping[str, str] | None = None,
        judge: Judge | None = None,
    ) -> None:
        self.recorder = Recorder(recording, origin_of(algorithm, field_map), judge=judge)
        self.guard = self.recorder.guard
        self.meter = Meter(self.recorder, cadence=Cadence(every=interval))
        found = self.guard.run("finding the learner", learner_of, algorithm) if interval > 0 else None
        if found is not None:
            module, optimizer, sampler = found
            self.meter.watch(module, optimizer, sampler=sampler)

    def result(self, result: MutableMapping[str, Any]) -> None:
        """One iteration. When a stop was asked for, the result says that it is the last: that ends a trial of Tune."""
        self.guard.run("measuring an iteration", self._measure)
        kept = {name: value for name, value in result.items() if name not in STATIC}
        row = {name: value for name, value in numbers(kept).items() if is_metric(name) and name != CLOCK}
        self.recorder.log(row, step=int(result.get(CLOCK, self.recorder.rows + 1)))
        if self.recorder.stop_requested:
            result["done"] = True

    def close(self, status: str = "finished", error: BaseException | None = None) -> None:
        """Ends the recording, and writes the final report."""
        self.meter.detach()
        self.recorder.close(status, error)

    def _measure(self) -> None:
        self.meter.synced()
        self.recorder.measure(memory())


def learner_of(algorithm: Any) -> tuple[Any, Any, Any] | None:
    """The network that is trained, its optimizer and the network of the sampler, of an algorithm whose learner is in
    this process. None for a remote one, and for several networks. The sampler is None where it is remote."""
    learner = getattr(getattr(algorithm, "learner_group", None), "_learner", None)
    if learner is None or MODULE not in learner.module:
        return None
    optimizers = [optimizer for _, optimizer in learner.get_optimizers_for_module(MODULE)]
    if len(optimizers) != 1:
        return None
    local = getattr(algorithm.config, "num_env_runners", 1) == 0
    runner = getattr(algorithm, "env_runner", None) if local else None
    return learner.module[MODULE], optimizers[0], getattr(runner, "module", None)


def origin_of(algorithm: Any, field_map: Mapping[str, str] | None = None) -> TrainingOrigin:
    """What an algorithm says about itself before its first result."""
    names = [kind.__name__ for kind in type(algorithm).__mro__]
    config = getattr(algorithm, "config", None)
    plain = {} if config is None else config.to_dict()
    kept = {name: value for name, value in plain.items() if isinstance(value, str | int | float | bool)}
    return TrainingOrigin(
        framework="rllib",
        algorithm=next((ALGORITHMS[name] for name in names if name in ALGORITHMS), None),
        dialect="rllib",
        config=config_of(kept),
        field_map=field_map,
    )
