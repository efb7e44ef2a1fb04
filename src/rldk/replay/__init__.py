"""Replay: a recorded run, run again from its record, and compared with the original step by step."""

from __future__ import annotations

TYPE_CHECKING = False

if TYPE_CHECKING:
    from rldk.replay.replaying import replay
    from rldk.replay.report import ReplayReport

__all__ = ["ReplayReport", "replay"]

_HOMES = {"ReplayReport": "rldk.replay.report", "replay": "rldk.replay.replaying"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'rldk.replay' has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
