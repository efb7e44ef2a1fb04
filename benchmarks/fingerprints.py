"""Fingerprints of datasets, against the hash alone on the same bytes."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from benchmarks.measure import Work, race
from benchmarks.result import Result

BYTES = 1_000_000_000
ARROW_ROWS = 10_000_000
OF_THE_HASH = {"numpy": 0.8, "arrow": 0.6}  # DESIGN 6; Arrow as issue 15 says


def results(work: Path, scale: float, repeats: int) -> list[Result]:
    """An array of floats, and a memory-mapped Arrow file with numbers, text and a column with nulls."""
    files = {"numpy": work / "array.npy", "arrow": work / "table.arrow"}
    _array(files["numpy"], int(BYTES * scale))
    _table(files["arrow"], int(ARROW_ROWS * scale))
    return [_result(kind, path, repeats) for kind, path in files.items()]


def _result(kind: str, path: Path, repeats: int) -> Result:
    imports = "numpy,pandas,pyarrow,pyarrow.compute,rldk.provenance.fingerprints.dataset"
    alone, ours = race(
        Work(f"{__name__}:hash_{kind}", str(path), imports),
        Work(f"{__name__}:take_{kind}", str(path), imports),
        repeats=repeats,
    )
    return Result(
        job=f"fingerprint, {kind}",
        ours=ours,
        baseline=alone,
        against="sha256 alone",
        ratio=alone.cpu_s / ours.cpu_s,
        at_least=OF_THE_HASH[kind],
        note=f"{path.stat().st_size / ours.cpu_s / 1e9:.2f} GB/cpu-s, {ours.facts['rows']:,} rows",
    )


def _array(path: Path, size: int) -> None:
    import numpy as np

    rows = size // 64
    made = np.lib.format.open_memmap(path, mode="w+", dtype="<f8", shape=(rows, 8))
    rng = np.random.default_rng(0)
    for start in range(0, rows, 1 << 18):
        made[start : start + (1 << 18)] = rng.standard_normal((min(1 << 18, rows - start), 8))
    made.flush()


def _table(path: Path, rows: int) -> None:
    import numpy as np
    import pyarrow as pa

    rng, step = np.random.default_rng(0), 1 << 17
    schema = pa.schema({"id": pa.int64(), "reward": pa.float64(), "text": pa.string(), "label": pa.float64()})
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for start in range(0, rows, step):
            n = min(step, rows - start)
            text = pa.array([f"row {i} of some text" for i in range(start, start + n)])
            label = pa.array(rng.random(n), mask=rng.random(n) < 0.1)
            writer.write(pa.record_batch([np.arange(start, start + n), rng.random(n), text, label], schema=schema))


def _opened(path: str) -> Any:
    import pyarrow as pa

    return pa.ipc.open_file(pa.memory_map(path)).read_all()


def hash_numpy(path: str) -> dict[str, int]:
    import numpy as np

    array = np.load(path, mmap_mode="r")
    hashlib.sha256(array.reshape(-1).view(np.uint8).data).digest()
    return {"rows": len(array)}


def take_numpy(path: str) -> dict[str, int]:
    from rldk.provenance.fingerprints.dataset import fingerprint

    return {"rows": fingerprint(path).rows}


def hash_arrow(path: str) -> dict[str, int]:
    table, made = _opened(path), hashlib.sha256()
    for column in table.columns:
        for buffer in (b for chunk in column.chunks for b in chunk.buffers() if b is not None):
            made.update(buffer)
    return {"rows": table.num_rows}


def take_arrow(path: str) -> dict[str, int]:
    from rldk.provenance.fingerprints.dataset import fingerprint

    return {"rows": fingerprint(_opened(path)).rows}
