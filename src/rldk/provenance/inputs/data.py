"""Hashes a dataset of a run again, and names the rows or files that differ."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from msgspec.structs import replace

from rldk.core.audit.outcome import CheckOutcome, named_places
from rldk.core.manifest import DatasetRecord
from rldk.errors import MalformedInput, UsageError
from rldk.provenance.fingerprints.dataset import DatasetFingerprint, fingerprint
from rldk.provenance.fingerprints.difference import DatasetDifference, difference, spans
from rldk.provenance.hashing import split_digest
from rldk.provenance.sidecars import kept_fingerprint

KINDS = frozenset({"records", "table", "array", "files"})


def dataset_outcome(folder: Path, name: str, record: DatasetRecord, place: Path) -> CheckOutcome:
    """Whether the data at `place` is the dataset of the run in `folder`. Raises `InputError` when it cannot be read."""
    algorithm, digest = split_digest(record.fingerprint)
    most = record.rows if record.sampled else None
    found = fingerprint(place, algorithm=algorithm, max_rows=most)
    size = f"{found.rows:,} {'files' if found.kind == 'files' else 'rows'}"
    if found.digest == digest:
        left = "; ONLY these were recorded" if record.sampled else ""
        return CheckOutcome(part="data", name=name, status="passed", message=f"{size}, {algorithm}{left}")
    if record.format in KINDS and record.format != found.kind:
        message = f"needs the data as {record.format}: {place} is read as {found.kind}"
        return CheckOutcome(part="data", name=name, status="not_checked", message=message)
    named = _places(folder, record, place, found)
    if not named and found.kind == "files" and found.rows == 1:
        named = [str(place)]
    places, more = named_places(named)
    message = f"{place} is not what was recorded"
    if record.rows not in (None, found.rows) and found.kind != "files":
        message += f" ({record.rows:,} rows before, {found.rows:,} now)"
    if not places:
        message += "; to name the rows, their digests had to be kept"
    return CheckOutcome(part="data", name=name, status="failed", message=message, places=places, more=more)


def _places(folder: Path, record: DatasetRecord, place: Path, found: DatasetFingerprint) -> list[str]:
    """The rows or files that differ, as far as the run keeps enough to say so."""
    try:
        kept = None if record.sampled else kept_fingerprint(folder, record)
        if kept is None:
            return []
        if kept.row_digests is not None:
            found = fingerprint(place, algorithm=found.algorithm, row_digests=True)
        shape = {} if kept.leaf_rows else {"leaf_rows": found.leaf_rows, "columns": found.columns}
        return list(_named(difference(replace(kept, **shape), found)))
    except (MalformedInput, UsageError) as error:
        return [error.message]


def _named(found: DatasetDifference) -> Iterator[str]:
    for word, names in (
        ("was changed", found.files_changed),
        ("is new", found.columns_added),
        ("is gone", found.columns_removed),
    ):
        yield from (f"{name} {word}" for name in names)
    yield from (f"row {after:,} was changed" for _, after in found.changed)
    yield from (f"row {before:,} is now row {after:,}" for before, after in found.moved)
    for word, ranges in (("is new", spans(found.added)), ("is gone", spans(found.removed))):
        for one in ranges:
            yield (
                f"row {one.first:,} {word}"
                if one.first == one.last
                else f"rows {one.first:,}-{one.last:,}: each {word}"
            )
    yield from (f"some row from {one.first:,} to {one.last:,}" for one in found.regions)
