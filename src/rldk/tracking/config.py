"""The configuration that a user passes for a run, as plain JSON without secrets."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from rldk.core.redact import redact
from rldk.errors import UsageError

MAX_DEPTH = 16
MAX_TEXT = 10_000


def plain_config(config: Any) -> dict[str, Any]:
    """The configuration of a mapping, a dataclass or a namespace; {} for None.

    Numbers that are not finite and objects without a JSON form become text. Raises `UsageError` for anything else."""
    if config is None:
        return {}
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        config = {f.name: getattr(config, f.name) for f in dataclasses.fields(config)}
    elif not isinstance(config, Mapping) and hasattr(config, "__dict__"):
        config = vars(config)
    if not isinstance(config, Mapping):
        raise UsageError(f"config is a {type(config).__name__}", hint="give a mapping, a dataclass or a namespace")
    return redact(_plain(config, 0))


def _plain(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value)[:MAX_TEXT]
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):  # numbers of numpy and torch
        return _plain(value.item(), depth)
    if depth < MAX_DEPTH and isinstance(value, Mapping):
        return {str(k): _plain(v, depth + 1) for k, v in value.items()}
    if depth < MAX_DEPTH and isinstance(value, list | tuple | set | frozenset):
        return [_plain(item, depth + 1) for item in value]
    return str(value)[:MAX_TEXT]
