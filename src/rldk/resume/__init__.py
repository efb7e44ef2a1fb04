"""Resume: whether a training that was stopped and resumed is the one that was never stopped."""

from __future__ import annotations

TYPE_CHECKING = False

if TYPE_CHECKING:
    from rldk.resume.checking import check_resume
    from rldk.resume.report import ResumeReport

__all__ = ["ResumeReport", "check_resume"]

_HOMES = {"ResumeReport": "rldk.resume.report", "check_resume": "rldk.resume.checking"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'rldk.resume' has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
