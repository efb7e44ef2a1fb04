"""The tracking backend: what verl logs is recorded, and the rules look at it while it trains."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import wraps
from inspect import signature
from pathlib import Path
from types import ModuleType
from typing import Any

from rldk.adapters.formats.verl import phase_of
from rldk.core.model import Severity
from rldk.integrations.at_exit import close_at_exit
from rldk.integrations.guard import Guard
from rldk.integrations.identities.process import memory
from rldk.integrations.judge import TrainingOrigin
from rldk.integrations.recorder import Recorder, Recording, config_of
from rldk.integrations.thresholds import RuleChoice

BACKEND = "rldk"
ESTIMATORS = {"gae": "ppo", "grpo": "grpo", "grpo_passk": "grpo", "rloo": "rloo", "reinforce_plus_plus": "reinforce"}


class RLDKTracking:
    """A backend with the interface of those in `verl.utils.tracking`: `log(data, step)` and `finish()`.

    verl has no flag that ends a training: with `stop_on`, an alert of that severity raises `TrainingStopped` out of
    `log`, after the row is written. `alert_thresholds`, `judge_every`: as for the callbacks."""

    def __init__(
        self,
        project_name: str = "",
        experiment_name: str | None = None,
        config: Any = None,
        output_dir: str | os.PathLike[str] = "./rldk_logs",
        rules: RuleChoice = "default",
        *,
        run_id: str | None = None,
        alert_thresholds: Mapping[str, Any] | None = None,
        stop_on: Severity | None = None,
        judge_every: int | None = None,
        echo: bool = True,
        recorder: Recorder | None = None,
    ) -> None:
        recording = Recording(
            output_dir=Path(output_dir) / project_name if project_name else output_dir,
            run_id=run_id or experiment_name,
            rules=rules,
            thresholds=alert_thresholds or {},
            stop_on=stop_on,
            judge_every=judge_every,
            echo=echo,
        )
        recording.check()
        self.recorder = recorder or Recorder(recording, origin_of(config), rank=0)  # one process of verl logs
        close_at_exit(self.recorder, open_is_crash=False)

    def log(self, data: Mapping[str, Any], step: int) -> None:
        """Records one row."""
        self.recorder.guard.run("measuring memory", lambda: self.recorder.measure(memory()))
        self.recorder.log(data, step=step, phase=phase_of(data))
        self.recorder.raise_if_stopped()

    def finish(self, exit_code: int = 0) -> None:
        """Ends the recording, and writes the final report."""
        self.recorder.close("crashed" if exit_code else "finished")


def origin_of(config: Any) -> TrainingOrigin:
    """What a configuration of verl says before the first row."""
    plain = config_of(config) if config else {}
    estimator = str(_inner(plain, "algorithm").get("adv_estimator", "")).lower().rpartition(".")[2]
    steps = _inner(plain, "trainer").get("total_training_steps")
    return TrainingOrigin(
        framework="verl",
        algorithm=ESTIMATORS.get(estimator),
        dialect="verl",
        total_steps=steps if isinstance(steps, int) and steps > 0 else None,
        config=plain,
    )


def register(module: ModuleType) -> None:
    """Adds the backend to `verl.utils.tracking`: `trainer.logger=[console,rldk]`.

    `+trainer.rldk.output_dir=...`, `+trainer.rldk.stop_on=critical` and so on are its options."""
    kind = module.Tracking
    if BACKEND not in kind.supported_backend:
        kind.supported_backend.append(BACKEND)
        follow(kind, lambda wanted, given: _backend(given) if wanted else None)


def follow(kind: Any, make: Any) -> None:
    """Lets a class of trackers make the backend, and end it. `make(wanted, arguments)` returns the backend or None.

    Arguments that a later verl may add are passed on."""
    begin, end, guard = kind.__init__, kind.finish, Guard()
    form, last = signature(begin), signature(end)

    def attach(tracker: Any, *args: Any, **given: Any) -> None:
        said = form.bind(tracker, *args, **given).arguments
        chosen = said.get("default_backend", "console")
        wanted = BACKEND in ([chosen] if isinstance(chosen, str) else list(chosen))
        made = make(wanted, tuple(said.get(name) for name in ("project_name", "experiment_name", "config")))
        if made is not None:
            tracker.logger[BACKEND] = made

    @wraps(begin)
    def init(self: Any, *args: Any, **given: Any) -> None:
        begin(self, *args, **given)
        guard.run("making the backend", attach, self, *args, **given)

    @wraps(end)
    def finish(self: Any, *args: Any, **given: Any) -> None:
        backend = getattr(self, "logger", {}).get(BACKEND)
        end(self, *args, **given)
        if backend is not None:
            backend.finish(last.bind(self, *args, **given).arguments.get("exit_code", 0))

    kind.__init__, kind.finish = init, finish


def _backend(given: tuple[Any, Any, Any]) -> RLDKTracking:
    project, experiment, config = given
    trainer = config.get("trainer") if isinstance(config, Mapping) else None
    options = _inner(trainer, BACKEND) if isinstance(trainer, Mapping) else {}
    return RLDKTracking(str(project), str(experiment), config, **options)


def _inner(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = values.get(name)
    return dict(found) if isinstance(found, Mapping) else {}
