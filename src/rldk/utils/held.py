"""The generators that a program holds in objects of its own: how each kind is known, seeded, read and put back."""

from __future__ import annotations

import random
import sys
from collections.abc import Mapping
from typing import Any

from rldk.errors import UsageError
from rldk.utils.states import State, derived, pack_tensor, plain, unpack_tensor, unplain


class HeldGenerator:
    """A kind of object that has a generator. `holds` loads no library: an object of one that is not loaded cannot be
    there."""

    module = ""
    kind = ""

    def holds(self, thing: Any) -> bool:
        known = getattr(sys.modules.get(self.module), self.kind, None)
        return isinstance(known, type) and isinstance(thing, known)

    def seed(self, thing: Any, seed: int) -> None:
        raise NotImplementedError

    def state(self, thing: Any) -> State:
        raise NotImplementedError

    def restore(self, thing: Any, state: Mapping[str, Any]) -> None:
        raise NotImplementedError


class PythonInstance(HeldGenerator):
    module, kind = "random", "Random"

    def holds(self, thing: Any) -> bool:
        return super().holds(thing) and not isinstance(thing, random.SystemRandom)

    def seed(self, thing: Any, seed: int) -> None:
        thing.seed(seed)

    def state(self, thing: Any) -> State:
        return python_state(thing.getstate())

    def restore(self, thing: Any, state: Mapping[str, Any]) -> None:
        thing.setstate(restore_python(state))


class NumpyGenerator(HeldGenerator):
    module, kind = "numpy.random", "Generator"

    def seed(self, thing: Any, seed: int) -> None:
        bits = thing.bit_generator
        bits.state = type(bits)(seed).state

    def state(self, thing: Any) -> State:
        return {"bits": plain(thing.bit_generator.state)}

    def restore(self, thing: Any, state: Mapping[str, Any]) -> None:
        thing.bit_generator.state = unplain(state["bits"])


class NumpyRandomState(HeldGenerator):
    module, kind = "numpy.random", "RandomState"

    def seed(self, thing: Any, seed: int) -> None:
        thing.seed(seed)

    def state(self, thing: Any) -> State:
        return {"bits": plain(thing.get_state(legacy=False))}

    def restore(self, thing: Any, state: Mapping[str, Any]) -> None:
        thing.set_state(unplain(state["bits"]))


class TorchGenerator(HeldGenerator):
    module, kind = "torch", "Generator"

    def seed(self, thing: Any, seed: int) -> None:
        thing.manual_seed(seed)

    def state(self, thing: Any) -> State:
        return {"bytes": pack_tensor(thing.get_state())}

    def restore(self, thing: Any, state: Mapping[str, Any]) -> None:
        thing.set_state(unpack_tensor(state["bytes"]))


class GymnasiumSpace(HeldGenerator):
    """A space, with the spaces in it: a `Dict` or a `Tuple` samples from its parts' generators."""

    module, kind = "gymnasium", "Space"

    def seed(self, thing: Any, seed: int) -> None:
        thing.seed(seed)

    def state(self, thing: Any) -> State:
        return {str(i): _numpy.state(one.np_random) for i, one in enumerate(_spaces(thing))}

    def restore(self, thing: Any, state: Mapping[str, Any]) -> None:
        for i, one in enumerate(_spaces(thing)):
            _numpy.restore(one.np_random, state[str(i)])


class GymnasiumEnv(HeldGenerator):
    """An environment: its own generator and those of its two spaces. What a simulator below it draws is not seen."""

    module, kind = "gymnasium", "Env"
    spaces = ("action_space", "observation_space")

    def seed(self, thing: Any, seed: int) -> None:
        _numpy.seed(thing.unwrapped.np_random, seed)
        for name in self.spaces:
            _space.seed(getattr(thing, name), derived(seed, name))

    def state(self, thing: Any) -> State:
        own = _numpy.state(thing.unwrapped.np_random)
        return {**own, **{name: _space.state(getattr(thing, name)) for name in self.spaces}}

    def restore(self, thing: Any, state: Mapping[str, Any]) -> None:
        _numpy.restore(thing.unwrapped.np_random, state)
        for name in self.spaces:
            _space.restore(getattr(thing, name), state[name])


_numpy, _space = NumpyGenerator(), GymnasiumSpace()
HELD: tuple[HeldGenerator, ...] = (
    PythonInstance(),
    _numpy,
    NumpyRandomState(),
    TorchGenerator(),
    GymnasiumEnv(),
    _space,
)


def held_kind(thing: Any) -> HeldGenerator:
    """How to seed and read this object. Raises `UsageError` when it is nothing with a generator."""
    for kind in HELD:
        if kind.holds(thing):
            return kind
    raise UsageError(
        f"{type(thing).__module__}.{type(thing).__qualname__} is no generator that rldk can seed",
        hint="it can seed random.Random, numpy.random.Generator and RandomState, torch.Generator, and environments and "
        "spaces of gymnasium",
    )


def python_state(state: tuple[Any, ...]) -> State:
    version, words, gauss = state
    return {"version": version, "words": list(words), "gauss": gauss}


def restore_python(state: Mapping[str, Any]) -> tuple[Any, ...]:
    return state["version"], tuple(state["words"]), state["gauss"]


def _spaces(space: Any) -> list[Any]:
    parts = getattr(space, "spaces", ())
    inner = parts.values() if isinstance(parts, Mapping) else parts
    return [space, *(one for part in inner for one in _spaces(part))]
