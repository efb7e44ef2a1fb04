"""The callback for RLlib: `from rldk.integrations.rllib import RLDKCallback`. Nothing is imported before."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rldk.integrations.rllib.callback import RLDKCallback

__all__ = ["RLDKCallback"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from rldk.integrations.rllib.callback import RLDKCallback

    return RLDKCallback


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
