"""The callback for Stable-Baselines3: `from rldk.integrations.sb3 import RLDKCallback`. Nothing is imported before."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rldk.integrations.sb3.callback import RLDKCallback, RLDKWriter

__all__ = ["RLDKCallback", "RLDKWriter"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from rldk.integrations.sb3 import callback

    return getattr(callback, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
