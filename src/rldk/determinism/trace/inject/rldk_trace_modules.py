"""Which module of torch is running."""

from __future__ import annotations

import contextlib
import threading
import weakref
from typing import Any


class ModuleNames:
    """The path of the module that is running, from the outermost one down."""

    def __init__(self, names: Any) -> None:
        self._names = names
        self._stack: list[int] = []
        self._known: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self._main = threading.get_ident()

    def current(self) -> int:
        """The number of the innermost running module, 0 outside all."""
        return self._stack[-1] if self._stack else 0

    def enter(self, module: Any, _: object) -> None:
        """A module begins its forward."""
        if threading.get_ident() != self._main:
            return
        number = self._known.get(module)
        if number is None:
            with contextlib.suppress(Exception):  # a module of the script that cannot be looked through has no name
                self._name_all(module)
            number = self._known.get(module, 0)
        self._stack.append(number)

    def leave(self, *_: object) -> None:
        """A module has ended its forward, or failed in it."""
        if self._stack and threading.get_ident() == self._main:
            self._stack.pop()

    def _name_all(self, root: Any) -> None:
        top = type(root).__name__
        for name, module in root.named_modules():
            if module is root or module not in self._known:
                text = f"{top}.{name} ({type(module).__name__})" if name else top
                self._known[module] = self._names.number("module", text)
