"""Goals that a user sets for a training: a metric that should reach a value, or must not pass one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rldk.core.vocabulary import vocabulary
from rldk.errors import UsageError
from rldk.integrations.thresholds import limit_rule
from rldk.rules.rule import Rule

COMMON = {"reward": "reward_mean", "kl_divergence": "kl", "clip_fraction": "clip_frac", "gradient_norm": "grad_norm"}
LOWER, UPPER = ("target_", "min_"), ("max_",)


class Benchmark:
    """One goal: `metric` should come to at least `goal`, or with `upper` stay at or below it."""

    def __init__(self, name: str, metric: str, goal: float, *, upper: bool) -> None:
        self.name = name
        self.metric = metric
        self.goal = goal
        self.upper = upper
        self._newest: float | None = None
        self._best: float | None = None
        self._step: int | None = None  # at which a goal was first reached, or a limit first passed

    @classmethod
    def read(cls, name: str, goal: float) -> Benchmark:
        """The goal under the user's name for it. Raises `UsageError` and `UnknownName`."""
        prefix = next((p for p in (*LOWER, *UPPER) if name.startswith(p)), None)
        if prefix is None or isinstance(goal, bool) or not isinstance(goal, int | float):
            raise UsageError(
                f"the benchmark {name!r}: {goal!r} is no goal",
                hint="such as target_reward=1.0 or max_kl_divergence=0.1",
            )
        said = name.removeprefix(prefix)
        words = vocabulary()
        metric = COMMON.get(said) or words.canonical(said) or words.metric(said).name
        return cls(name, metric, float(goal), upper=prefix in UPPER)

    def rule(self) -> Rule:
        """The rule that alerts when a limit is passed."""
        return limit_rule(
            f"benchmark_{self.name}",
            f"value > {self.goal!r}",
            metrics=(self.metric,),
            message=f"{{name}} is {{value:.3g}}, beyond the benchmark of {self.goal:g}",
        )

    def look(self, step: int, values: Mapping[str, float]) -> None:
        """Takes the metrics of a row."""
        value = values.get(self.metric)
        if value is None or value != value:
            return
        self._newest = value
        self._best = value if self._best is None else max(self._best, value)
        if self._step is None and (value > self.goal if self.upper else value >= self.goal):
            self._step = step

    def result(self) -> dict[str, Any]:
        """What became of the goal. `met` is None while the metric has not been seen."""
        known = self._newest is not None
        return {
            "metric": self.metric,
            "goal": self.goal,
            "met": (self._step is None) == self.upper if known else None,
            "step": self._step,
            "newest": self._newest,
            "highest": self._best,
        }
