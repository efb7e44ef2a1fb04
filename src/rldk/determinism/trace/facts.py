"""What the trace of two replicas says, as values."""

from __future__ import annotations

from msgspec import Struct

from rldk.rules.operations import TracedDifference


class OperationTrace(Struct, frozen=True, kw_only=True):
    """What was traced and compared. `equal`: whether every event agrees; None where nothing could be compared.

    `difference`: the first event that differs; None without one, and where only its step is known. `step`: how many
    steps an optimiser had made before the first difference. `operations`: the events of the first traced replica;
    `draws`: what its own code drew from `random` and NumPy. `steps`: of an optimiser. `processes`: those that were
    traced. `pairs`: how many pairs of replicas were compared. `seconds`: the time of the first traced replica,
    `plain_seconds` that of the first replica without a trace. `notes`: what the trace cannot see, in sentences.
    `reason`: why nothing was compared, "" where something was."""

    equal: bool | None
    difference: TracedDifference | None = None
    step: int | None = None
    operations: int = 0
    draws: int = 0
    steps: int = 0
    processes: tuple[str, ...] = ()
    pairs: int = 0
    seconds: float = 0.0
    plain_seconds: float = 0.0
    notes: tuple[str, ...] = ()
    reason: str = ""
