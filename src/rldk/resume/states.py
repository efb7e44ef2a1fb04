"""The states of a training at its optimizer steps, as the hooks have written them, and the first that differs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct, field

from rldk.rules.resumes import LostState

MAX_BYTES = 256 << 20


class RunningMean(Struct, frozen=True, kw_only=True):
    """A running mean, as a normaliser keeps it. `count`: how many values it has seen; None where it does not say."""

    count: float | None = None
    digest: str = ""


class SeenEnvironment(Struct, frozen=True, kw_only=True):
    """What environments have shown since the optimizer step before. `first`: "reset" or "step", whichever came first;
    `start`: a digest of what it showed; `all`: of everything."""

    first: str = ""
    start: str = ""
    all: str = ""


class StepState(Struct, frozen=True, kw_only=True):
    """The state in which an optimizer step begins, as digests. `n`: its number in the process, from 1. `batch`: the
    last one that a data loader has yielded since the step before, and `environment`: what was seen of environments;
    None where there was nothing. `normalisers`, `kl`, `reference`: running means, coefficients of the KL and reference
    models that were found, by name."""

    n: int
    optimizer: str = ""
    random: dict[str, str] = field(default_factory=dict)
    lr: tuple[float, ...] = ()
    weights: str = ""
    gradients: str = ""
    moments: str = ""
    has_moments: bool = False
    batch: str | None = None
    environment: SeenEnvironment | None = None
    normalisers: dict[str, RunningMean] = field(default_factory=dict)
    kl: dict[str, float] = field(default_factory=dict)
    reference: dict[str, str] = field(default_factory=dict)


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
        if found := tuple(_lost(whole[begin + number], state, number + 1, whole[0])):
            return found
    return ()


def _lost(before: StepState, now: StepState, number: int, start: StepState) -> list[LostState]:
    """What differs before the optimizer step `number` of the resumed run. `start`: the first state of all."""
    where = f"optimizer step {number} after the resume"
    found: list[LostState] = []
    if before.weights != now.weights:
        message = f"the weights differ before {where}" if number == 1 else f"the weights came apart before {where}"
        found.append(LostState(kind="weights", message=message))
    if before.lr != now.lr:
        message = f"the learning rate is {_rates(now.lr)} instead of {_rates(before.lr)} in {where}"
        found.append(LostState(kind="schedule", message=message))
    if before.moments != now.moments and before.weights == now.weights:
        how = "differs" if now.has_moments else "is empty"
        found.append(LostState(kind="optimizer", message=f"the state of {now.optimizer} {how} before {where}"))
    data = before.batch is not None and before.batch != now.batch
    effect = data or (before.gradients != now.gradients and before.weights == now.weights)
    if effect:
        found += _lost_inputs(before, now, where, start, data=data)
    return found


def _lost_inputs(before: StepState, now: StepState, where: str, start: StepState, *, data: bool) -> list[LostState]:
    """Why other data or other gradients were seen with the same weights."""
    found: list[LostState] = []
    generators = sorted(name for name in before.random if before.random[name] != now.random.get(name))
    if generators:
        named = " and ".join(generators)
        several = f"the states of the generators of {named} differ"
        message = f"{several if len(generators) > 1 else f'the state of the generator of {named} differs'} in {where}"
        found.append(LostState(kind="random", message=message))
    if data:
        found.append(LostState(kind="data", message=f"another batch was read before {where}"))
    found += _environment(before, now, where, alone=not found)
    others = bool(found)
    found += _normalisers(before, now, where)
    found += _kl(before, now, where, start, alone=not others)
    for name in sorted(before.reference.keys() & now.reference.keys()):
        if before.reference[name] != now.reference[name]:
            message = f"the reference model {name} has other weights in {where}"
            found.append(LostState(kind="reference", message=message))
    if not found and before.batch is None:
        message = f"weights and generators agree, and the gradients differ in {where}: it has seen other data"
        found.append(LostState(kind="data", message=message))
    elif not found:
        message = f"weights, batches and generators agree, and the gradients differ in {where}"
        found.append(LostState(kind="other", message=message))
    return found


def _environment(before: StepState, now: StepState, where: str, *, alone: bool) -> Iterator[LostState]:
    """Whether environments show something else. `alone`: nothing else differs that would explain it."""
    first, second = before.environment, now.environment
    if first is None or second is None or first == second:
        return
    if (first.first, second.first) == ("step", "reset"):
        message = f"the environment began a new episode before {where}; in the uninterrupted run one went on"
    elif first.first == second.first == "reset" and first.start != second.start:
        message = f"the environment began another episode before {where}"
    elif alone:
        message = f"the environment showed other observations or rewards before {where}"
    else:
        return
    yield LostState(kind="environment", message=message)


def _normalisers(before: StepState, now: StepState, where: str) -> Iterator[LostState]:
    """Running means that have seen fewer values than they had. A reset of the environment adds some. One that has seen
    as many and differs may have been fed with other data, which is then the cause."""
    for name in sorted(before.normalisers.keys() & now.normalisers.keys()):
        had, has = before.normalisers[name].count, now.normalisers[name].count
        if had is not None and has is not None and has < had:
            message = f"the normaliser {name} has seen {has:,.0f} values instead of {had:,.0f} in {where}"
            yield LostState(kind="normaliser", message=message)


def _kl(before: StepState, now: StepState, where: str, start: StepState, *, alone: bool) -> Iterator[LostState]:
    """Coefficients of the KL that differ. Where data or generators differ as well, a controller follows the KL that it
    measures: then one counts only when it is nearer to its beginning than to where it was."""
    for name in sorted(before.kl.keys() & now.kl.keys()):
        first, second = before.kl[name], now.kl[name]
        back = abs(second - start.kl.get(name, second)) < abs(second - first)
        if first != second and (alone or back):
            message = f"the coefficient of the KL, {name}, is {second:.6g} instead of {first:.6g} in {where}"
            yield LostState(kind="KL controller", message=message)


def _rates(lr: Sequence[float]) -> str:
    """The learning rates of the groups of parameters, once where they are the same."""
    return ", ".join(dict.fromkeys(f"{rate:.6g}" for rate in lr[:4]))
