"""Named registries with late-loaded entry points. A broken plugin is one warning, never an error."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from rldk.core.plugins import entry_points
from rldk.errors import RldkError, UnknownName

T = TypeVar("T")


class DuplicateName(RldkError):
    """Raised when two things are registered under one name."""


def modules_of(*packages: str) -> Callable[[], None]:
    """A function that imports every module of these packages: for `builtins`, where each file registers its own."""

    def load() -> None:
        from importlib import import_module
        from pkgutil import iter_modules

        for package in packages:
            for module in iter_modules(import_module(package).__path__):
                import_module(f"{package}.{module.name}")

    return load


class Registry(Generic[T]):
    """Things of one kind by name. Built-ins are loaded on the first look-up, then the entry points of `group`."""

    def __init__(self, kind: str, *, group: str, builtins: Callable[[], None] | None = None) -> None:
        self.kind = kind
        self.group = group
        self._builtins = builtins
        self._items: dict[str, T] = {}
        self._loaded = False

    def register(self, name: str, item: T) -> T:
        if self._items.get(name, item) is not item:
            raise DuplicateName(f"{self.kind} {name!r} is registered twice", hint="rename one of the two")
        self._items[name] = item
        return item

    def get(self, name: str) -> T:
        self._load()
        try:
            return self._items[name]
        except KeyError:
            raise UnknownName(self.kind, name, self._items) from None

    def list_known(self) -> tuple[T, ...]:
        """The things registered so far, by name. All of them when there are plugins, whose names must not come
        first."""
        if entry_points(self.group):
            self._load()
        return tuple(self._items[n] for n in sorted(self._items))

    def names(self) -> tuple[str, ...]:
        self._load()
        return tuple(sorted(self._items))

    def __iter__(self) -> Iterator[T]:
        self._load()
        return iter([self._items[n] for n in sorted(self._items)])

    def __len__(self) -> int:
        self._load()
        return len(self._items)

    def __contains__(self, name: object) -> bool:
        self._load()
        return name in self._items

    def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True
        if self._builtins is not None:
            self._builtins()
        for point in entry_points(self.group):
            try:
                point.load()
            except Exception as error:  # noqa: BLE001 - a plugin may raise anything; it must not take rldk down
                warnings.warn(
                    f"plugin {point.name!r} ({point.value}) of {self.group} was not loaded: {error}", stacklevel=2
                )


def _load_cards() -> None:
    from importlib import import_module

    for name in ("github", "junit", "markdown", "page", "png", "sarif", "svg", "terminal", "wire"):
        import_module(f"rldk.cards.{name}")


renderers: Registry[Callable[..., Any]] = Registry("renderer", group="rldk.renderers", builtins=_load_cards)
