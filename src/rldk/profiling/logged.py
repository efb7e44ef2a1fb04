"""What a trainer itself logs about the time of its phases, where no hook sees all of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from rldk.engine.replicas.reading import read_metrics

# framework -> the key of the whole step, and keys of its parts -> phase. A part that lies within another is left out,
# such as verl's generate_sequences, which is within gen.
# Sources: verl 0.9.1, trainer/ppo/ray_trainer.py and trainer/ppo/v1/trainer_base.py; OpenRLHF 0.11.2,
# trainer/ppo_trainer.py.
LOGGED: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "verl": (
        "timing_s/step",
        {
            "timing_s/gen": "rollout",
            "timing_s/reward": "reward",
            "timing_s/old_log_prob": "log-probs",
            "timing_s/ref": "log-probs",
            "timing_s/values": "log-probs",
            "timing_s/adv": "train",
            "timing_s/update_critic": "train",
            "timing_s/update_actor": "train",
            "timing_s/update_weights": "sync",
            "timing_s/testing": "evaluation",
            "timing_s/save_checkpoint": "checkpoint",
        },
    ),
    "openrlhf": (
        "timing/step_total",
        {
            "timing/generation": "rollout",
            "timing/make_experience": "experience",
            "timing/ppo_train": "train",
            "timing/broadcast": "sync",
        },
    ),
}
WARM = 5  # steps from which on the first is left out, as where hooks time them


class LoggedTimes(Struct, frozen=True, kw_only=True):
    """`framework`: whose log it is, "" where no known trainer logs times. `steps`: how many it has logged. `seconds`:
    of each step that counts. `phases`: their sums; `other` is the part of the steps that has no name in the log."""

    framework: str = ""
    steps: int = 0
    seconds: list[float] = field(default_factory=list)
    phases: dict[str, float] = field(default_factory=dict)

    @property
    def overlap(self) -> float:
        """The sum of the phases in parts of the steps: above 1 where some of them run at the same time."""
        return sum(self.phases.values()) / sum(self.seconds) if self.seconds else 0.0


def logged_times(folder: Path) -> LoggedTimes:
    """The times in what a command has printed, or written into `{out}`."""
    run = read_metrics(folder, None).run
    framework = (run.meta.framework or "") if run is not None else ""
    if run is None or framework not in LOGGED:
        return LoggedTimes()
    whole, parts = LOGGED[framework]
    columns = {run.meta.names.get(name, name): column for name, column in run.metrics.columns.items()}
    if whole not in columns:
        return LoggedTimes()
    step = _seconds(columns[whole])
    logged = np.flatnonzero(step > 0)
    counted = logged[1:] if len(logged) >= WARM else logged
    phases: dict[str, float] = {}
    named = np.zeros(len(counted))
    for key, phase in parts.items():
        if key in columns:
            each = _seconds(columns[key])[counted]
            named += each
            phases[phase] = phases.get(phase, 0.0) + float(each.sum())
    phases["other"] = float(np.maximum(step[counted] - named, 0.0).sum())
    return LoggedTimes(framework=framework, steps=len(logged), seconds=step[counted].tolist(), phases=phases)


def _seconds(column: NDArray[np.float64]) -> NDArray[np.float64]:
    """The column with 0 where nothing was logged: a phase that a step does not have takes no time."""
    return np.where(np.isfinite(column) & (column > 0), column, 0.0)
