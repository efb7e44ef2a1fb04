"""The states of a training at its optimizer steps, as the hooks have written them, and the first that differs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct, field

from rldk.rules.resumes import LostState

MAX_BYTES = 256 << 20


class StepState(Struct, frozen=True, kw_only=True):
    """The state in which an optimizer step begins, as digests. `n`: its number in the process, from 1. `batches`: of
    what data loaders have yielded since the step before; None where none did."""

    n: int
    optimizer: str = ""
    random: dict[str, str] = field(default_factory=dict)
    lr: tuple[float, ...] = ()
    weights: str = ""
    gradients: str = ""
    moments: str = ""
    has_moments: bool = False
    batches: str | None = None


def read_states(path: Path) -> tuple[StepState, ...]:
    """The states in a file of the hooks; a torn last line is left out. Empty where there is none."""
    try:
        if path.stat().st_size > MAX_BYTES:
            return ()
        lines = path.read_bytes().splitlines()
    except OSError:
        return ()
    found = []
    for line in lines:
        try:
            found.append(msgspec.json.decode(line, type=StepState))
        except msgspec.MsgspecError:
            break
    return tuple(found)


def place_of(state: StepState, whole: Sequence[StepState]) -> int | None:
    """The place in an uninterrupted run at which the same weights took a step; None where none did. Of several the
    last: weights stand still while the learning rate warms up from 0."""
    return next((place for place in range(len(whole) - 1, -1, -1) if whole[place].weights == state.weights), None)


def lost_states(whole: Sequence[StepState], resumed: Sequence[StepState], begin: int) -> tuple[LostState, ...]:
    """What a resumed run had lost: everything that differs at the first optimizer step that differs at all.

    `whole`: the uninterrupted run. `begin`: the place in it of the first step of `resumed`. A generator whose state
    differs counts only where data or gradients differ, too: nothing may draw from it."""
    for number, state in enumerate(resumed):
        if begin + number >= len(whole):
            break
        if found := tuple(_lost(whole[begin + number], state, number + 1)):
            return found
    return ()


def _lost(before: StepState, now: StepState, number: int) -> list[LostState]:
    where = f"optimizer step {number} after the resume"
    found: list[LostState] = []
    if before.weights != now.weights:
        message = f"the weights differ before {where}" if number == 1 else f"the weights came apart before {where}"
        found.append(LostState(kind="weights", message=message))
    if before.lr != now.lr:
        first, second = (", ".join(f"{rate:.6g}" for rate in lr[:4]) for lr in (before.lr, now.lr))
        found.append(LostState(kind="schedule", message=f"the learning rate is {second} instead of {first} in {where}"))
    if before.moments != now.moments and before.weights == now.weights:
        how = "differs" if now.has_moments else "is empty"
        found.append(LostState(kind="optimizer", message=f"the state of {now.optimizer} {how} before {where}"))
    generators = sorted(name for name in before.random if before.random[name] != now.random.get(name))
    data = before.batches is not None and before.batches != now.batches
    effect = data or (before.gradients != now.gradients and before.weights == now.weights)
    if effect and generators:
        message = f"the state of the generator of {' and '.join(generators)} differs in {where}"
        found.append(LostState(kind="random", message=message))
    if data:
        found.append(LostState(kind="data", message=f"another batch was read before {where}"))
    elif effect and not generators:
        if before.batches is None:
            message = f"weights and generators agree, and the gradients differ in {where}: it has seen other data"
            found.append(LostState(kind="data", message=message))
        else:
            message = f"weights, batches and generators agree, and the gradients differ in {where}"
            found.append(LostState(kind="other", message=message))
    return found
