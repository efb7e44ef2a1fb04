"""The log formats. The documented names are imported on first use; `base.adapters` lists every format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rldk.adapters.base import BaseAdapter, adapter
    from rldk.adapters.formats.flexible import FlexibleAdapter
    from rldk.adapters.formats.jsonl import CustomJSONLAdapter
    from rldk.adapters.formats.openrlhf import OpenRLHFAdapter
    from rldk.adapters.formats.trl import GRPOAdapter, TRLAdapter
    from rldk.adapters.formats.wandb_offline import WandBAdapter
    from rldk.adapters.open import open_run, open_runs

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
    "CustomJSONLAdapter": "formats.jsonl",
    "FlexibleAdapter": "formats.flexible",
    "GRPOAdapter": "formats.trl",
    "OpenRLHFAdapter": "formats.openrlhf",
    "TRLAdapter": "formats.trl",
    "WandBAdapter": "formats.wandb_offline",
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
