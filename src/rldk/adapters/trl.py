"""The documented import path of the adapters for TRL."""

from __future__ import annotations

from rldk.adapters.formats.trl import GRPOAdapter, TRLAdapter

__all__ = ["GRPOAdapter", "TRLAdapter"]
