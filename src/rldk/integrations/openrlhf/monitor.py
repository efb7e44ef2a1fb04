"""The monitor at the logger seam of OpenRLHF: it has the interface of its `WandbLogger` and `TensorboardLogger`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import wraps
from typing import Any

from rldk.adapters.formats.openrlhf import identity
from rldk.core.model import Severity
from rldk.integrations.at_exit import close_at_exit
from rldk.integrations.guard import Guard
from rldk.integrations.identities.process import memory
from rldk.integrations.judge import TrainingOrigin, numbers
from rldk.integrations.openrlhf.counters import MachineCounters
from rldk.integrations.openrlhf.nodes import NodeRows
from rldk.integrations.recorder import Recorder, Recording, config_of
from rldk.integrations.thresholds import RuleChoice

SAMPLES = "generated_samples"


class OpenRLHFMonitor:
    """Records what OpenRLHF logs, with the counters of the machine, and lets the rules look at it.

    Its `log_train`, `log_eval` and `close` are those that OpenRLHF calls on its loggers. `rank`: several processes with
    one `run_id` and a shared `output_dir` each write a file, and rank 0 merges them: means, maxima, stragglers.
    `missing`: what this machine has no counter for. With `stop_on`, an alert of that severity raises `TrainingStopped`
    out of `log_train`, after the row is written: OpenRLHF has no flag that ends a training. `judge_every`: as for the
    callback of TRL."""

    def __init__(
        self,
        args: Any = None,
        output_dir: str | os.PathLike[str] = "./rldk_logs",
        run_id: str | None = None,
        rules: RuleChoice = "default",
        *,
        rank: int | None = None,
        samples: int = 0,
        alert_thresholds: Mapping[str, Any] | None = None,
        stop_on: Severity | None = None,
        counters: MachineCounters | None = None,
        judge_every: int | None = None,
        echo: bool = True,
        recorder: Recorder | None = None,
    ) -> None:
        recording = Recording(
            output_dir=output_dir,
            run_id=run_id,
            rules=rules,
            thresholds=alert_thresholds or {},
            samples=samples,
            stop_on=stop_on,
            judge_every=judge_every,
            echo=echo,
        )
        recording.check()
        self.recorder = recorder or Recorder(recording, origin_of(args), rank=rank)
        self._counters = counters or MachineCounters()
        self._nodes = NodeRows(self.recorder.files.folder, self.recorder.run_id) if self.recorder.rank == 0 else None
        close_at_exit(self.recorder, open_is_crash=False)

    @property
    def missing(self) -> dict[str, str]:
        return dict(self._counters.missing)

    def log_train(self, global_step: int, logs_dict: Mapping[str, Any]) -> None:
        """Records one row, and one sample where OpenRLHF gives one."""
        guard = self.recorder.guard
        guard.run("recording a sample", self._sample, global_step, logs_dict.get(SAMPLES))
        logs = {name: value for name, value in logs_dict.items() if name != SAMPLES}
        guard.run("measuring the machine", self._measure, global_step, logs)
        self.recorder.log(logs, step=global_step)
        self.recorder.raise_if_stopped()

    def log_eval(self, global_step: int, logs_dict: Mapping[str, Any]) -> None:
        """Records one row of an evaluation."""
        named = {name if name.startswith("eval_") else f"eval_{name}": value for name, value in logs_dict.items()}
        self.recorder.log(named, step=global_step, phase="eval")

    def close(self) -> None:
        """Ends the recording, and writes the final report."""
        self.recorder.close()

    def beside(self, logger: Any = None) -> LoggerPair:
        """A logger that serves `logger`, which may be None, and this monitor."""
        return LoggerPair(logger, self)

    def attach(self, trainer: Any) -> None:
        """Puts the monitor beside the logger of a trainer."""
        trainer.wandb_logger = self.beside(getattr(trainer, "wandb_logger", None))

    def _sample(self, step: int, sample: Any) -> None:
        if sample:
            text, reward = sample
            self.recorder.log_samples([{"response": text, "reward": reward}], step=step)

    def _measure(self, step: int, logs: Mapping[str, Any]) -> None:
        own = {**memory(), **self._counters.read()}
        self.recorder.measure(own)
        if self._nodes is not None:
            self._nodes.poll()
            named = numbers(logs)
            pace = {"step_time": named["timing/step_total"]} if "timing/step_total" in named else {}
            self.recorder.measure(self._nodes.merged(step, {**own, **named, **pace}))


class LoggerPair:
    """Two loggers in the place of one. What the first raises is raised, as without the second."""

    def __init__(self, first: Any, second: OpenRLHFMonitor) -> None:
        self._first = first
        self._second = second

    def log_train(self, global_step: int, logs_dict: Mapping[str, Any]) -> None:
        """Passes a row on to both."""
        if self._first is not None:
            self._first.log_train(global_step, logs_dict)
        self._second.log_train(global_step, logs_dict)

    def log_eval(self, global_step: int, logs_dict: Mapping[str, Any]) -> None:
        """Passes a row of an evaluation on to both."""
        if self._first is not None:
            self._first.log_eval(global_step, logs_dict)
        self._second.log_eval(global_step, logs_dict)

    def close(self) -> None:
        """Closes both."""
        if self._first is not None:
            self._first.close()
        self._second.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._first, name)


def origin_of(args: Any) -> TrainingOrigin:
    """What the arguments say. OpenRLHF groups them since 0.10: `algo.advantage.estimator`, before in one list."""
    algo = getattr(args, "algo", None)
    said = getattr(getattr(algo, "advantage", None), "estimator", None) or getattr(args, "advantage_estimator", None)
    names = {"gae": "ppo", "group_norm": "grpo", "dr_grpo": "grpo", "rloo": "rloo", "reinforce": "reinforce"}
    return TrainingOrigin(
        framework=str(identity(())["framework"]),
        algorithm=names.get(str(said)),
        dialect=str(identity(())["dialect"]),
        config=config_of(_settings(args)) if hasattr(args, "__dict__") else {},
    )


def _settings(args: Any, depth: int = 0) -> dict[str, Any]:
    """The arguments, whose groups are objects, as dictionaries. The key of W&B is called `key`, and is left out."""
    named = {name: value for name, value in vars(args).items() if name != "key"}
    return {
        name: _settings(value, depth + 1) if hasattr(value, "__dict__") and depth < 4 else value
        for name, value in named.items()
    }


def attach_to_trainers(kind: Any, make: Any) -> None:
    """Lets every trainer of a class get a monitor when it is made. `make(args)` returns the monitor, or None."""
    begin, guard = kind.__init__, Guard()

    def attach(trainer: Any) -> None:
        monitor = make(getattr(trainer, "args", None))
        if monitor is not None:
            monitor.attach(trainer)

    @wraps(begin)
    def init(self: Any, *args: Any, **given: Any) -> None:
        begin(self, *args, **given)
        guard.run("attaching the monitor", attach, self)

    kind.__init__ = init
