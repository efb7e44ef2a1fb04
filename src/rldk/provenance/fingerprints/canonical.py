"""One form in bytes for each value of a record."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import msgspec

from rldk.core.text import legible
from rldk.errors import MalformedInput

# msgpack keeps types apart (1, 1.0, "1", True, None, NaN) and writes each number in one way; keys are sorted
_LARGE = "\0integer"
_ARRAY = "\0array"
_TEXT = "\0text"


def canonical(value: Any, where: str = "row") -> bytes:
    """The value as bytes. Values that are equal and of the same types give the same bytes.

    Numbers, text, bytes, None, dates, lists (a tuple is one) and mappings with keys of text are known, and arrays and
    scalars of NumPy and tensors of torch. Raises `MalformedInput` that names the path from `where` to a value of
    another type: its text may hold an address in memory."""
    try:
        return _encoder.encode(value)
    except (OverflowError, UnicodeEncodeError):
        return canonical(_spelled(value), where)
    except (TypeError, ValueError, RecursionError) as error:
        path, culprit = _offender(value, where)
        kind = f"{type(culprit).__module__}.{type(culprit).__qualname__}".removeprefix("builtins.")
        raise MalformedInput(
            f"{path} is a {kind}, which has no content that can be compared ({error})",
            hint="turn it into numbers, text, lists or mappings first",
        ) from None


def _known(value: Any) -> Any:
    """What msgpack does not know by itself, in types that it does."""
    np, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if np is not None:
        if isinstance(value, np.generic) and value.dtype.kind in "biuf":
            return value.item()
        if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
            plain = value.astype(value.dtype.newbyteorder("<"), order="C", copy=False)
            return {_ARRAY: [plain.dtype.str, list(plain.shape), plain.tobytes()]}
        if isinstance(value, np.ndarray):
            return value.tolist()
    if torch is not None and isinstance(value, torch.Tensor):
        flat = value.detach().cpu().contiguous()
        data = flat.reshape(-1).view(torch.uint8).numpy().tobytes()
        return {_ARRAY: [str(value.dtype), list(value.shape), data]}
    raise TypeError("unknown type")


def _spelled(value: Any) -> Any:
    """The value with what msgpack does not have in another form: numbers of more than 64 bits, and text with lone
    surrogates."""
    if isinstance(value, Mapping):
        return {key: _spelled(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_spelled(one) for one in value]
    if isinstance(value, str) and not value.isascii():
        return {_TEXT: value.encode("utf-16-le", "surrogatepass")} if legible(value) != value else value
    large = isinstance(value, int) and not -(2**63) <= value < 2**64
    return {_LARGE: hex(value)} if large else value


_encoder = msgspec.msgpack.Encoder(enc_hook=_known, order="deterministic")


def _offender(value: Any, path: str) -> tuple[str, Any]:
    """The path to the first value inside that cannot be encoded, and that value."""
    if isinstance(value, Mapping):
        parts = [(f"{path}[{key!r}]", one) for key, one in value.items()]
    elif isinstance(value, list | tuple):
        parts = [(f"{path}[{i}]", one) for i, one in enumerate(value)]
    else:
        parts = []
    for place, one in parts[:100_000]:
        try:
            _encoder.encode(_spelled(one))
        except RecursionError:
            return path, value
        except (TypeError, ValueError):
            return _offender(one, place)
    return path, value
