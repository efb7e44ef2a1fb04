"""SYS: the memory that a training will need."""

from __future__ import annotations

from rldk.rules.rule import Signal, rule
from rldk.rules.setup import SetupView


@rule(
    "SYS030",
    "memory-will-not-suffice",
    severity="warn",
    tier=1,
    data="T",
    subject="setup",
    needs=("model.needed_gib", "model.memory_gib"),
    causes=("optimizer state and gradients were not counted", "the response limit or the batch size was raised"),
    fixes=("lower the batch size a device, or shard or offload the optimizer", "checkpoint activations"),
)
def memory_will_not_suffice(s: SetupView) -> Signal | None:
    """Fires when the estimated memory of training is above what a device has.

    Why it matters: The run fails at its first long batch, after the model was loaded and the queue was waited for.
    How it is computed: Weights, gradients, optimizer state, reference, activations and KV cache by the formula of
    docs/how-to/preflight.md, without the allocator's own share. The rule fires above the device's whole memory.
    When it is wrong: Weights, gradients and optimizer are exact; activations are an estimate, which was 0.7 to 1.6
    times what tiny models of four kinds held. Sharding over devices is not counted.
    Source: The formula is the sum of the tensors that are held; its error is measured on the how-to page.
    """
    m = s.model
    if m is None or m.needed_gib is None or m.memory_gib is None or m.needed_gib <= m.memory_gib:
        return None
    message = f"training needs about {m.needed_gib:.1f} GiB, and the device has {m.memory_gib:.1f} GiB"
    return Signal(value=m.needed_gib, limit=m.memory_gib, metric="memory", message=message)
