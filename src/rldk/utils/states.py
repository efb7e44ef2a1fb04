"""The state of a generator as plain JSON, and the libraries that generators come from."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from rldk.errors import UsageError

State = dict[str, Any]  # JSON types only: bytes are base64 text, numbers of more than 63 bits are hexadecimal text
LARGEST = 2**63 - 1


def plain(value: Any) -> Any:
    """A state of NumPy in JSON types."""
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    if getattr(value, "ndim", 0):
        return {"dtype": value.dtype.str, "data": pack(value.tobytes())}
    number = value.item() if hasattr(value, "item") else value
    return hex(number) if isinstance(number, int) and number > LARGEST else number


def unplain(value: Any) -> Any:
    """What `plain` was given."""
    if isinstance(value, Mapping):
        if set(value) == {"dtype", "data"}:
            return needed("numpy").frombuffer(unpack(value["data"]), dtype=value["dtype"])
        return {key: unplain(one) for key, one in value.items()}
    return int(value, 16) if isinstance(value, str) and value.startswith("0x") else value


def pack(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def unpack(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def pack_tensor(tensor: Any) -> str:
    return pack(tensor.cpu().numpy().tobytes())


def unpack_tensor(text: str) -> Any:
    return needed("torch").frombuffer(bytearray(unpack(text)), dtype=needed("torch").uint8)


def digest(state: Mapping[str, Any]) -> str:
    """A short digest of a state. It changes with every draw."""
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()[:16]


def derived(seed: int, *words: object) -> int:
    """A seed below 2**32 that depends on all of these: the first four bytes of the SHA-256 of their texts."""
    text = "\0".join(str(word) for word in (seed, *words))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def imported(name: str) -> Any:
    """The library when it is installed, else None. It is imported, because one that is imported later would seed
    itself."""
    if name in sys.modules:
        return sys.modules[name]
    return import_module(name) if find_spec(name) is not None else None


def needed(name: str) -> Any:
    """The library. Raises `UsageError` when it is not installed."""
    found = imported(name)
    if found is None:
        raise UsageError(f"this state is one of {name}, which is not installed here", hint=f"pip install {name}")
    return found
