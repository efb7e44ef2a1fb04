"""Callbacks for TRL: `from rldk.integrations.trl import RLDKCallback`. Nothing is imported before it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rldk.integrations.trl.callbacks import CustomRLDKCallback, EventWriterCallback, RLDKCallback, RLDKMonitor
    from rldk.integrations.trl.metrics import CheckpointMetrics, PPOMetrics, RLDKMetrics
    from rldk.integrations.trl.monitors import (
        AdvancedPPOMonitor,
        CheckpointMonitor,
        ComprehensivePPOMonitor,
        PPOMonitor,
    )
    from rldk.integrations.trl.ppo import create_ppo_trainer

__all__ = [
    "AdvancedPPOMonitor",
    "CheckpointMetrics",
    "CheckpointMonitor",
    "ComprehensivePPOMonitor",
    "CustomRLDKCallback",
    "EventWriterCallback",
    "PPOMetrics",
    "PPOMonitor",
    "RLDKCallback",
    "RLDKMetrics",
    "RLDKMonitor",
    "create_ppo_trainer",
]

_HOMES = {
    "AdvancedPPOMonitor": "monitors",
    "CheckpointMetrics": "metrics",
    "CheckpointMonitor": "monitors",
    "ComprehensivePPOMonitor": "monitors",
    "CustomRLDKCallback": "callbacks",
    "EventWriterCallback": "callbacks",
    "PPOMetrics": "metrics",
    "PPOMonitor": "monitors",
    "RLDKCallback": "callbacks",
    "RLDKMetrics": "metrics",
    "RLDKMonitor": "callbacks",
    "create_ppo_trainer": "ppo",
}


def __getattr__(name: str) -> object:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
