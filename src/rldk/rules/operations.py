"""The first operation in which two traced replicas differ, as rules over the subject "replicas" see it."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

OperationCause = Literal["input", "chance", "kernel", "order", "memory", "environment"]


class TracedEvent(Struct, frozen=True, kw_only=True):
    """One event of a trace. `number`: its place among all events of its process, from 0. `step`: how many steps an
    optimiser had made before it. `direction`: "forward" or "backward" of an operation, "" for other events.

    `where`: the nearest line of the user's own code, or of a package where there is none; `text`: that line.
    `library`: the line of a package that was called from there, "" without one. `module`: the path of the torch module
    that ran. `output`, `inputs`, `arguments`, `chance`: digests of what came out, of the tensors and of the other
    arguments that went in, and of the state of the generator before; "" where there is none."""

    number: int
    step: int
    what: str
    direction: str = ""
    where: str = ""
    text: str = ""
    library: str = ""
    module: str = ""
    output: str = ""
    inputs: str = ""
    arguments: str = ""
    chance: str = ""

    def words(self) -> str:
        """The event in a few words: what, in which module, where."""
        parts = [self.what, self.direction, f"in {self.module}" if self.module else ""]
        return " ".join(filter(None, parts)) + (f" at {self.where}" if self.where else "")


class TraceOrigin(Struct, frozen=True, kw_only=True):
    """An earlier call that differs too, and explains the difference: where a generator is made, seeded or drawn from.

    `given`: whether it was given a seed; None for a draw."""

    what: str
    where: str
    text: str = ""
    given: bool | None = None


class TracedDifference(Struct, frozen=True, kw_only=True):
    """The first event that differs between two traced replicas. `second` is None where the second has no such event.

    `process`: which process of the command, "main-1" or "rank-0-1". `cause`: what differs first: "input" (what comes
    from outside the trace), "chance" (the state of a generator), "kernel" (the same went in, something else came out),
    "order" (the same events in another order, or other events), "memory" (read before it was written to), or
    "environment" (its answer to the same action). `moved`: the same values come in another order. `unseeded`: no call
    had seeded torch before. `before`: what both did just before. `after_first`, `after_second`: what each did next."""

    process: str
    cause: OperationCause
    first: TracedEvent
    second: TracedEvent | None = None
    origin: TraceOrigin | None = None
    moved: bool = False
    unseeded: bool = False
    before: tuple[TracedEvent, ...] = ()
    after_first: tuple[TracedEvent, ...] = ()
    after_second: tuple[TracedEvent, ...] = ()


class ReplicaTraceView(Struct, frozen=True, kw_only=True):
    """Two traced replicas of one command. `difference`: the first event that differs, None where none does."""

    operations: int
    difference: TracedDifference | None = None

    def has(self, need: str) -> bool:
        """Whether any event was traced; a rule may need "operations" only."""
        return need == "operations" and self.operations > 0

    def first(self, cause: OperationCause) -> TracedDifference | None:
        """The first difference, where it has this cause."""
        found = self.difference
        return found if found is not None and found.cause == cause else None
