"""A dataset of a run: its record in the manifest, and the digests of its rows beside it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from rldk.cards.progress import progress
from rldk.core.manifest import DatasetRecord
from rldk.core.secrets.redact import without_secrets
from rldk.errors import UsageError
from rldk.provenance.fingerprints.dataset import DatasetFingerprint, fingerprint
from rldk.tracking.config import plain_config
from rldk.tracking.record import RunRecord
from rldk.utils.seed import restore_seed_state, seed_state

FEW_ROWS = 10_000  # up to here a digest of every row is kept: 160 kB, and no second of work
FEW_BYTES = 4 << 20  # of a file
_ONLY_DATA = frozenset({"numpy", "pandas", "polars", "pyarrow", "builtins"})


class RowChoice(Struct, frozen=True, kw_only=True):
    """How much of a dataset is looked at. `rows`: whether a digest of each row is kept, None to keep them of a small
    dataset. `most`: only so many rows are read."""

    rows: bool | None = None
    most: int | None = None


def record_dataset(
    data: Any,
    name: str,
    into: RunRecord,
    *,
    metadata: Mapping[str, Any] | None = None,
    algorithm: str = "sha256",
    choice: RowChoice | None = None,
) -> DatasetRecord:
    """The record of a dataset. The files beside the manifest tell later which rows have changed.

    Raises `UsageError` for what can be read only once or has no end, else as `fingerprint` does."""
    chosen, said = choice or RowChoice(), plain_config(metadata)
    _check(data, chosen)
    keep = _is_small(data) if chosen.rows is None else chosen.rows
    with progress(_length(data, chosen)) as bar, _generators_restored(data):
        bar.begin(f"fingerprint of {name}")
        found = fingerprint(data, algorithm=algorithm, row_digests=keep, max_rows=chosen.most, each=bar.advance)
    stem = into.stem("datasets", name)
    return DatasetRecord(
        fingerprint=f"{found.algorithm}:{found.digest}",
        format=found.kind,
        rows=found.rows,
        bytes=_bytes(data),
        source=_source(data),
        sampled=found.sampled is not None,
        rows_file=None if found.row_digests is None else into.keep(f"{stem}.rows", found.row_digests),
        leaves_file=into.keep(f"{stem}.leaves.json", _leaves(found)),
        metadata=said,
    )


def _leaves(found: DatasetFingerprint) -> bytes:
    """Everything of the fingerprint but the digests of the rows, as JSON; the leaves are hexadecimal."""
    said = {name: getattr(found, name) for name in found.__struct_fields__ if name != "row_digests"}
    return msgspec.json.encode({**said, "leaves": [leaf.hex() for leaf in found.leaves]})


def _check(data: Any, choice: RowChoice) -> None:
    if isinstance(data, Iterator):
        raise UsageError(
            "an iterator can be read only once: the training would find it empty",
            hint="track the list or the file that it reads",
        )
    if hasattr(data, "batch_sampler") and hasattr(data, "dataset"):
        raise UsageError("a DataLoader is no dataset: it shuffles", hint="track its dataset, `loader.dataset`")
    endless = hasattr(data, "__iter__") and not hasattr(data, "__len__") and not isinstance(data, str | os.PathLike)
    if endless and choice.most is None:
        raise UsageError(
            f"a {type(data).__name__} does not say how many rows it has",
            hint="track_dataset(data, name, max_rows=10_000) reads the first rows, and the record says so",
        )


def _is_small(data: Any) -> bool:
    if isinstance(data, str | os.PathLike):
        path = Path(data)
        return path.is_file() and path.stat().st_size <= FEW_BYTES
    return hasattr(data, "__len__") and _length(data, RowChoice()) <= FEW_ROWS


def _length(data: Any, chosen: RowChoice) -> int:
    """How many rows will be read; 0 where that is not known."""
    if isinstance(data, str | os.PathLike):
        return 0
    try:
        return min(len(data), chosen.most if chosen.most is not None else len(data))
    except TypeError:  # no length, or an array of no dimension
        return chosen.most or 0


@contextmanager
def _generators_restored(data: Any) -> Iterator[None]:
    """A dataset with code of its own may draw from the generators of the process: what is drawn is put back, so that a
    tracked run trains on the same numbers as one that is not."""
    if isinstance(data, str | os.PathLike) or type(data).__module__.partition(".")[0] in _ONLY_DATA:
        yield
        return
    before = seed_state()
    try:
        yield
    finally:
        restore_seed_state(before)


def _bytes(data: Any) -> int | None:
    if isinstance(data, str | os.PathLike):
        path = Path(data)
        return path.stat().st_size if path.is_file() else None
    size = getattr(data, "nbytes", None)
    return size if type(size) is int else None


def _source(data: Any) -> str | None:
    return without_secrets(str(Path(data).absolute())) if isinstance(data, str | os.PathLike) else None
