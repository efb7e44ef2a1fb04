"""From where on two runs differ, and whether that is more than the noise of seeds."""

from __future__ import annotations

TYPE_CHECKING = False

if TYPE_CHECKING:
    from rldk.diff.divergence import first_divergence
    from rldk.diff.report import DivergenceReport

__all__ = ["DivergenceReport", "first_divergence"]

_HOMES = {"DivergenceReport": "rldk.diff.report", "first_divergence": "rldk.diff.divergence"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'rldk.diff' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
