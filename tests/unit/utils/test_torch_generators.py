"""The generators of torch and of its devices, behind the few names of torch that are asked for."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

import rldk.utils.generators as shared
from rldk.errors import UsageError
from rldk.utils.held import held_kind
from rldk.utils.states import derived, needed, pack, plain, unpack, unplain


class Bytes:
    """A tensor of bytes."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def cpu(self) -> Bytes:
        return self

    def numpy(self) -> Any:
        return np.frombuffer(self.data, dtype=np.uint8)


class Device:
    """A device of torch with one generator, or two as CUDA has."""

    def __init__(self, *, there: bool = True, used: bool = True) -> None:
        self.there, self.used = there, used
        self.states = [b"first", b"second"]

    def is_available(self) -> bool:
        return self.there

    def is_initialized(self) -> bool:
        return self.used

    def get_rng_state(self) -> Bytes:
        return Bytes(self.states[0])

    def get_rng_state_all(self) -> list[Bytes]:
        return [Bytes(one) for one in self.states]

    def set_rng_state(self, state: Bytes) -> None:
        self.states = [state.data]

    def set_rng_state_all(self, states: list[Bytes]) -> None:
        self.states = [one.data for one in states]


class Generator:
    def __init__(self) -> None:
        self.state = b"made"

    def manual_seed(self, seed: int) -> None:
        self.state = b"seed %d" % seed

    def get_state(self) -> Bytes:
        return Bytes(self.state)

    def set_state(self, state: Bytes) -> None:
        self.state = state.data


@pytest.fixture
def torch(monkeypatch: pytest.MonkeyPatch) -> Any:
    made: Any = ModuleType("torch")
    made.own = b"cpu"
    made.cuda = made.mps = made.xpu = Device(there=False)
    made.backends = SimpleNamespace(mps=Device(there=False))
    made.get_rng_state = lambda: Bytes(made.own)
    made.set_rng_state = lambda state: setattr(made, "own", state.data)
    made.manual_seed = lambda seed: setattr(made, "own", b"seed %d" % seed)
    made.uint8 = np.uint8
    made.frombuffer = lambda data, dtype: Bytes(bytes(data))
    made.Generator = Generator
    monkeypatch.setitem(sys.modules, "torch", made)
    return made


RANDOM = shared.TorchRandom()


def test_the_state_of_the_processor_goes_round(torch: Any) -> None:
    state = RANDOM.state()
    assert state == {"cpu": pack(b"cpu")}
    RANDOM.seed(7)
    assert torch.own == b"seed 7"
    RANDOM.restore(state)
    assert torch.own == b"cpu"


def test_a_device_has_a_state_once_it_is_in_use(torch: Any) -> None:
    for there, used, kept in [(True, True, True), (True, False, False), (False, True, False)]:
        torch.cuda, torch.xpu = Device(there=there, used=used), Device(there=there, used=used)
        torch.backends.mps = torch.mps = Device(there=there)
        state = RANDOM.state()
        assert state is not None
        assert ("cuda" in state, "xpu" in state, "mps" in state) == (kept, kept, there), (there, used)
    del torch.xpu
    assert RANDOM.state() is not None, "older releases have no xpu"


def test_the_states_of_devices_go_round(torch: Any) -> None:
    torch.cuda, torch.xpu = Device(), Device()
    torch.backends.mps = torch.mps = Device()
    state = RANDOM.state()
    assert state is not None
    assert [len(state[name]) for name in ("cuda", "mps", "xpu")] == [2, 1, 1]
    for device in (torch.cuda, torch.mps, torch.xpu):
        device.states = [b"other", b"other"]
    RANDOM.restore({name: state[name] for name in ("cpu", "cuda", "xpu")})
    assert torch.cuda.states == [b"first", b"second"]
    assert (torch.xpu.states, torch.mps.states) == ([b"first"], [b"other", b"other"])


def test_without_torch_there_is_no_state(torch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    del torch.get_rng_state  # it is being loaded
    assert RANDOM.state() is None
    monkeypatch.delitem(sys.modules, "torch")
    assert RANDOM.state() is None
    monkeypatch.setattr("rldk.utils.states.find_spec", lambda _: None)
    RANDOM.seed(3)
    with pytest.raises(UsageError, match="one of torch, which is not installed"):
        needed("torch")


def test_a_generator_of_ones_own_goes_round(torch: Any) -> None:
    thing = Generator()
    kind = held_kind(thing)
    state = kind.state(thing)
    assert state == {"bytes": pack(b"made")}
    kind.seed(thing, 5)
    assert thing.state == b"seed 5"
    kind.restore(thing, state)
    assert thing.state == b"made"


def test_spaces_and_their_parts_are_seeded_read_and_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    class Space:
        def __init__(self, spaces: Any = ()) -> None:
            self.spaces = spaces
            self.np_random = np.random.default_rng(1)

        def seed(self, seed: int) -> None:
            for part in self.spaces.values() if isinstance(self.spaces, dict) else self.spaces:
                part.seed(seed)
            self.np_random = np.random.default_rng(seed)

    class Env:
        def __init__(self) -> None:
            self.np_random = np.random.default_rng(1)
            self.action_space, self.observation_space = Space({"a": Space(), "b": Space([Space()])}), Space()

        @property
        def unwrapped(self) -> Env:
            return self

    gymnasium: Any = ModuleType("gymnasium")
    gymnasium.Space, gymnasium.Env = Space, Env
    monkeypatch.setitem(sys.modules, "gymnasium", gymnasium)

    def draws(env: Env) -> list[float]:
        inner = env.action_space.spaces
        parts = [env, env.action_space, inner["a"], inner["b"], inner["b"].spaces[0], env.observation_space]
        return [float(part.np_random.random()) for part in parts]

    env = Env()
    kind = held_kind(env)
    state = kind.state(env)
    assert [len(state[name]) for name in ("action_space", "observation_space")] == [4, 1]
    first = draws(env)
    kind.restore(env, state)
    assert draws(env) == first
    kind.seed(env, 9)
    seeded = draws(env)
    assert seeded[0] == np.random.default_rng(9).random()
    assert seeded[1] == np.random.default_rng(derived(9, "action_space")).random()
    assert seeded[5] == np.random.default_rng(derived(9, "observation_space")).random()


def test_numbers_and_arrays_as_json() -> None:
    largest = 2**63 - 1
    assert plain({"a": largest, "b": [largest + 1][0], "c": True, "d": "x"}) == {
        "a": largest, "b": "0x8000000000000000", "c": True, "d": "x",
    }  # fmt: skip
    assert unplain("0x8000000000000000") == largest + 1
    assert plain(np.float64(0.5)) == 0.5
    made = plain(np.array([1, 2], dtype="<u2"))
    assert made == {"dtype": "<u2", "data": pack(b"\x01\x00\x02\x00")}
    assert unplain({"x": made})["x"].tolist() == [1, 2]
    assert unplain({"dtype": "<u2"}) == {"dtype": "<u2"}
    with pytest.raises(ValueError, match=r"base64|characters"):
        unpack("a b=")
