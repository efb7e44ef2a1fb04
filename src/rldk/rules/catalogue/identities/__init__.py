"""Rules over what only a hook in the trainer can measure."""

from __future__ import annotations

from rldk.rules.catalogue.identities import data, gradient, optimiser, system

__all__ = ["data", "gradient", "optimiser", "system"]
