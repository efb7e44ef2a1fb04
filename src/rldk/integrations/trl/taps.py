"""What a trainer of TRL computes and shows to no callback: samples, advantages, log-probabilities, masks.

The methods of one trainer object are wrapped. They are called as before, with what they were given, and whatever goes
wrong beside them stays beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rldk.integrations.identities.batch import array
from rldk.integrations.identities.meter import Meter

GENERATE, LOGPS = "_generate_and_score_completions", "_get_per_token_logps_and_entropies"
LOSSES = ("_compute_loss", "compute_loss")
LOGP_FIELDS = {
    "old_per_token_logps": "logp_train",
    "ref_per_token_logps": "logp_ref",
    "sampling_per_token_logps": "logp_rollout",
}


class TrainerTap:
    """Taps one trainer for a meter. `samples`: takes the per-sample records of a rollout and its step."""

    def __init__(
        self, trainer: Any, meter: Meter, samples: Callable[[Sequence[Mapping[str, Any]], int], object]
    ) -> None:
        self._trainer = trainer
        self._meter = meter
        self._samples = samples
        self._wrapped: list[str] = []
        self._newest: Any = None
        self._fresh = False

    def attach(self) -> tuple[str, ...]:
        """Wraps what the trainer has. Returns the names of the wrapped methods."""
        if hasattr(self._trainer, GENERATE):
            self._wrap(GENERATE, self._generated)
        if hasattr(self._trainer, LOGPS):
            self._wrap(LOGPS, self._computed)
        loss = next((name for name in LOSSES if hasattr(self._trainer, name)), None)
        if loss is not None:
            self._wrap(loss, self._lost)
        return tuple(self._wrapped)

    def detach(self) -> None:
        """Gives the trainer its own methods back."""
        for name in self._wrapped:
            self._trainer.__dict__.pop(name, None)
        self._wrapped = []

    def _wrap(self, name: str, look: Callable[[tuple[Any, ...], dict[str, Any], Any], None]) -> None:
        if name in self._trainer.__dict__:
            return  # somebody else has wrapped it; theirs stays
        method, guard = getattr(self._trainer, name), self._meter.guard

        def call(*args: Any, **given: Any) -> Any:
            found = method(*args, **given)
            guard.run(f"looking at {name}", look, args, given, found)
            return found

        setattr(self._trainer, name, call)
        self._wrapped.append(name)

    def _generated(self, args: tuple[Any, ...], given: dict[str, Any], output: Any) -> None:
        """A rollout: its samples, their advantages and groups."""
        if not self._trainer.model.training or not isinstance(output, Mapping):
            return
        self._fresh = True
        self._meter.rollout()
        if self._meter.due() or self._meter.recorder.samples.per_step:
            records = list(self._records(output))
            self._meter.samples(records)
            self._samples(records, int(self._trainer.state.global_step) + 1)
        if self._meter.due() and "completion_mask" in output:
            self._meter.measured("counting tokens", self._valid, output)

    def _computed(self, args: tuple[Any, ...], given: dict[str, Any], output: Any) -> None:
        """Log-probabilities and entropies under the policy, which the loss is about to use."""
        self._newest = output if self._fresh else None

    def _lost(self, args: tuple[Any, ...], given: dict[str, Any], output: Any) -> None:
        """A loss was computed. On the first mini-batch after a rollout, the policy is still the one that sampled."""
        inputs = given.get("inputs", args[1] if len(args) > 1 else None)
        newest, self._newest, fresh = self._newest, None, self._fresh
        if not self._trainer.model.training or not isinstance(inputs, Mapping):
            return
        if "labels" in inputs and self._meter.due():
            labels = array(inputs["labels"])
            seen = {"valid_token_frac": float((labels != -100).any(axis=-1).mean())}
            self._meter.measured("counting tokens", lambda: seen)
        if not fresh or newest is None or "completion_ids" not in inputs:
            return
        self._fresh = False
        logps, entropies = _pair(newest)
        if logps is None or logps.shape != inputs["completion_ids"].shape:
            return
        mask = self._sampled(inputs)
        if inputs.get("tool_mask") is not None:
            mask = mask * inputs["tool_mask"]
        told = entropies if entropies is not None and entropies.shape == logps.shape else None
        self._meter.minibatch(logps, inputs.get("old_per_token_logps"), mask=mask, entropy=told)

    def _records(self, output: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """One record for each completion of this process, in the order of the batch."""
        ids, mask = output["completion_ids"], self._sampled(output)
        count = int(ids.shape[0])
        rank = int(getattr(self._trainer.accelerator, "process_index", 0))
        size = int(getattr(self._trainer, "num_generations", 1) or 1)
        logs = getattr(self._trainer, "_logs", {})
        texts = {
            name: _slice(logs.get(name), count, rank, self._world()) for name in ("prompt", "completion", "advantages")
        }
        rewards = {name: _slice(column, count, rank, self._world()) for name, column in logs.get("rewards", {}).items()}
        fields = {ours: array(output[name]) for name, ours in LOGP_FIELDS.items() if output.get(name) is not None}
        listed, kept = ids.tolist(), mask.tolist()
        ends = self._ends()
        for i in range(count):
            tokens = [token for token, inside in zip(listed[i], kept[i], strict=True) if inside]
            components = {name: column[i] for name, column in rewards.items() if column}
            yield {
                "group_id": (rank * count + i) // size,
                "prompt": _text(texts["prompt"][i]) if texts["prompt"] else None,
                "response": _text(texts["completion"][i]) if texts["completion"] else None,
                "token_ids": tokens,
                "n_tokens": len(tokens),
                "finish_reason": "stop" if tokens and tokens[-1] in ends else "length",
                "reward": self._paid(components),
                "reward_components": components or None,
                "advantage": texts["advantages"][i] if texts["advantages"] else None,
                **{ours: values[i][: len(tokens)] for ours, values in fields.items() if len(values) == count},
            }

    def _paid(self, components: Mapping[str, Any]) -> float | None:
        """The reward that the trainer makes of the components: their weighted sum, without those that are missing."""
        weights = getattr(self._trainer, "reward_weights", None)
        factors = array(weights).tolist() if weights is not None else [1.0] * len(components)
        pairs = [(w, x) for w, x in zip(factors, components.values(), strict=False) if x is not None and x == x]
        return float(sum(w * x for w, x in pairs)) if pairs else None

    def _valid(self, output: Mapping[str, Any]) -> dict[str, float]:
        """The share of the sampled tokens that the loss sees."""
        seen, sampled = output["completion_mask"], self._sampled(output)
        if output.get("tool_mask") is not None:
            sampled = sampled * output["tool_mask"]
        total = float(sampled.sum())
        return {"valid_token_frac": min(1.0, float((seen * sampled).sum()) / total)} if total else {}

    def _sampled(self, output: Mapping[str, Any]) -> Any:
        """Which tokens were sampled: all up to the first end token, whatever the loss masks."""
        ids, ends = output["completion_ids"], self._ends()
        if not ends:
            return output["completion_mask"]
        is_end = sum((ids == end).long() for end in ends).clamp(max=1)
        before = is_end.cumsum(dim=1) - is_end
        padding = getattr(self._words(), "pad_token_id", None)
        inside = before == 0
        return (inside if padding is None or padding in ends else inside & (ids != padding)).long()

    def _ends(self) -> list[int]:
        """The tokens that end a completion."""
        told = getattr(self._trainer, "eos_token_ids", None) or getattr(self._trainer, "eos_token_id", None)
        told = getattr(self._words(), "eos_token_id", None) if told is None else told
        return [told] if isinstance(told, int) else [int(one) for one in told or ()]

    def _words(self) -> Any:
        """The tokenizer."""
        own = getattr(self._trainer, "_tokenizer", None) or getattr(self._trainer, "processing_class", None)
        return getattr(own, "tokenizer", own)

    def _world(self) -> int:
        return int(getattr(self._trainer.accelerator, "num_processes", 1))


def _pair(output: Any) -> tuple[Any, Any]:
    """Log-probabilities and entropies, in the forms of several versions; None for what is not there."""
    if isinstance(output, Mapping):
        return output.get("logps"), output.get("entropies")
    if isinstance(output, tuple):
        return (output[0], output[1] if len(output) > 1 else None) if output else (None, None)
    return (output, None) if hasattr(output, "shape") else (None, None)


def _slice(column: Any, count: int, rank: int, world: int) -> list[Any]:
    """The newest values of this process in a column that holds those of all; [] where there are too few."""
    listed = list(column or ())
    newest = listed[-count * world :]
    return newest[rank * count : (rank + 1) * count] if len(newest) == count * world else []


def _text(value: Any) -> str:
    """A prompt or a completion as text. Messages are joined, each with its role."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        parts = [f"{m.get('role', '')}: {m.get('content', '')}" if isinstance(m, Mapping) else str(m) for m in value]
        return "\n".join(parts)
    return str(value)
