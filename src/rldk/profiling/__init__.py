"""Profiles of a training: which phase, which line and which operation takes the time, and whether memory leaks."""

from __future__ import annotations

TYPE_CHECKING = False

if TYPE_CHECKING:
    from rldk.profiling.profiling import profile_command
    from rldk.profiling.report import ProfileReport
    from rldk.profiling.session import profile

__all__ = ["ProfileReport", "profile", "profile_command"]

_HOMES = {
    "ProfileReport": "rldk.profiling.report",
    "profile": "rldk.profiling.session",
    "profile_command": "rldk.profiling.profiling",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'rldk.profiling' has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
