"""The arguments of `update` as one row in canonical names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from rldk.core.aliases import Match
from rldk.core.vocabulary import vocabulary
from rldk.errors import UsageError

ARGUMENTS: Mapping[str, str] = {
    "kl": "kl",
    "kl_coef": "kl_coef",
    "entropy": "entropy",
    "reward_mean": "reward_mean",
    "reward_std": "reward_std",
    "policy_grad_norm": "grad_norm_policy",
    "value_grad_norm": "grad_norm_value",
    "total_grad_norm": "grad_norm",
    "advantage_mean": "advantage_mean",
    "advantage_std": "advantage_std",
    "advantage_min": "advantage_min",
    "advantage_max": "advantage_max",
    "advantage_median": "advantage_median",
}
_NAMED = tuple(ARGUMENTS.items())


def row(arguments: Sequence[Any], more: Mapping[str, Any], sampled: Mapping[str, float]) -> dict[str, float]:
    """Canonical values: first `arguments` (in the order of `ARGUMENTS`), then those from samples, then further metrics
    by any known name.

    None is missing; NaN is a value that the trainer stated. Raises `UsageError` for a value that is no number."""
    values: dict[str, float] = {}
    for (name, canonical), x in zip(_NAMED, arguments, strict=True):
        if x is not None:
            values[canonical] = x if type(x) is float else _number(name, x)
    for name, x in sampled.items():
        values.setdefault(name, x)
    for name, x in more.items():
        if x is not None:
            match = _match(name)
            number = x if type(x) is float else _number(name, x)
            values.setdefault(match.canonical, match.apply(number) if match.transform else number)
    return values


@lru_cache(maxsize=4096)
def _match(name: str) -> Match:
    """The meaning of a name. An unknown name is a metric of the user's own."""
    return vocabulary().resolve(name) or Match(canonical=name)


def _number(name: str, x: Any) -> float:
    try:
        return float(x)
    except (TypeError, ValueError, OverflowError):
        hint = "pass a number, or None where there is none; samples go to advantage_samples and response_data"
        raise UsageError(f"{name} is {type(x).__name__} {str(x)[:40]!r}, not a number", hint=hint) from None
