"""Where data came from: an append-only record of transformations, each with the digests of what went in and came out.

`record` writes one transformation, `transformation` is the context manager, and `record_calls` the decorator."""

from __future__ import annotations

from rldk.tracking.lineage.chain import LineageItem, LineageRecord, read_lineage
from rldk.tracking.lineage.checking import verify_lineage
from rldk.tracking.lineage.recording import record, record_calls, transformation

__all__ = [
    "LineageItem",
    "LineageRecord",
    "read_lineage",
    "record",
    "record_calls",
    "transformation",
    "verify_lineage",
]
