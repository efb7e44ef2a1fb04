"""The part of hydra that verl's configurations use: lists of defaults, overrides, and references between values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rldk.preflight.yaml_text import load_yaml, scalar

MAX_FILES = 100
MAX_ROUNDS = 5  # references that refer to references
_REFERENCE = re.compile(r"\$\{(?:oc\.select:)?([\w.@]+)(?:,\s*([^${}]*))?\}")
_DEFAULT = re.compile(r"(?P<group>[\w./${}-]+?)(?:@(?P<target>[\w.]+))?$")
MISSING = "???"


def compose(path: Path, config: dict[str, Any], overrides: Sequence[str], notes: list[str]) -> dict[str, Any]:
    """The configuration with its list of defaults filled in, from files beside it. A default that is not there is
    noted."""
    if not isinstance(config.get("defaults"), list):
        return config
    choices = {key: value for key, _, value in (word.lstrip("+").partition("=") for word in overrides)}
    return _composed(path, config, choices, _Search(path.parent.resolve(), notes))


class _Search:
    """The folder that defaults may come from, and how many files were opened."""

    def __init__(self, root: Path, notes: list[str]) -> None:
        self.root, self.notes, self.opened = root, notes, 0

    def read(self, beside: Path, name: str) -> tuple[Path, dict[str, Any]] | None:
        """The file of a default; None with a note where it is not there."""
        self.opened += 1
        file = (self.root / f"{name[1:]}.yaml" if name.startswith("/") else beside.parent / f"{name}.yaml").resolve()
        if self.root not in file.parents or not file.is_file():
            self.notes.append(f"the default `{name}` of {beside.name} is not beside it, and was not read")
            return None
        return file, load_yaml(file.read_text(encoding="utf-8"), str(file))


def _composed(path: Path, config: dict[str, Any], choices: Mapping[str, str], search: _Search) -> dict[str, Any]:
    own = {key: value for key, value in config.items() if key not in ("defaults", "hydra")}
    made: dict[str, Any] = {}
    known, placed = dict(choices), False
    for entry in config.get("defaults") or []:
        if entry == "_self_":
            merge(made, own)
            placed = True
            continue
        name, target = _entry(entry, known)
        found = search.read(path, name) if name and search.opened < MAX_FILES else None
        if found is None:
            continue
        part = _composed(*found, known, search)
        merge(made, nest(target, part))
    if not placed:
        merge(made, own)
    return made


def _entry(entry: Any, known: dict[str, str]) -> tuple[str, str]:
    """The file of a default, and the dotted place it fills: `optim@actor.optim: fsdp` is optim/fsdp."""
    if isinstance(entry, str):
        return entry, ""
    if not isinstance(entry, dict) or len(entry) != 1:
        return "", ""
    (key, option), *_ = entry.items()
    if option is None:
        return "", ""
    found = _DEFAULT.fullmatch(str(key).removeprefix("override ").removeprefix("optional "))
    if found is None:
        return "", ""
    group, target = found["group"], found["target"]
    chosen = known.get(str(key), known.get(group, str(option)))
    chosen = re.sub(r"\$\{(\w+)\}", lambda m: known.get(m[1], ""), chosen)
    known.setdefault(group, chosen)
    place = group.replace("/", ".") if target is None else target
    return f"{group}/{chosen}", place


def merge(into: dict[str, Any], other: Mapping[str, Any]) -> None:
    """Adds the values of `other`, mapping by mapping; later ones win."""
    for key, value in other.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into[key] = dict(value) if isinstance(value, Mapping) else value


def nest(target: str, part: dict[str, Any]) -> dict[str, Any]:
    """The mapping below a dotted place; `_global_` and "" are the top."""
    if target in ("", "_global_", "_here_"):
        return part
    for word in reversed(target.split(".")):
        part = {word: part}
    return part


def override(config: dict[str, Any], word: str) -> None:
    """Sets what `key=value`, `+key=value`, `++key=value` says, and removes what `~key` names."""
    key, equals, text = word.partition("=")
    if key.startswith("~"):
        _remove(config, key[1:])
        return
    if not equals:
        return
    place = key.lstrip("+")
    if place in config or "." not in place:
        config[place] = scalar(text)
        return
    _remove(config, place)
    merge(config, nest(place, scalar(text)))


def _remove(config: dict[str, Any], place: str) -> None:
    config.pop(place, None)
    *path, last = place.split(".")
    here: Any = config
    for word in path:
        here = here.get(word) if isinstance(here, dict) else None
    if isinstance(here, dict):
        here.pop(last, None)


def resolve(values: dict[str, Any]) -> dict[str, Any]:
    """The values with references to other values replaced; None for what is mandatory (`???`) or cannot be resolved."""
    found = dict(values)
    for _ in range(MAX_ROUNDS):
        pending = {key: value for key, value in found.items() if isinstance(value, str) and "${" in value}
        if not pending:
            break
        for key, value in pending.items():
            found[key] = _resolved(value, found)
    return {k: None if isinstance(v, str) and (v == MISSING or "${" in v) else v for k, v in found.items()}


def _resolved(text: str, values: Mapping[str, Any]) -> Any:
    whole = _REFERENCE.fullmatch(text)
    if whole is not None:
        name, default = whole.groups()
        if name in values:
            return values[name]
        return None if default is None else scalar(default)
    return _REFERENCE.sub(lambda m: str(values.get(m[1], m[2] if m[2] is not None else m[0])), text)
