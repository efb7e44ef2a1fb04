"""Reads evaluations.npz, which EvalCallback of Stable-Baselines3 writes."""

from __future__ import annotations

import io
import math
import re
import zlib
from typing import TYPE_CHECKING, Any, ClassVar

from rldk.adapters.base import BaseAdapter, adapter
from rldk.adapters.formats.sb3_monitor import IDENTITY
from rldk.adapters.log import Log
from rldk.adapters.reading import Reading, only_file
from rldk.adapters.source import File
from rldk.core.records import MAX_STEP
from rldk.core.stream import BrokenStream, chunks
from rldk.core.text import later
from rldk.errors import MalformedInput

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_PACKED = 1 << 26
MAX_UNPACKED = 1 << 28  # 2000 evaluations of 16000 episodes
_NPY = later(
    rb"\x93NUMPY(?:\x01\0..|[\x02\x03]\0....)\{'descr': '(?P<dtype>[<>|](?:[iu][1248]|f[248]|b1))', "
    rb"'fortran_order': (?P<fortran>True|False), 'shape': \((?P<shape>[\d, ]{0,40})\), \} *\n",
    re.DOTALL,
)
_MEMBERS = {"results": "eval/mean_reward", "ep_lengths": "eval/mean_ep_length", "successes": "eval/success_rate"}


@adapter
class SB3Evaluations(BaseAdapter):
    """evaluations.npz: arrays timesteps (n,), results and ep_lengths (n, episodes), and successes for some tasks."""

    name: ClassVar[str] = "sb3-evaluations"
    describes: ClassVar[str] = "evaluations.npz of Stable-Baselines3"
    quality: ClassVar[int] = 25
    keeps: ClassVar[str] = "returns and lengths of every evaluation"
    loses: ClassVar[str] = "everything else"

    @classmethod
    def sniff(cls, file: File) -> int:
        named = b"timesteps.npy" in file.head and b"results.npy" in file.head
        return 95 if file.head.startswith(b"PK\x03\x04") and named else 0

    def read(self) -> Log:
        import numpy as np

        file = only_file(self)
        arrays = _arrays(file)
        steps = arrays.get("timesteps", np.empty(0))
        if steps.ndim != 1 or "results" not in arrays:
            raise _unreadable(file, "needs one-dimensional timesteps, and results")
        means = {_MEMBERS[n]: _row_means(a, len(steps)) for n, a in arrays.items() if n in _MEMBERS}
        reading = Reading(self)
        for i, step in enumerate(steps.tolist()):
            values = {name: float(mean[i]) for name, mean in means.items() if mean is not None}
            if isinstance(step, int) and abs(step) < MAX_STEP:
                reading.row(step, values, phase="eval")
            else:
                reading.reject(i + 1, 0, "the step is not a whole number", str(step))
        return reading.log(**IDENTITY)


def _row_means(array: NDArray[Any], rows: int) -> NDArray[np.float64] | None:
    """The mean over the episodes of each evaluation; None when the array is not a table of `rows` rows."""
    import numpy as np

    if array.ndim != 2 or array.shape[0] != rows or not array.shape[1]:
        return None
    with np.errstate(all="ignore"):
        return np.asarray(array.mean(axis=1, dtype=np.float64))


def _arrays(file: File) -> dict[str, NDArray[Any]]:
    """The arrays of numbers in the archive. Raises `MalformedInput` for a damaged or an oversized one."""
    import zipfile

    packed = bytearray()
    try:
        for chunk in chunks(file):
            packed += chunk
            if len(packed) > MAX_PACKED:
                raise _unreadable(file, f"is larger than {MAX_PACKED >> 20} MiB")
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            members = [m for m in archive.infolist() if m.filename.removesuffix(".npy") in {"timesteps", *_MEMBERS}]
            if sum(m.file_size for m in members) > MAX_UNPACKED:
                raise _unreadable(file, f"unpacks to more than {MAX_UNPACKED >> 20} MiB")
            return {m.filename.removesuffix(".npy"): _array(archive.read(m)) for m in members}
    except (BrokenStream, zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError) as error:
        raise _unreadable(file, f"is damaged: {error}") from None
    except (RuntimeError, MemoryError, OverflowError, KeyError) as error:  # encrypted; a size that lies; a lost member
        raise _unreadable(file, f"is damaged: {error}") from None


def _array(data: bytes) -> NDArray[Any]:
    """The array of numbers in an .npy file. Raises `ValueError` for objects and for a shape that the bytes do not fill.

    numpy's own reader would evaluate the header, ask for all the memory it promises, and raise tokenizer errors."""
    import numpy as np

    header = _NPY.match(data)
    if header is None:
        raise ValueError("the array does not hold numbers")
    shape = tuple(int(n) for n in header["shape"].split(b",") if n.strip())
    dtype = np.dtype(header["dtype"].decode())
    count = math.prod(shape)
    if count * dtype.itemsize > len(data) - header.end():
        raise ValueError("the array is cut short")
    flat = np.frombuffer(data, dtype=dtype, count=count, offset=header.end())
    return flat.reshape(shape, order="F" if header["fortran"] == b"True" else "C")


def _unreadable(file: File, why: str) -> MalformedInput:
    return MalformedInput(f"{file.path} {why}", hint="read progress.csv or monitor.csv of the same run instead")
