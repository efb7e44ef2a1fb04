"""Puts the identities of one training together: what is due is measured, and joins the next row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rldk.integrations.guard import Guard
from rldk.integrations.identities.batch import first_minibatch
from rldk.integrations.identities.cadence import Cadence
from rldk.integrations.identities.groups import SampleMeasures
from rldk.integrations.identities.process import memory, rng_digest
from rldk.integrations.identities.reference import ReferenceWatch, probe_gap, same_weights
from rldk.integrations.identities.surprise import Surprise
from rldk.integrations.identities.weights import WeightWatch
from rldk.integrations.recorder import Recorder


class Meter:
    """Measures one training for a recorder. An error in a measurement is reported once, and the training goes on.

    What a loop cannot be asked for on its own is told: `rollout`, `minibatch`, `synced`, `samples`."""

    def __init__(self, recorder: Recorder, *, cadence: Cadence, resources: bool = True) -> None:
        self.recorder = recorder
        self.cadence = cadence
        self._resources = resources
        self.weights: WeightWatch | None = None
        self.hooked = False
        self._reference: ReferenceWatch | None = None
        self._model: Any = None
        self._sampler: Any = None
        self._measures = SampleMeasures()
        self._surprise = Surprise()
        self._fresh = True
        self._ends = 0

    @property
    def guard(self) -> Guard:
        return self.recorder.guard

    def watch(self, model: Any, optimizer: Any, *, ref_model: Any = None, sampler: Any = None) -> None:
        """Begins to measure. What is None is not looked at."""
        self._model, self._sampler = model, sampler
        if self.cadence.every <= 0:
            return
        if model is not None and optimizer is not None:
            self.guard.run("watching the optimizer", self._hook, model, optimizer)
        if ref_model is not None:
            self._reference = self.guard.run("watching the reference", ReferenceWatch, ref_model, model)

    def detach(self) -> None:
        """Takes the hooks away."""
        if self.weights is not None:
            self.guard.run("unhooking the optimizer", self.weights.detach)

    def end_of_step(self) -> None:
        """Measures what is due at the end of an optimizer step."""
        self._ends += 1
        if self.weights is not None and self.hooked:
            self.weights.end_of_step()
        count = self.weights.steps if self.weights is not None and self.weights.steps else self._ends
        if not self.cadence.due(count):
            return
        if self._reference is not None:
            self.measured("measuring the reference", self._reference.measure)
        if self._resources:
            self.measured("measuring memory", memory)
        self.recorder.attach(rng={"digest": self.guard.run("reading random states", rng_digest) or ""})
        if self.weights is not None and self.weights.digest:
            self.recorder.attach(model_info={"weights": self.weights.digest})

    def due(self) -> bool:
        """Whether the costly measurements of the step that goes on are made."""
        steps = self.weights.steps if self.weights is not None and self.hooked else self._ends
        return self.cadence.due(steps + 1)

    def rollout(self) -> None:
        """New samples have been taken: the next mini-batch is the first of an update."""
        self._fresh = True

    def minibatch(self, logp: Any, old_logp: Any = None, *, mask: Any = None, entropy: Any = None) -> None:
        """The log-probabilities of the sampled tokens of a mini-batch before its update. Only the first one after a
        rollout is looked at.

        `old_logp`: those that the ratio is taken to. `entropy`: the policy's entropy at each token. `mask`: which
        tokens were sampled."""
        fresh, self._fresh = self._fresh, False
        if not fresh:
            return
        if old_logp is not None:
            self.measured("measuring the ratio", first_minibatch, logp, old_logp, mask)
        if entropy is not None:
            self.measured("measuring surprise", self._surprise.take, logp, entropy, mask)

    def synced(self) -> None:
        """The sampler has been given the trainer's weights."""
        if hasattr(self._sampler, "named_parameters") and self._model is not None:
            self.measured("comparing the sampler", same_weights, self._model, self._sampler)
        elif callable(self._sampler) and self._model is not None:
            self.measured("probing the sampler", probe_gap, self._model, self._sampler)

    def samples(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Measures the per-sample records of a step."""
        self.measured("measuring samples", self._measures.take, records)
        if self._measures.prompts_digest:
            self.recorder.attach(data_slice={"prompts": self._measures.prompts_digest})

    def _hook(self, model: Any, optimizer: Any) -> None:
        self.weights = WeightWatch(model, optimizer, self.recorder.measure, cadence=self.cadence, guard=self.guard)
        self.hooked = self.weights.attach()

    def measured(self, part: str, action: Callable[..., Mapping[str, float]], *args: Any) -> None:
        """Adds what `action` measures to the next row. `part`: what a failure is reported as."""
        found = self.guard.run(part, action, *args)
        if found:
            self.recorder.measure(found)
