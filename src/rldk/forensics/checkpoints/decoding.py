"""The numbers that the bits of an element stand for, and the order of these numbers."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FLOATS = {"float64": np.float64, "float32": np.float32, "float16": np.float16, "complex64": np.float32,
           "complex128": np.float64}  # fmt: skip
_SMALL = {  # exponent bits, mantissa bits, bias, and whether the largest pattern is NaN alone ("fn"), or minus zero
    "float8_e4m3fn": (4, 3, 7, "fn"),
    "float8_e5m2": (5, 2, 15, "ieee"),
    "float8_e4m3fnuz": (4, 3, 8, "fnuz"),
    "float8_e5m2fnuz": (5, 2, 16, "fnuz"),
    "float8_e8m0fnu": (8, 0, 127, "scale"),
}


def is_float(dtype: str) -> bool:
    """Whether elements may be NaN or infinite, and have neighbours that ULPs count."""
    return dtype in _FLOATS or dtype in _SMALL or dtype == "bfloat16"


def native(bits: NDArray[Any], dtype: str) -> NDArray[Any]:
    """The values in the type that numpy computes in fastest without loss: float32 or float64, or the integers."""
    if dtype == "bfloat16":
        wide: NDArray[Any] = (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)
        return wide
    if dtype in _SMALL:
        small: NDArray[Any] = _table(dtype)[bits]
        return small
    if dtype == "float16":
        return bits.view(np.float16).astype(np.float32)
    kind = _FLOATS.get(dtype) or (np.uint8 if dtype == "bool" else np.dtype(dtype))
    return bits.view(kind)


def ordered(bits: NDArray[Any]) -> NDArray[np.int64]:
    """Integers in the order of the floats with these bits, so that neighbours differ by 1; both zeros are 0."""
    width = bits.dtype.itemsize * 8
    signed = bits.astype(np.int64) if width < 64 else bits.view(np.int64)
    half = np.int64((1 << (width - 1)) - 1)
    magnitude = signed & half
    negative = signed < 0 if width == 64 else signed > half
    return np.where(negative, -magnitude, magnitude)


@cache
def _table(dtype: str) -> NDArray[np.float32]:
    """The value of each of the 256 patterns of an 8-bit type (OCP 8-bit floating point specification, and torch's
    `fnuz` types)."""
    exponent_bits, mantissa_bits, bias, kind = _SMALL[dtype]
    pattern = np.arange(256)
    if kind == "scale":
        values = np.ldexp(1.0, pattern - bias).astype(np.float32)
        values[255] = np.nan
        return values
    exponent = (pattern >> mantissa_bits) & ((1 << exponent_bits) - 1)
    mantissa = (pattern & ((1 << mantissa_bits) - 1)) / (1 << mantissa_bits)
    made = np.where(exponent == 0, np.ldexp(mantissa, 1 - bias), np.ldexp(1 + mantissa, exponent - bias))
    made = np.where(pattern >= 128, -made, made).astype(np.float32)
    top = exponent == (1 << exponent_bits) - 1
    if kind == "ieee":
        made[top] = np.where(mantissa[top] == 0, np.where(pattern[top] >= 128, -np.inf, np.inf), np.nan)
    elif kind == "fn":
        made[[0x7F, 0xFF]] = np.nan
    else:
        made[0x80] = np.nan
    return made
