"""Calls a hook when a module has just been loaded, in a process of a command. Standard library only."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


class AfterImport:
    """A finder that lets the others find a module, and calls its hook when it has just been loaded.

    `hooks`: module -> what is called with it. `failed`: called with a module and the reason why it was not hooked."""

    def __init__(
        self, hooks: Mapping[str, Callable[[ModuleType], object]], failed: Callable[[str, Exception | str], object]
    ) -> None:
        self._hooks = hooks
        self._failed = failed
        self._busy: set[str] = set()

    def install(self) -> None:
        """Begins to wait."""
        sys.meta_path.insert(0, self)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec that another finder gives, with a loader that hooks the module."""
        if name not in self._hooks or name in self._busy:
            return None
        self._busy.add(name)
        try:
            others = (finder for finder in sys.meta_path if finder is not self and hasattr(finder, "find_spec"))
            found = next((spec for finder in others if (spec := finder.find_spec(name, path, target))), None)
        finally:
            self._busy.discard(name)
        if found is not None and found.loader is not None:
            self._watch(name, found.loader)
        return found

    def _watch(self, name: str, loader: Any) -> None:
        load = getattr(loader, "exec_module", None)

        def exec_module(module: ModuleType) -> None:
            del loader.exec_module
            loader.exec_module(module)
            try:
                self._hooks[name](module)
            except Exception as error:  # noqa: BLE001 - the script must run as it would without rldk
                self._failed(name, error)

        try:
            if load is not None:
                loader.exec_module = exec_module
        except AttributeError:  # a loader of the user's own that takes no attribute
            self._failed(name, "its loader cannot be watched")
