"""Bisect: the commit, or the version of a package, from which on a command is bad; also where its outcome is noisy."""

from __future__ import annotations

TYPE_CHECKING = False

if TYPE_CHECKING:
    from rldk.bisect.bisecting import bisect_commits, bisect_versions
    from rldk.bisect.report import BisectResult

__all__ = ["BisectResult", "bisect_commits", "bisect_versions"]

_HOMES = {
    "BisectResult": "rldk.bisect.report",
    "bisect_commits": "rldk.bisect.bisecting",
    "bisect_versions": "rldk.bisect.bisecting",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'rldk.bisect' has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
