"""A plain training loop: `with rldk.watch(model, optimizer) as w:`, and `w.step(metrics)` once an optimizer step."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any

from rldk.core.model import Alert, Severity
from rldk.integrations.identities.cadence import Cadence
from rldk.integrations.identities.meter import Meter
from rldk.integrations.judge import TrainingOrigin
from rldk.integrations.recorder import Recorder, Recording, config_of
from rldk.integrations.thresholds import RuleChoice

__all__ = ["WatchedLoop", "watch"]


class WatchedLoop:
    """The watch over one training loop. `stop_requested`: whether the loop should end; see `stop_reason`.

    `recorder`: what writes the files. `meter`: what measures the model."""

    def __init__(self, recorder: Recorder, meter: Meter) -> None:
        self.recorder = recorder
        self.meter = meter
        self._next = 1

    @property
    def stop_requested(self) -> bool:
        return self.recorder.stop_requested

    @property
    def stop_reason(self) -> str:
        return self.recorder.stop_reason

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """The alerts that came with the last step."""
        return self.recorder.alerts

    def step(
        self,
        metrics: Mapping[str, Any],
        *,
        step: int | None = None,
        samples: Iterable[Mapping[str, Any]] | None = None,
    ) -> tuple[Alert, ...]:
        """Records one optimizer step; call it after `optimizer.step()`. Without `step` it is one after the last.

        `samples`: the per-sample records that the step was made of (prompt, response, group_id, reward, advantage,
        logp_rollout, logp_train ...). Returns the alerts that are new: of this step, or of steps that waited."""
        at = self._next if step is None else int(step)
        self._next = at + 1
        if samples is not None:
            listed = list(samples)
            self.meter.samples(listed)
            self.recorder.log_samples(listed, step=at)
        self.meter.end_of_step()
        return self.recorder.log(metrics, step=at) or ()

    def minibatch(self, logp: Any, old_logp: Any = None, *, mask: Any = None, entropy: Any = None) -> None:
        """Tells the log-probabilities of the sampled tokens of a mini-batch before its update.

        Only the first mini-batch after a rollout is looked at. There, the ratio to `old_logp` must be 1, and sampled
        tokens must be as surprising on average as `entropy`, the policy's entropy at each token, says. `mask`: which
        tokens were sampled."""
        self.meter.minibatch(logp, old_logp, mask=mask, entropy=entropy)

    def rollout(self) -> None:
        """Tells that new samples have been taken: the next mini-batch is the first one of an update."""
        self.meter.rollout()

    def synced(self) -> None:
        """Tells that the sampler has just been given the trainer's weights. They are compared."""
        self.meter.synced()

    def close(self, error: BaseException | None = None) -> None:
        """Ends the watch and writes the final report. A `with` block does it by itself."""
        self.meter.detach()
        self.recorder.close("finished" if error is None else "crashed", error)

    def __enter__(self) -> WatchedLoop:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(error)


def watch(
    model: Any = None,
    optimizer: Any = None,
    ref_model: Any = None,
    sampler: Any = None,
    output_dir: str | os.PathLike[str] = "./rldk_logs",
    *,
    run_id: str | None = None,
    rules: RuleChoice = "default",
    algorithm: str | None = None,
    config: Any = None,
    total_steps: int | None = None,
    alert_thresholds: Mapping[str, Any] | None = None,
    field_map: Mapping[str, str] | None = None,
    samples: int = 0,
    stop_on: Severity | None = None,
    identity_interval: int = 10,
    judge_every: int | None = None,
    echo: bool = True,
) -> WatchedLoop:
    """Watches a plain training loop: records what `step` is given, measures the model, and lets the rules look at it.

    `model`, `optimizer`: of torch; without them only the metrics are looked at. `ref_model`: must not change.
    `sampler`: the model that rollouts are taken from, or a callable from a list of token ids to the log-probability of
    each (as vLLM's `prompt_logprobs` are); after `synced` its weights, or its answer to fixed tokens, are compared.
    `algorithm`: "ppo", "grpo", "dpo" and so on; guessed from the metrics otherwise. `config`: the hyper-parameters.
    `samples`: how many per-sample records of a step are written to `samples-*.jsonl`. `identity_interval`: the model is
    measured on the first five optimizer steps and on every so-many-th after them; 0 for never. `stop_on`: the severity
    of an alert that sets `stop_requested`. `judge_every`: how many rows may wait to be judged together, two seconds at
    most; by default 16, or 1 with `stop_on`. Raises `UsageError` for wrong rules or thresholds."""
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
    plain = config_of(config)
    recorder = Recorder(
        recording, TrainingOrigin(algorithm=algorithm, config=plain, total_steps=total_steps, field_map=field_map)
    )
    meter = Meter(recorder, cadence=Cadence(every=identity_interval))
    meter.watch(model, optimizer, ref_model=ref_model, sampler=sampler)
    return WatchedLoop(recorder, meter)
