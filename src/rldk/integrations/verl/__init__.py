"""A tracking backend for verl: `from rldk.integrations.verl import RLDKTracking`, or the plugin `verl.plugin`."""

from __future__ import annotations

from rldk.integrations.verl.tracking import RLDKTracking, register

__all__ = ["RLDKTracking", "register"]
