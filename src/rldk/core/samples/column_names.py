"""Finds the columns that people and tools name in their own way."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from rldk.core.text import later

DEEPEST = 3  # objects inside each other whose keys are columns
MESSAGE = frozenset({"content", "role", "text"})  # keys of a message, which is a text
PLAIN = frozenset({"text", "content", "input", "output", "answer", "value", "metric", "success", "pass", "target"})
_BETWEEN = later(r"[\s_-]+")


class ColumnNames:
    """The names of the columns of a table, in order. `inside`: fields that may stand in an object (`result.score`)."""

    def __init__(self, names: Iterable[str], inside: Collection[str] = ()) -> None:
        self.known = list(dict.fromkeys(names))
        self._exact = frozenset(self.known)
        self._inside = frozenset(inside)
        self._loose: dict[str, str] = {}
        tails: dict[str, list[str]] = {}
        for name in self.known:
            self._loose.setdefault(_plain(name), name)
            if "." in name:
                tails.setdefault(_plain(name.rpartition(".")[2]), []).append(name)
        self._tails = {tail: paths[0] for tail, paths in tails.items() if len(paths) == 1}

    def find(self, field: str, words: Iterable[str], taken: Collection[str]) -> str | None:
        """The column of a field: the first word that is a name, else one that differs in case and in what stands
        between its words, else the only name inside an object that ends with it. None without one. `taken`: columns
        that mean something else."""
        every = tuple(words)
        found = next((word for word in every if word in self._exact and word not in taken), None)
        if found is None:
            found = self._first(self._loose, every, taken)
        if found is None and field in self._inside and self._tails:
            found = self._first(self._tails, [word for word in every if word not in PLAIN], taken)
        return found

    def _first(self, names: Mapping[str, str], words: Iterable[str], taken: Collection[str]) -> str | None:
        names_of = (names.get(_plain(word)) for word in words)
        return next((name for name in names_of if name is not None and name not in taken), None)


def paths_of(record: Mapping[Any, Any], before: str = "", depth: int = 1) -> Iterator[str]:
    """Yields the keys of a record, and after each object those inside it as `result.score`. A message is no object."""
    for key, value in record.items():
        name = f"{before}{key}"
        yield name
        if depth < DEEPEST and isinstance(value, Mapping) and not MESSAGE & value.keys():
            yield from paths_of(value, f"{name}.", depth + 1)


def value_at(record: Mapping[Any, Any], name: str) -> Any:
    """The value under a name of `paths_of`; None where there is none."""
    if name in record or "." not in name:
        return record.get(name)
    value: Any = record
    for key in name.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def getter_of(names: Iterable[str]) -> Callable[[Mapping[Any, Any], str], Any]:
    """What gives the value of a record under one of the names: `value_at`, or something quicker where no name leads
    into an object."""
    return value_at if any("." in name for name in names) else _top


def _top(record: Mapping[Any, Any], name: str) -> Any:
    return record.get(name)


def _plain(name: str) -> str:
    return _BETWEEN.sub("_", name.strip().casefold()).strip("_")
