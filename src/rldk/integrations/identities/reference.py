"""Whether the reference model stays what it was, and whether the sampler has the trainer's weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rldk.integrations.identities.weights import WeightSample, unwrapped


class ReferenceWatch:
    """Compares a sample of the reference's weights with that of the start, bit by bit."""

    def __init__(self, reference: Any, model: Any) -> None:
        self._reference = unwrapped(reference)
        self._model = unwrapped(model) if model is not None else None
        self._sample = WeightSample(self._reference.named_parameters())
        self._start: NDArray[np.float64] = self._sample.take()

    def measure(self) -> dict[str, float]:
        """The relative change since the start, and the share of the reference's tensors that are the policy's own."""
        now = self._sample.take()
        size = float(np.linalg.norm(self._start))
        changed = float(np.linalg.norm(now - self._start))
        found = {"reference_drift": changed / size if size > 0 else changed}
        if self._model is not None and self._reference is not self._model:
            trained = {p.data_ptr() for p in self._model.parameters() if p.requires_grad and p.numel()}
            ours = [p.data_ptr() for p in self._reference.parameters() if p.numel()]
            found["reference_shared_frac"] = sum(at in trained for at in ours) / len(ours) if ours else 0.0
        elif self._model is not None:
            found["reference_shared_frac"] = 1.0
        return found


def same_weights(trainer: Any, sampler: Any) -> dict[str, float]:
    """The relative difference between the weights of the trainer and of the sampler, on a fixed sample of the tensors
    that both have by name, in the sampler's precision. {} where they have none in common."""
    theirs = dict(_named(sampler))
    pairs = [(p, theirs[n]) for n, p in _named(trainer) if n in theirs and theirs[n].shape == p.shape]
    if not pairs:
        return {}
    ours = WeightSample((str(i), p) for i, (p, _) in enumerate(pairs))
    others = WeightSample((str(i), q) for i, (_, q) in enumerate(pairs))
    mine, theirs_now = ours.take(kinds=others.kinds), others.take()
    size = float(np.linalg.norm(mine))
    gap = float(np.linalg.norm(mine - theirs_now))
    return {"sampler_weight_dev": gap / size if size > 0 else gap}


def _named(model: Any) -> Iterator[tuple[str, Any]]:
    for name, tensor in unwrapped(model).named_parameters():
        yield name.removeprefix("module."), tensor
