"""The generators that a whole process shares: those of Python, NumPy and torch.

Nothing here starts CUDA: a device that is not in use has no state that could be lost."""

from __future__ import annotations

import random
import sys
from collections.abc import Mapping
from typing import Any, ClassVar

from rldk.utils.held import python_state, restore_python
from rldk.utils.states import State, imported, needed, pack, pack_tensor, unpack, unpack_tensor


class SharedGenerator:
    """`seed` seeds it. `state` is its state, None where its library is not loaded. `restore` puts that back."""

    name: ClassVar[str]
    library: ClassVar[str]

    def seed(self, seed: int) -> None:
        raise NotImplementedError

    def state(self) -> State | None:
        raise NotImplementedError

    def restore(self, state: Mapping[str, Any]) -> None:
        raise NotImplementedError


class PythonRandom(SharedGenerator):
    name, library = "python", "random"

    def seed(self, seed: int) -> None:
        random.seed(seed)

    def state(self) -> State:
        return python_state(random.getstate())

    def restore(self, state: Mapping[str, Any]) -> None:
        random.setstate(restore_python(state))


class NumpyRandom(SharedGenerator):
    """`numpy.random.seed` and the functions that share its state; no generator of `default_rng` is among them."""

    name = library = "numpy"

    def seed(self, seed: int) -> None:
        np = imported("numpy")
        if np is not None:
            np.random.seed(seed)

    def state(self) -> State | None:
        np = sys.modules.get("numpy")
        if np is None:
            return None
        kind, words, position, has_gauss, gauss = np.random.get_state()
        packed = pack(words.astype("<u4").tobytes())
        return {"kind": kind, "words": packed, "position": position, "has_gauss": has_gauss, "gauss": gauss}

    def restore(self, state: Mapping[str, Any]) -> None:
        np = needed("numpy")
        words = np.frombuffer(unpack(state["words"]), dtype="<u4")
        np.random.set_state((state["kind"], words, state["position"], state["has_gauss"], state["gauss"]))


class TorchRandom(SharedGenerator):
    """torch's default generators: of the CPU, of all CUDA devices once CUDA is in use, and of MPS and XPU, where such a
    device is there (neither was tested on one)."""

    name = library = "torch"

    def seed(self, seed: int) -> None:
        torch = imported("torch")
        if torch is not None:
            torch.manual_seed(seed)  # CUDA is seeded when it is first used

    def state(self) -> State | None:
        torch = sys.modules.get("torch")
        if torch is None or not hasattr(torch, "get_rng_state"):  # it is not loaded, or is being loaded now
            return None
        found: State = {"cpu": pack_tensor(torch.get_rng_state())}
        for device, module in _devices(torch).items():
            states = module.get_rng_state_all() if device == "cuda" else [module.get_rng_state()]
            found[device] = [pack_tensor(one) for one in states]
        return found

    def restore(self, state: Mapping[str, Any]) -> None:
        torch = needed("torch")
        torch.set_rng_state(unpack_tensor(state["cpu"]))
        for device, module in _devices(torch).items():
            states = [unpack_tensor(one) for one in state.get(device, ())]
            if states and device == "cuda":
                module.set_rng_state_all(states)
            elif states:
                module.set_rng_state(states[0])


GENERATORS: tuple[SharedGenerator, ...] = (PythonRandom(), NumpyRandom(), TorchRandom())


def _devices(torch: Any) -> dict[str, Any]:
    """The modules of the devices that are in use beside the CPU."""
    found = {}
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        found["cuda"] = torch.cuda
    if torch.backends.mps.is_available():
        found["mps"] = torch.mps
    xpu = getattr(torch, "xpu", None)
    if xpu is not None and xpu.is_available() and xpu.is_initialized():
        found["xpu"] = xpu
    return found
