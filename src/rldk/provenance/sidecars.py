"""Digests that a run keeps beside its manifest: of the rows of its datasets and the tensors of its models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rldk.core.manifest import DatasetRecord
from rldk.errors import MalformedInput
from rldk.provenance.fingerprints.dataset import DatasetFingerprint
from rldk.provenance.fingerprints.digest import ROW_BYTES
from rldk.provenance.fingerprints.model import TensorFingerprint
from rldk.provenance.inside import is_plain_file, place_inside

MAX_BYTES = 4 << 30  # 16 bytes a row: a quarter of a billion rows


def kept_fingerprint(folder: Path, record: DatasetRecord) -> DatasetFingerprint | None:
    """What the run in `folder` keeps of the leaves and the rows of a dataset, None where it keeps nothing. Raises
    `MalformedInput` for files that hold something else."""
    rows = _content(folder, record.rows_file)
    about = _content(folder, record.leaves_file)
    if rows is not None and len(rows) % ROW_BYTES:
        raise MalformedInput(f"{record.rows_file} does not hold digests of {ROW_BYTES} bytes: was it copied whole?")
    if about is None and rows is None:
        return None
    algorithm, _, digest = record.fingerprint.rpartition(":")
    said = _object(record.leaves_file, about) if about is not None else {}
    try:
        return DatasetFingerprint(
            digest=digest,
            kind=record.format,
            algorithm=algorithm or "sha256",
            rows=record.rows if record.rows is not None else len(rows or b"") // ROW_BYTES,
            columns=tuple(map(str, said.get("columns") or ())),
            leaf_rows=int(said.get("leaf_rows") or 0),
            leaves=tuple(map(bytes.fromhex, said.get("leaves") or ())),
            row_digests=rows,
        )
    except (ValueError, TypeError) as error:
        raise MalformedInput(f"{record.leaves_file} holds no digests of leaves: {error}") from None


def kept_tensors(folder: Path, name: str | None) -> dict[str, TensorFingerprint] | None:
    """What the run keeps of the tensors of a model, by name; None where it keeps nothing. Raises `MalformedInput` for
    a file that holds something else."""
    data = _content(folder, name)
    if data is None:
        return None
    try:
        return {str(key): _tensor(entry) for key, entry in _object(name, data)["tensors"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MalformedInput(f"{name} is no list of tensors: {type(error).__name__}: {error}") from None


def _tensor(entry: dict[str, Any]) -> TensorFingerprint:
    return TensorFingerprint(
        dtype=str(entry["dtype"]),
        shape=tuple(int(n) for n in entry["shape"]),
        digest=str(entry["digest"]),
        leaves=tuple(bytes.fromhex(leaf) for leaf in entry.get("leaves") or ()),
    )


def _object(name: str | None, data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise MalformedInput(f"{name} is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise MalformedInput(f"{name} is no JSON object")
    return found


def _content(folder: Path, name: str | None) -> bytes | None:
    if name is None:
        return None
    path = place_inside(folder, name)
    if not is_plain_file(path):
        return None
    if path.stat().st_size > MAX_BYTES:
        raise MalformedInput(f"{path} is larger than {MAX_BYTES >> 30} GiB")
    return path.read_bytes()
