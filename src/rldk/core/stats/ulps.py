"""How many floating-point numbers lie between two values."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def ulp_distance(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """The number of steps from one double to the next between the two, elementwise; 0 for the very same number.

    NaN beside NaN is 0, NaN beside a number is infinite. The result is a float: two doubles may be 2^64 apart."""
    one, other = _ordered(first), _ordered(second)
    far = np.abs(one - other)
    lost = np.isnan(first) | np.isnan(second)
    both = np.isnan(first) & np.isnan(second)
    return np.where(both, 0.0, np.where(lost, np.inf, far))


def _ordered(values: NDArray[np.float64]) -> NDArray[np.longdouble]:
    """Bit patterns as numbers in the order of the values; -0.0 and 0.0 are the same."""
    bits = np.ascontiguousarray(values, dtype=np.float64).view(np.int64)
    size = (bits & np.int64(0x7FFFFFFFFFFFFFFF)).astype(np.longdouble)
    return np.where(bits < 0, -size, size)
