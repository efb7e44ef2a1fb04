"""Several runs side by side: groups of seeds, and whether one group is better."""

from __future__ import annotations

TYPE_CHECKING = False

if TYPE_CHECKING:
    from rldk.comparison.compare import compare_runs
    from rldk.comparison.report import ComparisonReport

__all__ = ["ComparisonReport", "compare_runs"]

_HOMES = {"ComparisonReport": "rldk.comparison.report", "compare_runs": "rldk.comparison.compare"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'rldk.comparison' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
