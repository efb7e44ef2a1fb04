"""Nested configurations with dotted keys: {"a": {"b": 1}} is also a.b = 1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

MAX_DEPTH = 20
MAX_KEYS = 20_000  # a file may refer to itself a hundred times over


def dotted(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with one key for each value; the first 20,000 of them, and 20 levels."""
    found: dict[str, Any] = {}
    for key, value in _walk(config, "", 1):
        if len(found) >= MAX_KEYS:
            break
        found[key] = value
    return found


def with_dotted(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The configuration itself, with dotted keys added for what is nested in it."""
    if not any(isinstance(value, Mapping) for value in config.values()):
        return config
    return {**dotted(config), **config}


def _walk(config: Mapping[str, Any], prefix: str, depth: int) -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping) and depth < MAX_DEPTH:
            yield from _walk(value, f"{path}.", depth + 1)
        else:
            yield path, value
