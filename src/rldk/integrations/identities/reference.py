"""Whether the reference model stays what it was, and whether the sampler has the trainer's weights, or computes as it
does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rldk.integrations.identities.batch import array
from rldk.integrations.identities.weights import WeightSample, unwrapped

PROBE_LENGTH = 16  # tokens


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


def probe_gap(trainer: Any, sampler: Callable[[list[int]], Any]) -> dict[str, float]:
    """The largest difference between the log-probabilities that the trainer's model and the sampler give the tokens of
    a fixed sequence. {} for a model that takes no token ids.

    `sampler`: from token ids to one log-probability for each of them, or for each but the first."""
    import torch

    model = unwrapped(trainer)
    ids = _probe(model)
    if not ids:
        return {}
    training = model.training
    device = next(model.parameters()).device
    with torch.no_grad():
        model.eval()
        try:
            out = model(torch.tensor([ids], device=device))
        finally:
            model.train(training)
    logits = getattr(out, "logits", out)[0, :-1].float()
    told = logits.log_softmax(-1).gather(1, torch.tensor(ids[1:], device=device)[:, None])
    ours, theirs = array(told).ravel(), array(sampler(list(ids))).ravel()[1 - len(ids) :]
    return {"probe_logprob_dev": float(np.abs(ours - theirs).max())} if theirs.shape == ours.shape else {}


def _probe(model: Any) -> list[int]:
    """Token ids all over the vocabulary; [] where the model has no embedding of tokens."""
    sizes = [m.num_embeddings for m in model.modules() if hasattr(m, "num_embeddings")]
    words = getattr(getattr(model, "config", None), "vocab_size", None) or (sizes[0] if sizes else 0)
    return [(i + 1) * words // (PROBE_LENGTH + 1) for i in range(PROBE_LENGTH)] if words > PROBE_LENGTH else []


def _named(model: Any) -> Iterator[tuple[str, Any]]:
    for name, tensor in unwrapped(model).named_parameters():
        yield name.removeprefix("module."), tensor
