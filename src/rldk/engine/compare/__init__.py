"""Comparing runs: their metrics at common steps, and what they record of themselves."""

from __future__ import annotations

from rldk.engine.compare.tables import BATCHES, LEAST, AlignedMetric, TableComparison, align, compare

__all__ = ["BATCHES", "LEAST", "AlignedMetric", "TableComparison", "align", "compare"]
