"""Determinism: whether a command gives the same numbers each time, and where and why it does not."""

from __future__ import annotations

TYPE_CHECKING = False

if TYPE_CHECKING:
    from rldk.determinism.checking import check
    from rldk.determinism.report import DeterminismReport
    from rldk.engine.replicas.launch import launcher

__all__ = ["DeterminismReport", "check", "launcher"]

_HOMES = {
    "DeterminismReport": "rldk.determinism.report",
    "check": "rldk.determinism.checking",
    "launcher": "rldk.engine.replicas.launch",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'rldk.determinism' has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
