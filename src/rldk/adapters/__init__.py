"""Log formats. The documented names are imported on first use; `base.adapters` knows every format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rldk.adapters.base import BaseAdapter, adapter
    from rldk.adapters.flexible import FlexibleAdapter
    from rldk.adapters.jsonl import CustomJSONLAdapter
    from rldk.adapters.open import open_run, open_runs
    from rldk.adapters.openrlhf import OpenRLHFAdapter
    from rldk.adapters.trl import GRPOAdapter, TRLAdapter
    from rldk.adapters.wandb_offline import WandBAdapter

__all__ = [
    "BaseAdapter",
    "CustomJSONLAdapter",
    "FlexibleAdapter",
    "GRPOAdapter",
    "OpenRLHFAdapter",
    "TRLAdapter",
    "WandBAdapter",
    "adapter",
    "open_run",
    "open_runs",
]

_HOMES = {
    "BaseAdapter": "base",
    "CustomJSONLAdapter": "jsonl",
    "FlexibleAdapter": "flexible",
    "GRPOAdapter": "trl",
    "OpenRLHFAdapter": "openrlhf",
    "TRLAdapter": "trl",
    "WandBAdapter": "wandb_offline",
    "adapter": "base",
    "open_run": "open",
    "open_runs": "open",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'rldk.adapters' has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"rldk.adapters.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
