"""The callback, for the new API stack of RLlib."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from rldk.core.extras import need
from rldk.integrations.at_exit import close_at_exit
from rldk.integrations.guard import Guard
from rldk.integrations.recorder import Recorder, Recording
from rldk.integrations.rllib.results import DEFAULT_INTERVAL, ResultRecording

with need("rllib", "ray[rllib]"):
    from ray.rllib.callbacks.callbacks import RLlibCallback


class RLDKCallback(RLlibCallback):  # type: ignore[misc]
    """Records the results of an algorithm: `config.callbacks(RLDKCallback)`, or with choices of your own
    `config.callbacks(RLDKCallback.choose(output_dir="logs", stop_on="critical"))`.

    It writes `{run_id}_events.jsonl`, `_metrics.csv` and `_alerts.jsonl` as they happen, `_alerts.json` and
    `_final_report.json` at the end. RLlib makes an object of this class in each of its processes; the one beside the
    algorithm records. With `stop_on`, the result of the iteration says `done`: Tune then ends the trial, and a loop of
    your own should look at it."""

    choices: ClassVar[Mapping[str, Any]] = {}
    identity_interval: ClassVar[int] = DEFAULT_INTERVAL

    def __init__(self) -> None:
        super().__init__()
        self._guard = Guard()
        self._results: ResultRecording | None = None

    @classmethod
    def choose(cls, *, identity_interval: int = DEFAULT_INTERVAL, **choices: Any) -> type[RLDKCallback]:
        """This callback with choices of `Recording`: output_dir, run_id, rules, thresholds, stop_on,
        judge_every, echo.

        Raises `UsageError` for wrong rules or thresholds, and `TypeError` for another name."""
        recording = Recording(**choices)
        recording.check()
        return type("RLDKCallback", (cls,), {"choices": choices, "identity_interval": identity_interval})

    @property
    def recorder(self) -> Recorder | None:
        """What writes the files; None before the first result, and in the processes that sample."""
        return self._results.recorder if self._results else None

    def on_algorithm_init(self, *, algorithm: Any, **given: Any) -> None:
        """Begins to record."""
        self._guard.run("beginning to record", self._begin, algorithm)

    def on_train_result(self, *, algorithm: Any, result: dict[str, Any], **given: Any) -> None:
        """Records one iteration."""
        if self._results is None:
            self._guard.run("beginning to record", self._begin, algorithm)
        if self._results is not None:
            self._guard.run("recording a result", self._results.result, result)

    def _begin(self, algorithm: Any) -> None:
        self._results = ResultRecording(Recording(**self.choices), algorithm, interval=self.identity_interval)
        self._guard = self._results.guard
        close_at_exit(self._results, open_is_crash=False)
