"""The numbers of the difference of two tensors, in one pass over their bytes and a mebibyte at a time.

Pieces that are equal to the bit are only summed up; the rest is computed in float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rldk.forensics.checkpoints.decoding import is_float, native, ordered
from rldk.provenance.checkpoints.stored import Elements, Maps, StoredTensor

CHUNK_BYTES = 1 << 19  # of each side: both pieces stay in the cache of a core
ULPS = (1, 2, 16, 256, 4096, 65536)  # lower edges of the histogram
ULP_NAMES = ("0", "1", "2-15", "16-255", "256-4095", "4096-65535", ">=65536")
_SAFE = (1e-24, 1e30)  # a sum of squares in float32 within neither overflowed nor lost much to underflow


class Difference:
    """Sums over the pieces that were seen so far."""

    def __init__(self) -> None:
        self.squares = [0.0, 0.0]
        self.nan = [0, 0]
        self.inf = [0, 0]
        self.distance2 = 0.0
        self.product = 0.0
        self.changed = 0
        self.max_abs = math.nan
        self.at: int | None = None
        self.pair = (math.nan, math.nan)
        self.ulps = np.zeros(len(ULP_NAMES), np.int64)

    def add_equal(self, bits: NDArray[Any], dtype: str) -> None:
        """A piece that is the same in both."""
        values = native(bits, dtype)
        total = _squares(values)
        if not math.isfinite(total):
            nan, inf = int(np.isnan(values).sum()), int(np.isinf(values).sum())
            for side in (0, 1):
                self.nan[side] += nan
                self.inf[side] += inf
            total = _squares(np.where(np.isfinite(values), values, 0))
        self.squares = [known + total for known in self.squares]
        self.product += total

    def add(self, pair: tuple[NDArray[Any], NDArray[Any]], types: tuple[str, str], start: int) -> None:
        """A piece that may differ; `start` is the number of its first element."""
        a, b = (native(bits, dtype).astype(np.float64) for bits, dtype in zip(pair, types, strict=True))
        finite = np.isfinite(a) & np.isfinite(b)
        whole = bool(finite.all())
        for side, values in enumerate((a, b)):
            self._count(side, values, whole=whole)
        differ = pair[0] != pair[1] if types[0] == types[1] else (a != b) & ~(np.isnan(a) & np.isnan(b))
        count = int(np.count_nonzero(differ))
        if not whole:
            a, b = np.where(finite, a, 0), np.where(finite, b, 0)
        self.product += float(np.dot(a, b))
        if not count:
            return
        self.changed += count
        gap = b - a
        self.distance2 += float(np.dot(gap, gap))
        np.abs(gap, out=gap)
        place = int(gap.argmax())
        if not gap[place]:  # the bits differ, and no finite value does
            place = int(differ.argmax())
        if self.at is None or not self.max_abs >= gap[place]:
            self.at, self.max_abs = start + place, float(gap[place])
            x, y = (native(bits[place : place + 1], t) for bits, t in zip(pair, types, strict=True))
            self.pair = (float(x[0]), float(y[0]))
        if types[0] == types[1] and is_float(types[0]) and types[0] != "float8_e8m0fnu":
            self._count_ulps(pair, differ & finite)

    def _count(self, side: int, values: NDArray[np.float64], *, whole: bool) -> None:
        if not whole:
            self.nan[side] += int(np.isnan(values).sum())
            self.inf[side] += int(np.isinf(values).sum())
            values = np.where(np.isfinite(values), values, 0)
        self.squares[side] += float(np.dot(values, values))

    def _count_ulps(self, pair: tuple[NDArray[Any], NDArray[Any]], where: NDArray[np.bool_]) -> None:
        a, b = (ordered(bits[where]) for bits in pair)
        # two floats of opposite sign may be further apart than an int64 holds
        gap = np.where((a < 0) == (b < 0), np.abs(b - a).astype(np.float64), np.abs(a.astype(np.float64) - b))
        self.ulps += np.bincount(np.searchsorted(ULPS, gap, side="right"), minlength=len(ULP_NAMES))

    def histogram(self) -> dict[str, int]:
        """The bins of the ULP histogram that are not empty."""
        return {name: int(n) for name, n in zip(ULP_NAMES, self.ulps, strict=True) if n}

    def cosine(self) -> float:
        """The cosine between both tensors as vectors; NaN where one is zero."""
        if not self.changed and self.squares[0] > 0:
            return 1.0
        size = math.sqrt(self.squares[0]) * math.sqrt(self.squares[1])
        return min(1.0, max(-1.0, self.product / size)) if size > 0 else math.nan


def _squares(values: NDArray[Any]) -> float:
    """The sum of squares; not finite when a value is not."""
    if values.dtype == np.float32:
        with np.errstate(over="ignore"):
            quick = float(np.dot(values, values))
        if _SAFE[0] < quick < _SAFE[1] or (quick == 0 and not values.any()):
            return quick
    wide = values.astype(np.float64)
    with np.errstate(over="ignore"):
        return float(np.dot(wide, wide))


def difference(a: StoredTensor, b: StoredTensor, maps: Maps, each: Callable[[int], None]) -> Difference:
    """The difference of two tensors with as many elements. `each`: is called with the bytes of each piece."""
    first, second = Elements(a, maps), Elements(b, maps)
    found, types = Difference(), (a.dtype, b.dtype)
    width = max(1, sum(p.size for p in b.pieces) // max(1, second.count))
    step = CHUNK_BYTES // width
    for start in range(0, second.count, step):
        stop = min(start + step, second.count)
        pair = (first.read(start, stop), second.read(start, stop))
        if types[0] == types[1] and same_bits(*pair):
            found.add_equal(pair[1], b.dtype)
        else:
            found.add(pair, types, start)
        each((stop - start) * width)
    return found


def same_bits(a: NDArray[Any], b: NDArray[Any]) -> bool:
    """Whether two pieces are equal to the bit, compared eight bytes at a time where they can be."""
    if a.nbytes % 8 == 0 and a.flags.c_contiguous and b.flags.c_contiguous:
        a, b = a.view(np.uint64), b.view(np.uint64)
    return bool((a == b).all())
