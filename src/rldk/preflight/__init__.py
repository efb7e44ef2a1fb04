"""What can be known of a training before it begins: `rldk.preflight(...)`, `rldk preflight CONFIG`, `-- COMMAND`.

The package can be called: `rldk.preflight(tokenizer=..., reward_fn=..., dataset=...)` is `preflight` below."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rldk.core.model import Report
    from rldk.preflight.check import preflight, preflight_config
    from rldk.preflight.command import preflight_command

__all__ = ["preflight", "preflight_command", "preflight_config"]

_HOMES = {"preflight": "check", "preflight_config": "check", "preflight_command": "command"}


class CallableModule(ModuleType):
    """A module that is also its main function: `rldk.preflight` stays a module, as its documentation says."""

    def __call__(self, *args: Any, **kwargs: Any) -> Report:
        from rldk.preflight.check import preflight

        return preflight(*args, **kwargs)


def __getattr__(name: str) -> object:
    """The public name from its own file, imported on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'rldk.preflight' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"rldk.preflight.{_HOMES[name]}"), name)


sys.modules[__name__].__class__ = CallableModule
