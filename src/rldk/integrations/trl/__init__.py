"""Callbacks for TRL: `from rldk.integrations.trl import RLDKCallback`. Nothing is imported before it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rldk.integrations.trl.callbacks import RLDKCallback, RLDKMonitor
    from rldk.integrations.trl.metrics import RLDKMetrics

__all__ = ["RLDKCallback", "RLDKMetrics", "RLDKMonitor"]

_HOMES = {
    "RLDKCallback": "callbacks",
    "RLDKMetrics": "metrics",
    "RLDKMonitor": "callbacks",
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
